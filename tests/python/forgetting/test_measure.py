"""Losses and answers on general material, and their comparison."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.forgetting import GeneralFigures, cached_general, compare_general, measure_general, run_forgetting
from luthier.forgetting.figures import GeneralAnswer
from luthier.forgetting.losses import TextLosses, plain_text, text_losses
from tiny_model import chat


def keep_file(folder: Path, rows: int = 12) -> Path:
    path = folder / "keep.jsonl"
    lines = [json.dumps({"messages": chat(f"What is file {i}?", f"path {i}")}) for i in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_loss_is_that_of_the_logits_and_the_model_is_left_as_it_was(tiny: Any) -> None:
    import torch

    row = plain_text(tiny, "the quick brown fox jumps over the lazy dog")
    before = tiny.decoder.logits(row.tokens)
    found = text_losses(tiny, [row], 1)
    by_token = torch.log_softmax(before[:-1].double(), dim=-1).gather(1, torch.tensor(row.tokens[1:])[:, None])
    assert found is not None and found.weights == (len(row.tokens) - 1,)
    assert found.sums[0] == pytest.approx(-float(by_token.sum()), rel=1e-4)
    assert torch.equal(before, tiny.decoder.logits(row.tokens))


def test_groups_add_up(tiny: Any) -> None:
    rows = [plain_text(tiny, text) for text in ("the file", "reading and writing", "mail and dates")]
    one, two = text_losses(tiny, rows, 1), text_losses(tiny, rows, 2)
    assert one is not None and two is not None and (len(one.sums), len(two.sums)) == (3, 2)
    assert sum(one.sums) == pytest.approx(sum(two.sums), rel=1e-4) and sum(one.weights) == sum(two.weights)


def test_figures_survive_a_file(figures: Any) -> None:
    again = GeneralFigures.from_json(json.loads(json.dumps(figures.to_json())))
    assert again == figures
    with pytest.raises(InputError, match="no figures"):
        GeneralFigures.from_json({"format": 1, "model": "x"})


def test_a_model_compared_with_itself_has_forgotten_nothing(figures: Any) -> None:
    found = compare_general(figures, figures)
    assert found.within and found.general.change == 0 and found.right_to_wrong == () == found.wrong_to_right
    assert "within the limit of 3%" in found.reason and json.dumps(found.to_json())


@pytest.mark.parametrize(("rise", "within"), [(0.02, True), (0.05, False), (-0.2, True)])
def test_the_limit_is_on_the_relative_rise_of_the_loss(figures: Any, rise: float, within: bool) -> None:
    def worse(losses: TextLosses) -> TextLosses:
        return TextLosses(tuple(value * (1 + rise) for value in losses.sums), losses.weights)

    after = replace(figures, prose=worse(figures.prose), references=worse(figures.references))
    found = compare_general(figures, after)
    assert found.within is within and found.general.change == pytest.approx(rise)
    assert found.general.low == pytest.approx(rise) and found.general.high == pytest.approx(rise)


def test_the_interval_grows_with_the_differences_between_texts(figures: Any) -> None:
    uneven = tuple(value * (1.1 if index % 2 else 0.9) for index, value in enumerate(figures.prose.sums))
    found = compare_general(figures, replace(figures, prose=TextLosses(uneven, figures.prose.weights)))
    assert found.prose.low < 0 < found.prose.high and found.prose.low < found.prose.change < found.prose.high


def test_answers_that_changed_are_listed_with_their_question(figures: Any) -> None:
    first, second, *rest = figures.answers
    before = replace(figures, answers=(replace(first, right=True), replace(second, right=False), *rest))
    lost = GeneralAnswer(first.id, "?", False)
    after = replace(figures, answers=(lost, replace(second, right=True), *rest))
    found = compare_general(before, after)
    assert [change.id for change in found.right_to_wrong] == [first.id]
    assert found.right_to_wrong[0].prompt is not None and found.right_to_wrong[0].after == "?"
    assert [change.id for change in found.wrong_to_right] == [second.id]


def test_rows_to_keep_are_measured_and_have_the_limit_too(tiny: Any, figures: Any, tmp_path: Path) -> None:
    path = keep_file(tmp_path)
    kept = measure_general(tiny, path)
    assert kept.keep is not None and len(kept.keep.sums) == 2 and kept.keep_file == str(path)
    assert kept.keep_answers[0].id == f"{path}:1" and len(kept.keep_answers) == 12
    assert kept.prose == figures.prose and kept.answers == figures.answers
    worse = replace(kept, keep=TextLosses(tuple(1.1 * value for value in kept.keep.sums), kept.keep.weights))
    found = compare_general(kept, worse)
    assert not found.within and found.general.change == 0 and "on the rows to keep" in found.reason
    with pytest.raises(InputError, match="different material"):
        compare_general(figures, kept)


@pytest.mark.parametrize("content", ["", "\n", '{"messages": [{"role": "user", "content": "no answer"}]}\n', "\xff{"])
def test_a_file_without_rows_to_keep_is_refused(tiny: Any, tmp_path: Path, content: str) -> None:
    path = tmp_path / "keep.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"keep\.jsonl"):
        measure_general(tiny, path)


def test_the_base_models_figures_come_from_the_cache_the_second_time(tiny: Any, figures: Any, cache: Path) -> None:
    asked: list[str] = []

    def load_model() -> Any:
        asked.append("once")
        return tiny

    hashes = {"model.safetensors": "a" * 64}
    first = cached_general(hashes, "float32", load_model)
    assert cached_general(hashes, "float32", load_model) == first and asked == ["once"]
    assert first.prose == figures.prose and first.answers == figures.answers
    cached_general({"model.safetensors": "b" * 64}, "float32", load_model)
    assert len(asked) == 2
    for path in (cache / "general").iterdir():
        path.write_text("{damaged", encoding="utf-8")
    assert cached_general(hashes, "float32", load_model).prose == first.prose and len(asked) == 3


def test_a_cache_that_cannot_be_written_does_no_harm(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("LUTHIER_CACHE", str(blocked))
    assert cached_general({"a": "b"}, "float32", lambda: tiny).answers


def test_without_hashes_of_the_model_nothing_is_cached(tiny: Any, cache: Path) -> None:
    cached_general({}, "float32", lambda: tiny)
    assert not (cache / "general").exists()


def test_a_run_is_compared_with_its_base_model(tiny_folder: Path, cache: Path, tmp_path: Path) -> None:
    from luthier.training.run import run_fit

    train = keep_file(tmp_path)
    values = {"train": str(train), "model": str(tiny_folder), "out": str(tmp_path / "run"), "dtype": "float32"}
    run = run_fit({**values, "rank": 4, "epochs": 20, "learning_rate": 1e-2, "threads": 1}, quiet=True)
    found = run_forgetting(run, keep=train)
    assert found.keep is not None and found.keep.change < -0.3  # it was fitted to these rows
    assert found.before == str(tiny_folder) and "LoRA rank 4" in found.after
    assert found.general.before != found.general.after and len(list((cache / "general").iterdir())) == 1
    assert run_forgetting(run, keep=train) == found
    assert found.within is (found.general.change <= 0.03) and run_forgetting(run, train, limit=1e9).within


def test_the_table_names_the_limit_and_the_questions(figures: Any) -> None:
    from rich.console import Console

    wrong = replace(figures, answers=tuple(replace(answer, right=False) for answer in figures.answers))
    right = replace(figures, answers=tuple(replace(answer, right=True) for answer in figures.answers))
    found = compare_general(right, wrong)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(found)
    text = console.export_text()
    assert "+3%: within" in text and "What is 7 + 5?" in text and "and 200 more" in text
    assert "general loss" in repr(found) and "<table>" in found._repr_html_()
