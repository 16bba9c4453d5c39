"""Checkpoints: complete or absent, the right ones kept, failures clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from luthier.errors import InputError, LuthierError
from luthier.training.checkpoint import Best, Checkpoints, RunState
from luthier.training.metrics_log import StepMetrics


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    need_core()
    return Checkpoints(tmp_path / "checkpoints")


def metrics(step: int) -> StepMetrics:
    return {
        "step": step, "loss": 1.5, "learning_rate": 1e-3, "grad_norm": 0.1, "rows": 4, "tokens": 40,
        "computed_tokens": 30, "supervised_tokens": 8, "seconds": 0.1, "peak_rss_bytes": 1000,
    }  # fmt: skip


def state(step: int, best: Best | None = None, **changes: Any) -> RunState:
    return RunState(step, {"epoch": 0, "position": step}, metrics(step), best=best, times_seen=[1, 0], **changes)


def tensors(step: int) -> dict[str, Any]:
    import torch

    return {"a": torch.full((3, 2), float(step)), "count": torch.tensor([step])}


def test_what_was_saved_is_loaded(checkpoints: Checkpoints) -> None:
    import torch

    saved = state(7, Best(5, 0.25), validated=False)
    checkpoints.save(saved, tensors(7))
    assert checkpoints.steps() == [7]
    assert checkpoints.load_state(7) == saved
    loaded = checkpoints.load_tensors(7)
    assert set(loaded) == {"a", "count"}
    assert torch.equal(loaded["a"], tensors(7)["a"])
    assert loaded["count"].tolist() == [7]


def test_the_last_two_and_the_best_are_kept(checkpoints: Checkpoints) -> None:
    best = Best(2, 0.1)
    for step in (1, 2, 3, 4, 1000000):
        checkpoints.save(state(step, best if step >= 2 else None), tensors(step))
    assert checkpoints.steps() == [2, 4, 1000000]


def test_what_a_crash_left_is_no_checkpoint(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(3), tensors(3))
    for name in ("step-000009.writing", "step-000008", "step-000004.removing.writing", "other"):
        (checkpoints.folder / name).mkdir()
        (checkpoints.folder / name / "state.json").write_text("{}")
    assert checkpoints.steps() == [3]
    checkpoints.clean()
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["other", "step-000003", "step-000008"]


def test_a_failed_save_says_what_is_left_and_leaves_it(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.save(state(3), tensors(3))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LuthierError, match="No space left on device; the checkpoint of step 3 is untouched.*--resume"):
        checkpoints.save(state(6), tensors(6))
    assert checkpoints.steps() == [3]
    assert checkpoints.load_state(3) == state(3)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step-000003"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    need_core()
    (tmp_path / "checkpoints").write_text("a file in the way")
    with pytest.raises(
        LuthierError, match="cannot save the checkpoint .*step-000001: .*there is no earlier checkpoint"
    ):
        Checkpoints(tmp_path / "checkpoints").save(state(1), tensors(1))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"step": 1, "best": null}', '{"step": 1, "best": 3}'])
def test_a_damaged_state_is_an_input_error(checkpoints: Checkpoints, text: str) -> None:
    checkpoints.save(state(3), tensors(3))
    (checkpoints.path(3) / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state.json: damaged checkpoint"):
        checkpoints.load_state(3)


def test_damaged_tensors_are_an_input_error(checkpoints: Checkpoints) -> None:
    checkpoints.save(state(3), tensors(3))
    file = checkpoints.path(3) / "trainer.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="trainer.safetensors"):
        checkpoints.load_tensors(3)
