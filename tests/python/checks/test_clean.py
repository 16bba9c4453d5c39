"""`clean`: exactly what was asked for, the rest byte for byte, each change in the log, the input never touched."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest
from luthier.checks import check, clean
from luthier.checks.cleaning import changes_of
from luthier.errors import InputError, LuthierError
from luthier.records import read
from planted import chat, letters, write


def test_only_duplicates_go_and_every_other_byte_stays(tmp_path: Path) -> None:
    rows: list[Any] = letters(50)
    rows[3] = json.dumps(rows[3], indent=None, separators=(" , ", " :  "))
    rows += [rows[7], "", rows[9], "{broken"]
    source = write(tmp_path / "a.jsonl", rows)
    before = source.read_bytes()
    report = clean(source, tmp_path / "b.jsonl", drop=["duplicates"])
    lines = before.splitlines(keepends=True)
    assert (tmp_path / "b.jsonl").read_bytes() == b"".join(lines[:50] + lines[51:52] + lines[53:])
    assert source.read_bytes() == before
    assert (report.rows, report.written, report.changes) == (53, 51, {"dropped (duplicate)": 2})
    log = list(changes_of(report.log))
    assert [(change["line"], change["change"], change["code"]) for change in log] == [
        (51, "dropped", "duplicate"),
        (53, "dropped", "duplicate"),
    ]
    assert log[0]["other"] == {"file": str(source), "line": 8}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_table_keeps_its_bytes_with_quoted_line_ends(tmp_path: Path, ending: str) -> None:
    twice = ['"two', 'lines, one row",a']
    rows = ["text,label", *twice, "plain,b", *twice, '"a ""quoted"" word",b', "last,a"]
    source = tmp_path / "a.csv"
    source.write_bytes(ending.join(rows).encode())
    clean(source, tmp_path / "b.csv", drop=["duplicate"])
    assert (tmp_path / "b.csv").read_bytes() == ending.join(rows[:4] + rows[6:]).encode()


def test_what_was_dropped_is_no_finding_any_more(tmp_path: Path) -> None:
    train, test = letters(120), letters(110, seed=3)
    train += [train[0], chat(train[1]["messages"][1]["content"], "returns"), test[5]]
    near = chat(train[2]["messages"][1]["content"] + " ok", "returns")
    train += [near, near]
    train[9]["messages"][-1]["content"] = ""
    source, held = write(tmp_path / "a.jsonl", train), write(tmp_path / "t.jsonl", test)
    drop = ["duplicates", "near-duplicates", "conflicts", "leakage", "empty-answers"]
    report = clean(source, tmp_path / "b.jsonl", drop=drop, test=held)
    after = check(tmp_path / "b.jsonl", test=held)
    for code in ("duplicate", "near-duplicate", "conflict", "leakage", "empty-answer"):
        assert after[code].severity == "fine", code
    assert report.rows - report.written == sum(report.changes.values()) == 1 + 2 + 2 + 1 + 1


def test_masks_take_the_place_of_personal_data_and_keys(tmp_path: Path) -> None:
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    rows = letters(20)
    rows[2]["messages"][1]["content"] = f'mail "jane@shop.example",\nphone +44 20 7946 0000, key {key}'
    rows[4]["note"] = "from joe@shop.example"
    source = write(tmp_path / "a.jsonl", rows)
    report = clean(source, tmp_path / "b.jsonl", mask=["pii"])
    lines, old = (tmp_path / "b.jsonl").read_bytes().splitlines(), source.read_bytes().splitlines()
    assert [i for i in range(20) if lines[i] != old[i]] == [2, 4]
    masked = json.loads(lines[2])["messages"][1]["content"]
    assert masked == f'mail "[EMAIL]",\nphone [PHONE], key {key}'
    assert json.loads(lines[4])["note"] == "from [EMAIL]"
    assert "jane" not in report.log.read_text(encoding="utf-8") and report.changes == {"masked (pii)": 2}
    both = clean(source, tmp_path / "c.jsonl", mask=["pii", "secrets"])
    assert key not in both.out.read_text(encoding="utf-8")


def test_masks_in_a_table_stay_in_their_cells(tmp_path: Path) -> None:
    source = tmp_path / "a.tsv"
    source.write_text('text\tlabel\n"write to a@b.example\nnow"\tx\nplain, text\ty\n', encoding="utf-8")
    clean(source, tmp_path / "b.tsv", mask=["pii"])
    with (tmp_path / "b.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    assert rows == [["text", "label"], ["write to [EMAIL]\nnow", "x"], ["plain, text", "y"]]
    assert (tmp_path / "b.tsv").read_text(encoding="utf-8").endswith("plain, text\ty\n")


@pytest.mark.parametrize("form", ["messages", "completion", "csv"])
def test_labels_get_their_usual_spelling(tmp_path: Path, form: str) -> None:
    rows = [(f"text number {index}", "billing" if index % 2 else "returns") for index in range(60)]
    rows[4], rows[7] = ("text a", "Returns "), ("text b", "Billing.")
    if form == "csv":
        source = tmp_path / "a.csv"
        source.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    else:
        source = tmp_path / "a.jsonl"
        chats = [chat(*row) if form == "messages" else {"prompt": row[0], "completion": row[1]} for row in rows]
        write(source, chats)
    report = clean(source, tmp_path / f"b{source.suffix}", merge_labels=True)
    answers = [record.reference for record in read(report.out)]
    assert set(answers) == {"billing", "returns"} and answers[4] == "returns" and answers[7] == "billing"
    assert report.changes == {"relabelled (label-variant)": 2} and report.written == 60


def test_a_file_in_another_encoding_is_converted(tmp_path: Path) -> None:
    text = "".join(json.dumps(chat(f"Größe {index}", "a"), ensure_ascii=False) + "\n" for index in range(5))
    source = tmp_path / "a.jsonl"
    source.write_bytes(text.encode("utf-16"))
    clean(source, tmp_path / "b.jsonl", encoding="utf-16")
    assert (tmp_path / "b.jsonl").read_text(encoding="utf-8") == text
    with pytest.raises(InputError, match="is not ascii"):
        clean(tmp_path / "b.jsonl", tmp_path / "c.jsonl", encoding="ascii")
    with pytest.raises(InputError, match="no such encoding"):
        clean(source, tmp_path / "c.jsonl", encoding="klingon")
    assert not (tmp_path / "c.jsonl").exists()


def test_the_input_is_never_written(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", letters(5))
    before = source.read_bytes()
    os.link(source, tmp_path / "same.jsonl")
    os.link(source, tmp_path / "b.jsonl.log.jsonl")
    for out in ("a.jsonl", "same.jsonl", "b.jsonl"):
        with pytest.raises(InputError, match="is the input"):
            clean(source, tmp_path / out, drop=["duplicates"])
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing was asked for"),
        ({"drop": ["typos"]}, "--drop typos: it must be one of"),
        ({"mask": ["faces"]}, "--mask faces"),
        ({"drop": ["leakage"]}, "--test FILE"),
        ({"drop": ["duplicates"], "encoding": "cp1252"}, "goes alone"),
    ],
)
def test_wrong_requests_are_refused_and_write_nothing(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    source = write(tmp_path / "a.jsonl", letters(5))
    with pytest.raises(InputError, match=words):
        clean(source, tmp_path / "b.jsonl", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.jsonl", letters(5))
    out = tmp_path / "b.jsonl"
    out.write_text("old")

    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("luthier.durable.sync", full)
    with pytest.raises(LuthierError, match="No space left"):
        clean(source, out, drop=["duplicates"])
    assert out.read_text() == "old" and len(list(tmp_path.iterdir())) == 2


def test_every_droppable_code_can_be_named_in_the_plural(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", letters(120))
    report = clean(source, tmp_path / "b.jsonl", drop=["duplicates", "near-duplicates", "secrets", "small-classes"])
    assert report.written == 120 and report.log.read_bytes() == b""
    assert report.out.read_bytes() == source.read_bytes()
