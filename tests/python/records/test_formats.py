"""Formats of files and of rows: guessed from names and keys, named by --format, and read to the same records."""

from __future__ import annotations

import builtins
import csv
import datetime
import decimal
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.records import Record, read
from luthier.records.messages import Purpose
from luthier.records.rows import BadRowError, record_from_object

PAIRS = [("2 + 2", "4"), ("ünïcode 東京", '"quoted", text\nof two lines'), ("x", "y")]


def asked(record: Record) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in record.messages]


def expected() -> list[list[tuple[str, str]]]:
    return [[("user", question), ("assistant", answer)] for question, answer in PAIRS]


LAYOUTS = {
    "chat": lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
    "prompt": lambda q, a: {"prompt": q, "completion": a},
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "columns": lambda q, a: {"text": q, "label": a},
}


def rows(fields: str) -> list[dict[str, Any]]:
    return [LAYOUTS[fields](question, answer) for question, answer in PAIRS]


def as_file(folder: Path, kind: str, values: list[dict[str, Any]]) -> Path:
    """The rows in one of the formats."""
    path = folder / f"rows.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(values, indent=1), encoding="utf-8")
    elif kind in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(values[0]), delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(values)
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(values), path)
    elif kind in ("arrow", "feather"):
        table = pyarrow.Table.from_pylist(values)
        new = pyarrow.ipc.new_stream if kind == "arrow" else pyarrow.ipc.new_file
        with pyarrow.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


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


def test_labels_may_be_numbers_or_names_of_classes(tmp_path: Path) -> None:
    assert read(as_file(tmp_path, "jsonl", [{"text": "a", "label": 3}]))[0].reference == "3"
    assert read(as_file(tmp_path, "jsonl", [{"text": "a", "label": True}]))[0].reference == "true"
    features = {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}
    schema = pyarrow.schema(
        [("text", pyarrow.string()), ("label", pyarrow.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    path = tmp_path / "classes.parquet"
    values = [{"text": "a", "label": 1}, {"text": "b", "label": 0}, {"text": "c", "label": -1}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(values, schema), path)
    records = read(path, skip_bad=True)
    assert [record.reference for record in records] == ["good", "bad"]
    assert str(records.bad[0]) == f"{path}:3: column `label` is null"


def test_arrow_rows_are_numbered_and_null_keys_inside_them_left_out(tmp_path: Path) -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    other = {"function": {"name": "g", "arguments": {"b": "x"}}}
    values = [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [one]}]}
        for one in (call, other)
    ]
    values.append({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    records = read(as_file(tmp_path, "parquet", values))
    assert [record.line for record in records] == [1, 2, 3]
    assert [dict(record.messages[1].tool_calls[0].arguments) for record in records[:2]] == [{"a": 1}, {"b": "x"}]
    assert records[2].messages[1].tool_calls == ()


def test_values_that_json_lacks_become_text_or_nothing(tmp_path: Path) -> None:
    value = {
        "prompt": "a",
        "completion": "b",
        "day": datetime.date(2026, 1, 31),
        "moment": datetime.datetime(2026, 1, 31, 12),
        "price": decimal.Decimal("1.50"),
        "bytes": b"\xff",
        "nan": float("nan"),
        "list": [float("inf"), {"x": None}],
    }
    raw = read(as_file(tmp_path, "parquet", [value]))[0].raw
    assert json.loads(json.dumps(raw, allow_nan=False)) == {
        "prompt": "a",
        "completion": "b",
        "day": "2026-01-31",
        "moment": "2026-01-31T12:00:00",
        "price": "1.50",
        "bytes": "/w==",
        "nan": None,
        "list": ["inf", {}],
    }


def test_a_row_that_is_not_utf8_is_the_only_one_lost(tmp_path: Path) -> None:
    prompts = pyarrow.array([b"a", b"caf\xe9", b"c"] + [b"x"] * 200).cast(pyarrow.binary())
    text = pyarrow.StringArray.from_buffers(len(prompts), prompts.buffers()[1], prompts.buffers()[2])
    table = pyarrow.table({"prompt": text, "completion": ["y"] * len(prompts)})
    path = tmp_path / "rows.arrow"
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    records = read(path)
    assert len(records) == 202
    assert [(row.line, row.kind) for row in records.bad] == [(2, "encoding")]


def test_a_folder_that_datasets_saved_is_read(tmp_path: Path) -> None:
    import datasets

    saved = datasets.Dataset.from_list(rows("sharegpt"))
    saved.save_to_disk(tmp_path / "one", num_shards=2)
    records = read(tmp_path / "one")
    assert [asked(record) for record in records] == expected()
    assert [record.where for record in records] == [f"{tmp_path / 'one'}:{number}" for number in (1, 2, 3)]
    assert (records.format.file, records.format.fields) == ("datasets", "sharegpt")
    again = read(tmp_path / "one")
    assert again.sha256 == records.sha256
    labels = datasets.Dataset.from_list([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}])
    labels.class_encode_column("label").save_to_disk(tmp_path / "classes")
    assert [record.reference for record in read(tmp_path / "classes")] == ["x", "y"]
    datasets.DatasetDict({"train": saved, "test": saved}).save_to_disk(tmp_path / "dict")
    with pytest.raises(InputError, match=r"several splits; name one of them by its path: .*dict/train, .*dict/test"):
        read(tmp_path / "dict")
    assert len(read(tmp_path / "dict" / "test")) == 3
    (tmp_path / "one" / "data-00000-of-00002.arrow").unlink()
    with pytest.raises(InputError, match="data-00000-of-00002.arrow: the file is missing"):
        read(tmp_path / "one")


@pytest.mark.parametrize(
    "state",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"_data_files": 3}',
        '{"_data_files": [{"filename": "../x.arrow"}]}',
        '{"_data_files": [1]}',
    ],
)
def test_a_damaged_folder_is_an_error_that_names_its_file(tmp_path: Path, state: str) -> None:
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(InputError, match="state.json"):
        read(tmp_path)


