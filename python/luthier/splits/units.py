"""Rows that must be on one side: those of a group, and near-duplicates of each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from luthier.errors import InputError
from luthier.records.record import Record

__all__ = ["group_sets", "joined"]


def group_sets(records: Sequence[Record], column: str) -> list[list[int]]:
    """The indices of the rows by the value of a key of the row. Raises InputError where a row lacks it."""
    groups: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        value = record.raw.get(column)
        if value is None or value == "":
            present = ", ".join(repr(key) for key in list(record.raw)[:8])
            raise InputError(f"{record.where}: no value under {column!r} to group by; the row's keys are {present}")
        groups.setdefault(json.dumps(value, sort_keys=True), []).append(index)
    return list(groups.values())


def joined(count: int, *sets: Iterable[Sequence[int]]) -> list[list[int]]:
    """The finest partition of 0 to count - 1 in which every given set is on one side, in the order of the smallest
    indices."""
    parents = list(range(count))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for members in (members for some in sets for members in some):
        for index in members[1:]:
            first, second = root(members[0]), root(index)
            parents[max(first, second)] = min(first, second)
    units: dict[int, list[int]] = {}
    for index in range(count):
        units.setdefault(root(index), []).append(index)
    return list(units.values())
