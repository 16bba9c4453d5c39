"""Formats of files and of rows: guessed from names and keys, named by --format, and read to the same records."""

from __future__ import annotations

from pathlib import Path

import pytest
from luthier.errors import InputError
from luthier.records import read
from row_files import LAYOUTS, as_file, asked, expected, rows

KINDS = [
    (kind, fields)
    for kind in ("jsonl", "json", "csv", "tsv", "parquet", "arrow", "feather")
    for fields in LAYOUTS
    if kind not in ("csv", "tsv") or fields not in ("chat", "sharegpt")
]


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_every_format_and_layout_is_guessed_and_read_alike(tmp_path: Path, kind: str, fields: str) -> None:
    path = as_file(tmp_path, kind, rows(fields))
    records = read(path)
    assert [asked(record) for record in records] == expected()
    assert (records.format.file, records.format.fields) == ("arrow" if kind == "feather" else kind, fields)
    assert len(records.sha256) == 64
    assert all(record.raw.keys() == row.keys() for record, row in zip(records, rows(fields), strict=True))
    named = read(path, format=f"{records.format.file}/{fields}")
    assert named.rows == records.rows and read(path, format=fields).rows == records.rows


def test_formats_say_which_columns_were_taken(tmp_path: Path) -> None:
    assert str(read(as_file(tmp_path, "json", rows("alpaca"))).format) == (
        "json/alpaca (prompt from instruction + input, answer from output)"
    )
    path = as_file(tmp_path, "csv", [{"body": "a", "kind": "b"}])
    assert read(path, text="body", label="kind").format.columns == {"prompt": "body", "answer": "kind"}
    mixed = as_file(tmp_path, "jsonl", [*rows("chat"), rows("prompt")[0]])
    assert read(mixed).format.fields == "chat, prompt"


def test_columns_may_be_named_in_any_format(tmp_path: Path) -> None:
    for kind in ("jsonl", "json", "csv", "tsv", "parquet"):
        path = as_file(tmp_path, kind, [{"body": "a", "kind": "b", "messages": "x"}])
        assert asked(read(path, text="body", label="kind")[0]) == [("user", "a"), ("assistant", "b")]


def test_files_without_a_telling_name_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    for kind in ("parquet", "feather", "jsonl"):
        path = as_file(tmp_path, kind, rows("prompt")).rename(tmp_path / "data")
        assert [asked(record) for record in read(path)] == expected()
    table = as_file(tmp_path, "csv", rows("columns")).rename(tmp_path / "data")
    assert [asked(record) for record in read(table, text="text")] == expected()
    assert [asked(record) for record in read(table, format="csv")] == expected()


@pytest.mark.parametrize("format", ["", "excel", "csv/word", "csv/tsv", "chat/alpaca", "csv/alpaca/x"])
def test_unknown_formats_are_refused_with_those_known(tmp_path: Path, format: str) -> None:
    with pytest.raises(InputError, match="must be one of jsonl, .*chat, prompt, alpaca"):
        read(as_file(tmp_path, "jsonl", rows("chat")), format=format)


def test_a_format_that_the_file_has_not_is_an_error(tmp_path: Path) -> None:
    path = as_file(tmp_path, "jsonl", rows("chat"))
    for format in ("parquet", "arrow", "json", "csv", "datasets", "alpaca"):
        with pytest.raises(InputError, match=r"rows\.jsonl"):
            read(path, format=format)


def test_lines_of_a_json_array_are_those_on_which_rows_start(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(
        '\ufeff[\n {"prompt": "a",\n  "completion": "b"},\n\n {"prompt": "c", "completion": "d"}]\n', "utf-8"
    )
    records = read(path)
    assert [record.line for record in records] == [2, 5]
    path.write_text('{"prompt": "a", "completion": "b"}\n', "utf-8")
    assert read(path).format.file == "jsonl", "many files of lines are named .json"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"prompt": "a", "completion": "b"}', "rows.json:1: .*comma or ']' is missing"),
        ('[{"prompt": "a", "completion": "b"},\n{"prompt": ]', "rows.json:2: .*Expecting value"),
        ('[{"prompt": "a", "completion": "b"}]\n[]', "rows.json:2: .*there is more behind it"),
        ('[{"prompt": "a"\n"completion": NaN}]', "rows.json:2"),
        ("[NaN]", "NaN is not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "holds no rows"),
        ("[1, 2]", r"rows.json:1: the row is a number"),
        ('[{"prompt": "a"},\n {"prompt": "b"}]', "rows.json:2: `prompt` without `completion`"),
    ],
)
def test_broken_json_arrays_are_errors_with_their_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=words):
        read(path)


def test_a_json_array_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b'[\n{"prompt": "caf\xe9"}]')
    with pytest.raises(InputError, match="rows.json:2: not UTF-8: byte 0xe9"):
        read(path)


def test_alpaca_rows_join_instruction_and_input(tmp_path: Path) -> None:
    row = {
        "instruction": "Translate.",
        "input": "chat",
        "output": "cat",
        "system": "Be brief.",
        "history": [["Translate chien.", "dog"]],
        "id": 3,
    }
    record = read(as_file(tmp_path, "jsonl", [row]))[0]
    assert asked(record) == [
        ("system", "Be brief."),
        ("user", "Translate chien."),
        ("assistant", "dog"),
        ("user", "Translate.\n\nchat"),
        ("assistant", "cat"),
    ]
    assert record.extra == {"id": 3}
    bare = read(as_file(tmp_path, "jsonl", [{"instruction": "", "input": "Hello", "output": "Hi"}]))[0]
    assert bare.prompt[0].content == "Hello"


def test_a_common_system_message_goes_to_every_layout(tmp_path: Path) -> None:
    system = tmp_path / "system.txt"
    system.write_text("Be brief.")
    for fields in LAYOUTS:
        record = read(as_file(tmp_path, "parquet", rows(fields)), system=system)[0]
        assert asked(record)[0] == ("system", "Be brief.")


def test_rows_to_answer_need_no_answer_in_any_layout(tmp_path: Path) -> None:
    for fields, key in (("prompt", "completion"), ("alpaca", "output"), ("columns", "label")):
        for kind in ("jsonl", "csv", "parquet"):
            values = [{name: value for name, value in row.items() if name != key} for row in rows(fields)]
            records = read(as_file(tmp_path, kind, values), purpose="prompt")
            assert records[0].reference is None and records[0].prompt[0].content == "2 + 2"
            with pytest.raises(InputError):
                read(as_file(tmp_path, kind, values))