def test_an_empty_table_holds_no_rows(tmp_path: Path) -> None:
    schema = pyarrow.schema([("prompt", pyarrow.string()), ("completion", pyarrow.string())])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([], schema), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="holds no rows"):
        read(tmp_path / "rows.parquet")
    (tmp_path / "state.json").write_text('{"_data_files": []}')
    with pytest.raises(InputError, match="holds no rows"):
        read(tmp_path)


def test_without_pyarrow_the_message_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_file(tmp_path, "parquet", rows("chat"))
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"needs pyarrow: pip install 'luthier\[parquet\]'"):
        read(path)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["parquet", "arrow", "feather"]), st.data())
def test_damaged_tables_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = as_file(Path(folder), kind, rows("prompt") * 20)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            records = read(path, skip_bad=True)
        except InputError as error:
            assert "rows." in str(error)
            return
        assert all(isinstance(record, Record) for record in records)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["rows.parquet", "rows.arrow", "rows.json"]), st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(name: str, content: bytes, magic: bool) -> None:
    head = {"rows.parquet": b"PAR1", "rows.arrow": b"ARROW1\0\0", "rows.json": b"["}[name] if magic else b""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(head + content + (b"PAR1" if magic and name == "rows.parquet" else b""))
        with pytest.raises(InputError, match="rows."):
            read(path)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["user", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "from",
                    "value",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "weight",
                    "type",
                    "text",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KEYS = ["messages", "conversations", "prompt", "completion", "instruction", "input", "output", "history", "system"]
KEYS += ["tools", "functions", "weight", "text", "label"]
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"])},
    optional={"content": VALUES, "tool_calls": VALUES, "function_call": VALUES, "name": VALUES, "tool_call_id": VALUES},
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES | st.lists(MESSAGE, max_size=4), max_size=5),
    st.sampled_from(["train", "prompt"]),
)
def test_odd_values_everywhere_make_a_record_or_a_reason(row: dict[str, Any], purpose: Purpose) -> None:
    try:
        record = record_from_object(row, file="rows.jsonl", line=1, purpose=purpose)
    except BadRowError as error:
        assert str(error)
        return
    assert record.messages and all(isinstance(message.content, str) for message in record.messages)
    assert isinstance(record.reference, str) or purpose == "prompt"
    assert isinstance(repr(record), str)
