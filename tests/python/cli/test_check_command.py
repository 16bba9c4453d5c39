"""`luthier check` and `luthier clean`: exit status, streams, and what a reader of the terminal sees."""

from __future__ import annotations

import json
import os
import random
import stat
from pathlib import Path

import pytest
from luthier.cli.main import run


def rows(count: int) -> list[str]:
    """Rows of two labels, each text once."""
    words = "invoice parcel refund courier card address broken size colour amount door total late price".split()
    generator = random.Random(0)
    made = []
    for index in range(count):
        text = " ".join(generator.choices(words, k=14)) + f" {generator.randrange(10**8)}"
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes" if index % 2 else "no"}]
        made.append(json.dumps({"messages": messages}))
    return made


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """60 rows, of which the last four stand there before."""
    made = rows(56)
    return write(tmp_path / "train.jsonl", [*made, *made[:4]])


def test_the_terminal_shows_marks_rows_reasons_repairs_and_a_tally(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = write(tmp_path / "test.jsonl", rows(56)[:2])
    assert run(["check", str(train), "--test", str(test)]) == 0
    text = capsys.readouterr().out
    assert f"{train}:57 ~ 1" in text and "and 1 more: luthier check" in text
    assert f"-> luthier clean {train} --drop duplicates --out" in text
    assert "leakage: 2 held-out rows" in text and f"{train}:1 ~ {test}:1" in text
    assert "--model" in text and "not looked at" in text
    assert text.rstrip().splitlines()[-1].endswith("1 error, 4 not looked at")
    assert max(map(len, text.splitlines())) < 400 and "\033" not in text


def test_all_rows_can_be_shown_and_checks_chosen(train: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(train), "--only", "duplicate", "--rows", "0"]) == 0
    text = capsys.readouterr().out
    assert all(f":{line} ~ {line - 56}" in text for line in (57, 58, 59, 60)) and "conflict" not in text
    assert run(["check", str(train), "--only", "typos"]) == 2
    assert "there is no check 'typos'" in capsys.readouterr().err


def test_json_is_one_object_on_stdout(train: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(train), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["rows"] == 60
    assert [f["count"] for f in value["findings"] if f["code"] == "duplicate"] == [4]


def test_strict_exits_with_3_on_errors_alone(train: Path, tmp_path: Path) -> None:
    assert run(["check", str(train), "--strict"]) == 0
    assert run(["check", str(train), "--strict", "--test", str(train)]) == 3
    assert run(["check", str(train), "--test", str(train)]) == 0


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(["check", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "schema.json:1"),
        ("3", "is an object"),
        ('{"type": "strnig"}', "not a valid JSON Schema"),
        (None, "cannot read"),
    ],
)
def test_a_wrong_schema_is_one_sentence(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, words: str
) -> None:
    schema = tmp_path / "schema.json"
    if content is not None:
        schema.write_text(content)
    assert run(["check", str(train), "--schema", str(schema)]) == 2
    assert words in capsys.readouterr().err


def test_clean_says_what_it_did(train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert run(["clean", str(train), "--drop", "duplicates", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "56 of 60 rows" in text and "dropped (duplicate): 4" in text and "out.jsonl.log.jsonl" in text
    assert run(["clean", str(train), "--drop", "duplicates", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == {"dropped (duplicate)": 4}
    assert run(["clean", str(train), "--drop", "duplicates", "--out", str(train)]) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_one_sentence(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert run(["clean", str(train), "--drop", "duplicates", "--out", str(folder / "out.jsonl")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_repairs_that_check_names_are_commands_that_run(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    assert run(["check", str(train), "--test", str(train), "--json"]) == 0
    repairs = [f["repair"] for f in json.loads(capsys.readouterr().out)["findings"] if f["severity"] != "fine"]
    commands = [shlex.split(repair)[1:] for repair in repairs if repair.startswith("luthier ")]
    assert len(commands) >= 2
    for command in commands:
        assert run(command) == 0, command
