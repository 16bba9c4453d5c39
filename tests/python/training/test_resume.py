"""A run that was stopped and continued ends with the bytes of one that was never stopped."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from fit_case import FitCase, adapter_bytes, luthier, start_luthier
from luthier.errors import InputError
from luthier.training.continuation import continued_settings
from luthier.training.interrupts import Interrupted
from luthier.training.loop import fit_to_folder
from luthier.training.metrics_log import StepMetrics
from luthier.training.progress import SilentProgress
from luthier.training.settings import compose

TIMELESS = ("seconds", "peak_rss_bytes")


class StopAfter(SilentProgress):
    """Sends Ctrl-C to this process at the end of a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        if metrics["step"] == self._step:
            signal.raise_signal(signal.SIGINT)


def stop_after(case: FitCase, step: int, out: str, **changes: Any) -> None:
    values = case.settings(out, **changes)
    settings = continued_settings({"out": values["out"]}) if changes.get("resume") else compose(values)
    with pytest.raises(Interrupted, match=f"stopped after step {step}; continue with: luthier fit --resume --out"):
        fit_to_folder(settings, StopAfter(step))


def resume(case: FitCase, out: str) -> Any:
    from luthier.training.run import run_fit

    return run_fit({"out": str(case.folder / out), "resume": True}, quiet=True)


def timeless(run: Any) -> list[dict[str, float]]:
    return [{key: value for key, value in line.items() if key not in TIMELESS} for line in run.metrics]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_stopped_after_any_step_the_result_has_the_same_bytes(case: FitCase, dtype: str) -> None:
    whole = case.fit("whole", dtype=dtype)
    steps = len(whole.metrics)
    assert steps == 8
    for step in range(1, steps + 1):
        out = f"stopped-{step}"
        stop_after(case, step, out, dtype=dtype)
        assert json.loads((case.folder / out / "run.json").read_text())["status"] == "interrupted"
        continued = resume(case, out)
        assert continued.status == "done"
        assert adapter_bytes(continued.folder) == adapter_bytes(whole.folder), f"stopped after step {step}"
        assert timeless(continued) == timeless(whole)
        assert continued.ledger == whole.ledger
        assert continued.record["sha256"]["adapter"] == whole.record["sha256"]["adapter"]


def test_stopped_many_times_the_result_has_the_same_bytes(case: FitCase) -> None:
    whole = case.fit("whole")
    stop_after(case, 1, "run")
    for step in (2, 4, 7):
        stop_after(case, step, "run", resume=True)
    assert adapter_bytes(resume(case, "run").folder) == adapter_bytes(whole.folder)


def test_stopped_during_validation_the_validation_is_made_up_for(
    case: FitCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from luthier.training import steps, validation

    whole = case.fit("whole")

    def stopping(trainer: Any, dataset: Any, stop: Any, ranks: Any) -> float | None:
        signal.raise_signal(signal.SIGINT)
        return validation.validation_loss(trainer, dataset, stop, ranks)

    with monkeypatch.context() as patched:
        patched.setattr(steps, "validation_loss", stopping)
        with pytest.raises(Interrupted, match="stopped after step 4"):
            fit_to_folder(compose(case.settings("run")), SilentProgress())
    assert len((case.folder / "run" / "metrics.jsonl").read_text().splitlines()) == 4
    continued = resume(case, "run")
    assert timeless(continued) == timeless(whole)
    assert adapter_bytes(continued.folder) == adapter_bytes(whole.folder)


def test_a_killed_run_continues_from_its_last_checkpoint(case: FitCase) -> None:
    whole = case.fit("whole", epochs=40, save_every=1)
    process = start_luthier(*case.flags("run", epochs=40, save_every=1))
    metrics = case.folder / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and metrics.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (case.folder / "run" / "adapter").exists(), "the run was done before it could be killed"
    continued = resume(case, "run")
    assert timeless(continued) == timeless(whole)
    assert adapter_bytes(continued.folder) == adapter_bytes(whole.folder)


def test_a_run_that_is_done_has_nothing_to_continue(case: FitCase) -> None:
    run = case.fit(epochs=1)
    before = run.record
    assert resume(case, "run").record == before


def test_full_fine_tuning_continues_too(case: FitCase) -> None:
    changes = {"adapter": "full", "rank": None, "learning_rate": 1e-3}
    whole = case.fit("whole", **changes)
    stop_after(case, 5, "run", **changes)
    continued = resume(case, "run")
    assert (continued.folder / "model" / "model.safetensors").read_bytes() == (
        whole.folder / "model" / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("key", "value"),
    [("rank", 8), ("learning_rate", 0.5), ("steps", 99), ("seed", 3), ("threads", 2), ("adapter", "full")],
)
def test_a_changed_setting_is_refused_by_name(case: FitCase, key: str, value: object) -> None:
    stop_after(case, 3, "run")
    with pytest.raises(InputError, match=f"'{key.replace('_', '-')}' is {value!r}, but the run in .* has"):
        continued_settings({"out": str(case.folder / "run"), "resume": True, key: value})


def test_repeated_settings_are_accepted_however_they_are_written(case: FitCase) -> None:
    stop_after(case, 3, "run")
    values = case.settings("run", resume=True, rank="4", learning_rate="0.01")
    assert continued_settings(values).optimizer.learning_rate == 0.01


def test_changed_rows_are_refused(case: FitCase) -> None:
    stop_after(case, 3, "run")
    case.train.write_text(case.train.read_text().replace("read 0", "read 1"))
    with pytest.raises(InputError, match="train_rows is not what the run .* was started with"):
        resume(case, "run")


def test_a_changed_model_is_refused(case: FitCase, tmp_path: Path, tiny_folder: Path) -> None:
    import shutil

    model = tmp_path / "model"
    shutil.copytree(tiny_folder, model)
    stop_after(case, 3, "run", model=str(model))
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "rope_theta": 5.0}))
    with pytest.raises(InputError, match="model is not what the run"):
        resume(case, "run")


def test_a_moved_file_with_the_same_rows_is_accepted(case: FitCase) -> None:
    from luthier.training.run import run_fit

    whole = case.fit("whole")
    stop_after(case, 3, "run")
    moved = case.train.rename(case.folder / "moved.jsonl")
    run = run_fit({"out": str(case.folder / "run"), "resume": True, "train": str(moved)}, quiet=True)
    assert adapter_bytes(run.folder) == adapter_bytes(whole.folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_with_added_tokens_is_resumed_to_the_same_bytes(case: FitCase, dtype: str) -> None:
    tokens = ["read 7", "<file>"]
    whole = case.fit("whole", dtype=dtype, add_token=tokens)
    stop_after(case, 5, "run", dtype=dtype, add_token=tokens)
    run = resume(case, "run")
    assert adapter_bytes(run.folder) == adapter_bytes(whole.folder)
    with pytest.raises(InputError, match="'add-token' is .*, but the run in"):
        continued_settings({"out": str(run.folder), "resume": True, "add_token": ["<other>"]})


def test_resume_without_a_run_is_an_error(case: FitCase) -> None:
    status, _, error = luthier("fit", "--resume", "--out", str(case.folder / "nothing"))
    assert status == 2
    assert "no run here" in error
    with pytest.raises(InputError, match="--resume needs --out"):
        continued_settings({"resume": True})
