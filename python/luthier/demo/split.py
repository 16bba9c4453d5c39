"""Splits of the demo rows that depend on the rows and a seed alone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Splits:
    """Rows to learn from, to choose by, and to report on."""

    train: list[Row]
    valid: list[Row]
    test: list[Row]

    def write(self, folder: Path) -> dict[str, Path]:
        """Writes train.jsonl, valid.jsonl and test.jsonl to `folder` (made if missing); returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for name, rows in (("train", self.train), ("valid", self.valid), ("test", self.test)):
            paths[name] = folder / f"{name}.jsonl"
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            paths[name].write_text(text, encoding="utf-8", newline="\n")
        return paths


def split_by_group(rows: Sequence[tuple[str, Row]], *, test: int, valid: int, seed: int) -> Splits:
    """Splits (group, row) pairs so that all rows of a group are on one side.

    Groups are drawn in random order; one goes to test (then valid) while that split stays within its count, so a group
    larger than what is left goes on to the next split. What remains is train. Rows are shuffled within each split.
    """
    generator = random.Random(seed)
    groups: dict[str, list[Row]] = {}
    for group, row in rows:
        groups.setdefault(group, []).append(row)
    names = sorted(groups)
    generator.shuffle(names)
    sides: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for name in names:
        members = groups[name]
        if len(members) <= (test - len(sides["test"])) and len(members) <= test // 4:
            side = "test"
        elif len(members) <= (valid - len(sides["valid"])) and len(members) <= valid // 4:
            side = "valid"
        else:
            side = "train"
        sides[side].extend(members)
    for members in sides.values():
        generator.shuffle(members)
    return Splits(**sides)


def split_at_random(rows: Sequence[Row], *, test: int, valid: int, seed: int) -> Splits:
    """Shuffles `rows` by `seed`: the first `test` rows are held out, the next `valid` choose, the rest are train."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    return Splits(train=shuffled[test + valid :], valid=shuffled[test : test + valid], test=shuffled[:test])
