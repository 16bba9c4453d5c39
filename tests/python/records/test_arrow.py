"""Parquet and Arrow files and saved folders of datasets: values, classes, damage, and a missing pyarrow."""

from __future__ import annotations

import builtins
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
from row_files import as_file, asked, expected, rows


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
        "list": [float("inf")],
        "inner": {"x": None, "y": datetime.time(12)},
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
        "list": ["inf"],
        "inner": {"y": "12:00:00"},
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
