"""The same rows in every layout and file format, for the tests of this folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from luthier.records import Record

PAIRS = [("2 + 2", "4"), ("ünïcode 東京", '"quoted", text\nof two lines'), ("x", "y")]


def asked(record: Record) -> list[tuple[str, str]]:
    """Role and content of each message."""
    return [(message.role, message.content) for message in record.messages]


def expected() -> list[list[tuple[str, str]]]:
    """What `asked` gives for each of `rows`."""
    return [[("user", question), ("assistant", answer)] for question, answer in PAIRS]


LAYOUTS = {
    "chat": lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]},
    "prompt": lambda q, a: {"prompt": q, "completion": a},
    "alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "sharegpt": lambda q, a: {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]},
    "columns": lambda q, a: {"text": q, "label": a},
}


def rows(fields: str) -> list[dict[str, Any]]:
    """The rows in one layout."""
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
