"""Writes what both sides are given: one model folder, and for each workload the rows and their tokens.

python prepare.py SPECIFICATION.json

A process of its own, so that the one that starts the measured processes stays small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import luthier
from luthier.export import write_merged_folder
from luthier.models.conversations import to_record, training_records
from luthier.text import ChatEncoder, Tokenizer
from workloads import WORKLOADS, Row, build_rows

IGNORED = -100


def prepare(specification: dict[str, Any]) -> dict[str, Any]:
    """Writes model/, KEY.rows.jsonl (chats), KEY.tokens.jsonl (input_ids, labels) and, for decoding, KEY.prompts.jsonl
    (token ids); returns the description of the rows.
    """
    folder = Path(specification["folder"])
    model = luthier.load(specification["model"], dtype="float32")
    write_merged_folder(model.decoder, model.tokenizer, model.source, folder / "model", dtype="bfloat16")
    encoder = ChatEncoder(Tokenizer.from_folder(folder / "model"))

    def encode(row: Row) -> tuple[list[int], list[int]]:
        (encoded,) = encoder.encode_rows(training_records([row["messages"]]))
        labels = [token if weight else IGNORED for token, weight in zip(encoded.tokens, encoded.weights)]
        return encoded.tokens, labels

    data = None if specification["data"] is None else Path(specification["data"])
    described = {}
    for workload in WORKLOADS:
        if workload.key not in specification["rows"]:
            continue
        rows, source = build_rows(workload, data, specification["rows"][workload.key], lambda row: len(encode(row)[0]))
        tokens = [encode(row) for row in rows]
        _write_lines(folder / f"{workload.key}.rows.jsonl", rows)
        pairs = [{"input_ids": ids, "labels": labels} for ids, labels in tokens]
        _write_lines(folder / f"{workload.key}.tokens.jsonl", pairs)
        described[workload.key] = {
            "source": source,
            "tokens": [len(ids) for ids, _ in tokens],
            "supervised": [sum(label != IGNORED for label in labels) for _, labels in tokens],
            "shared_prefix": _shared_prefix([ids for ids, _ in tokens]),
        }
    for key, (name, count) in specification["prompts"].items():
        lines = (Path(specification["data"]) / name / "test.jsonl").read_text(encoding="utf-8").splitlines()[:count]
        chats = [[turn for turn in json.loads(line)["messages"] if turn["role"] != "assistant"] for line in lines]
        _write_lines(folder / f"{key}.prompts.jsonl", encoder.encode_prompts(list(map(to_record, chats))))
    return described


def _shared_prefix(rows: list[list[int]]) -> int:
    """How many tokens all rows begin with."""
    return next((i for i, column in enumerate(zip(*rows)) if len(set(column)) > 1), min(map(len, rows)))


def _write_lines(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(given["result"]).write_text(json.dumps(prepare(given)), encoding="utf-8")
