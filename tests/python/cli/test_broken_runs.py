"""Folders of runs that are no runs, or whose files are damaged: one sentence and an exit status of 2, and `report`
shows what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from luthier.cli.main import run
from luthier.verdict import run_verdict
from luthier.verdict.files import write_verdict
from run_folder import MadeRun, clean_check, forgetting, make_run

READERS = ("verdict", "errors", "report")
FILES = ("evaluation.json", "baselines.json", "check.json", "forgetting.json")
DAMAGE = {
    "empty": b"",
    "cut off": None,
    "a list": b"[]",
    "null": b"null",
    "nothing in it": b"{}",
    "deep": b'{"a":' * 100_000,
    "latin-1": '{"Größe": 1}'.encode("latin-1"),
    "binary": bytes(range(256)),
}
VALUES: tuple[Any, ...] = (None, "x", [], {}, -1, [None], {"x": None})


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """An evaluated run with all of its files."""
    found = make_run(tmp_path)
    outputs = ["mail" if index % 5 == 0 else answer for index, answer in enumerate(truth(found))]
    found.baselines(found.evaluate(outputs, calibrated=True))
    found.write("check.json", clean_check(found))
    found.write("forgetting.json", forgetting())
    write_verdict(run_verdict(found.folder), found.folder)
    return found


def truth(made: MadeRun) -> list[str]:
    """The right answers of the test rows."""
    lines = made.test.read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["messages"][-1]["content"]) for line in lines]


def outcome(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, str]:
    """Exit status and error of a command, which must be a sentence of Luthier's."""
    status = run(line)
    error = capsys.readouterr().err
    assert "internal error" not in error and "Traceback" not in error, (line, error)
    error = error[error.find("luthier: ") :] if "luthier: " in error else ""
    assert bool(error) == (status in (1, 2)), (line, status, error)
    return status, error


@pytest.mark.parametrize("command", [*READERS, "evaluate", "gate", "watch"])
def test_what_is_no_run_is_named(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    rest = {
        "evaluate": ["--test", str(rows)],
        "gate": ["--suite", str(rows), "--against", str(tmp_path)],
        "watch": [str(rows)],
    }
    records = [*(content for content in DAMAGE.values() if content is not None)]
    records += [b'{"format": 1, "settings": {}}', b'{"format": 9}', b'{"format": 1, "status": "done", "settings": 3}']
    for index, content in enumerate((None, *records)):
        folder = tmp_path / str(index)
        folder.mkdir()
        if content is not None:
            (folder / "run.json").write_bytes(content)
        status, error = outcome(capsys, command, str(folder), *rest.get(command, []))
        assert status == 2 and str(folder) in error
        assert [path.name for path in folder.iterdir()] == ([] if content is None else ["run.json"])
    for nothing in (tmp_path / "missing", rows):
        status, error = outcome(capsys, command, str(nothing), *rest.get(command, []))
        assert status == 2 and nothing.name in error


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_evaluation_is_an_error_and_the_report_does_without(
    made: MadeRun, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made.folder / "evaluation.json"
    content = DAMAGE[kind]
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    before = path.read_bytes()
    for line in (["verdict"], ["verdict", "--threshold", "noise=0.2"], ["errors"]):
        status, error = outcome(capsys, line[0], str(made.folder), *line[1:])
        assert status == 2 and "evaluation.json" in error
    assert outcome(capsys, "report", str(made.folder)) == (0, "")
    assert "evaluation.json" in (made.folder / "report.html").read_text(encoding="utf-8")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [*FILES[1:], "predictions.jsonl", "baseline_predictions.jsonl", "metrics.jsonl"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_other_damaged_files_are_named_or_left_out(
    made: MadeRun, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made.folder / name
    content = DAMAGE[kind]
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    for command in READERS:
        status, error = outcome(capsys, command, str(made.folder))
        assert status in (0, 2, 3, 4)
        assert status != 2 or str(made.folder) in error
    assert (made.folder / "report.html").exists()


@pytest.mark.parametrize("name", [*FILES, "run.json"])
def test_a_wrong_value_anywhere_is_no_internal_error(
    made: MadeRun, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made.folder / name
    whole = json.loads(path.read_text(encoding="utf-8"))
    tried = 0
    for changed in changes(whole):
        path.write_text(json.dumps(changed), encoding="utf-8")
        for command in ("verdict", "report"):
            status, _ = outcome(capsys, command, str(made.folder))
            assert status in (0, 2, 3, 4)
            tried += 1
    assert tried > 20


def changes(whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The object without each of its keys, and with a wrong value in its place; the values take turns."""
    for index, key in enumerate(whole):
        yield {name: value for name, value in whole.items() if name != key}
        for value in (VALUES[index % len(VALUES)], VALUES[(index + 3) % len(VALUES)]):
            yield whole | {key: value}
        if isinstance(whole[key], dict) and whole[key]:
            inner = next(iter(whole[key]))
            yield whole | {key: whole[key] | {inner: VALUES[(index + 1) % len(VALUES)]}}
