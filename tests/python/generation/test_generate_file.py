"""`generate_file`: the same rows with answers, in order, and nothing lost when it goes wrong."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from luthier import durable
from luthier.errors import InputError, LuthierError
from luthier.generation import generate_file
from luthier.generation.progress import answer_progress
from luthier.models import Model, load
from tiny_model import chat, make_tiny_model

ROWS: list[dict[str, Any]] = [
    {"id": 7, "messages": chat("read a file", system="Be brief.")},
    {"prompt": "sort the mail", "note": {"a": [1, 2.5, None]}},
    {"messages": chat("2 + 2", "4"), "id": "last"},
    {"prompt": "東京", "output": "an old answer"},
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(make_tiny_model(tmp_path_factory.mktemp("base") / "model"), dtype="float32")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_keeps_its_keys_and_gains_its_answer(model: Model, source: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    stats = generate_file(
        model,
        source,
        tmp_path / "answers.jsonl",
        max_new_tokens=10,
        on_progress=lambda done, total: heard.append((done, total)),
    )
    found = lines(tmp_path / "answers.jsonl")
    wanted = [
        model.generate(chat("read a file", system="Be brief."), max_new_tokens=10),
        model.generate("sort the mail", max_new_tokens=10),
        model.generate("2 + 2", max_new_tokens=10),  # the answer in the row is not shown to the model
        model.generate("東京", max_new_tokens=10),
    ]
    assert [row["output"] for row in found] == wanted
    assert [{**row, "output": None} for row in found] == [{**row, "output": None} for row in ROWS]
    assert (stats.rows, stats.skipped) == (4, 0)
    assert 4 <= stats.new_tokens <= 40
    assert stats.seconds > 0
    assert heard[0] == (0, 4)
    assert heard[-1] == (4, 4)
    assert stats.to_json()["rows"] == 4


def test_a_table_becomes_json_lines(model: Model, tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("question,kind\nread a file,x\nsort it,y\n")
    generate_file(model, tmp_path / "prompts.csv", tmp_path / "out.jsonl", max_new_tokens=4, text="question")
    found = lines(tmp_path / "out.jsonl")
    assert [row["kind"] for row in found] == ["x", "y"]
    assert found[0]["output"] == model.generate("read a file", max_new_tokens=4)


def test_bad_rows_are_left_out_only_when_asked(model: Model, source: Path, tmp_path: Path) -> None:
    with source.open("a") as file:
        file.write("not json\n")
    with pytest.raises(InputError, match=r"prompts.jsonl:5"):
        generate_file(model, source, tmp_path / "out.jsonl", max_new_tokens=2)
    assert not (tmp_path / "out.jsonl").exists()
    stats = generate_file(model, source, tmp_path / "out.jsonl", max_new_tokens=2, skip_bad=True)
    assert (stats.rows, stats.skipped) == (4, 1)


def test_an_interruption_leaves_the_old_answers(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")

    def stop(done: int, total: int) -> None:
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_file(model, source, tmp_path / "out.jsonl", max_new_tokens=2, on_progress=stop)
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "prompts.jsonl"]


def test_a_full_disk_leaves_the_old_answers(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.jsonl").write_text("old\n")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(LuthierError, match=r"No space left on device; it is as it was before"):
        generate_file(model, source, tmp_path / "out.jsonl", max_new_tokens=2)
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "prompts.jsonl"]


def test_destinations_that_cannot_be_written_are_said_before_anything_runs(
    model: Model, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"is a folder"):
        generate_file(model, source, tmp_path)
    with pytest.raises(InputError, match=r"there is no folder"):
        generate_file(model, source, tmp_path / "missing" / "out.jsonl")


def test_progress_without_a_terminal_is_a_few_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with answer_progress("answers") as report:
        for done in range(0, 1001):
            report(done, 1000)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 10
    assert printed.err.splitlines()[-1].startswith("answers: 1,000/1,000 rows")
    with answer_progress("answers", quiet=True) as report:
        report(1, 1)
    assert capsys.readouterr().err == ""
