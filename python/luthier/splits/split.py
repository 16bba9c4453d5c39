"""`luthier split`: one file of rows into train, valid and test."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.records import Record, Records, read
from luthier.splits.assign import TEST, TRAIN, VALID, by_shares, by_time
from luthier.splits.times import row_times
from luthier.splits.units import group_sets, joined
from luthier.splits.write import SIDES, check_folder, row_lines, write_split

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["Split", "split"]

FORMAT = 1
NEAR_DUPLICATES = 0.8
_SHOWN_CLASSES = 40


@dataclass(frozen=True, repr=False)
class Split:
    """What a split made: the files, and how many rows are in each. `record` is the content of split.json.

    `notes` say in words where the split is not what was asked for.
    """

    folder: Path
    record: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by side."""
        return {name: int(entry["rows"]) for name, entry in self.record["files"].items()}

    @property
    def train(self) -> Path:
        """The rows to learn from."""
        return self.folder / "train.jsonl"

    @property
    def valid(self) -> Path | None:
        """The rows to choose by, if any were asked for."""
        return self.folder / "valid.jsonl" if "valid" in self.record["files"] else None

    @property
    def test(self) -> Path:
        """The rows to report on; sealed."""
        return self.folder / "test.jsonl"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"out": str(self.folder), **self.record, "notes": self.notes}

    def facts(self) -> list[tuple[str, str]]:
        """What was done, in words."""
        total = sum(self.counts.values())
        facts = [
            (str(self.folder / f"{name}.jsonl"), f"{count:>7,} rows  {count / total:6.1%}")
            for name, count in self.counts.items()
        ]
        facts.append(("method", f"{self.record['method']}, seed {self.record['seed']}"))
        together = self.record["together"]
        if together["units"]:
            facts.append(("kept on one side", f"{together['rows']:,} rows in {together['units']:,} groups"))
        if self.record["source"]["bad"]:
            facts.append(("bad rows left out", f"{self.record['source']['bad']:,}"))
        return facts

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        return f"Split({str(self.folder)!r}: {counts})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        width = max(len(name) for name, _ in self.facts())
        for name, value in self.facts():
            yield Text(f"{name:<{width}}  {value}")
        classes: dict[str, dict[str, int]] = self.record["classes"]
        if classes:
            table = Table("answer")
            for name in self.counts:
                table.add_column(name, justify="right")
            for answer, counts in list(classes.items())[:_SHOWN_CLASSES]:
                table.add_row(Text(answer), *(f"{counts[name]:,}" for name in self.counts))
            yield table
        for note in self.notes:
            yield Text(f"note: {note}")
        yield Text("The test file is sealed: every time it is opened as a test is counted beside it.")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.facts()
        )
        return f"<table><caption>{html.escape(str(self.folder))}</caption>{rows}</table>"


def split(
    data: str | PathLike[str],
    out: str | PathLike[str],
    *,
    test: float = 0.15,
    valid: float = 0.1,
    seed: int = 0,
    group: str | None = None,
    time: str | None = None,
    near_duplicates: float = NEAR_DUPLICATES,
    text: str | None = None,
    label: str | None = None,
    skip_bad: bool = False,
    format: str | None = None,
    overwrite: bool = False,
) -> Split:
    """Cuts a file of rows into train.jsonl, valid.jsonl and test.jsonl in the folder `out`, and seals the test file.

    `test` and `valid` are shares of the rows; a `valid` of 0 makes no such file. Where the answers are classes, each
    class is cut by the shares. Rows whose prompts are near-duplicates (Jaccard similarity of `near_duplicates` and
    more; 0 to switch it off) and rows with the same value under the key `group` are on one side. With `time`, a key
    with numbers or ISO dates, the latest rows are test and those before them valid; near-duplicates and groups go where
    their latest row goes. Rows are written unchanged, in the order of `data`; the same data and seed give the same
    files. `text`, `label`, `skip_bad` and `format` are as in `luthier.read`.

    Raises InputError for shares out of range, too few rows, missing keys, and files that exist already unless
    `overwrite` is set.
    """
    if not (0 < test < 1 and 0 <= valid < 1 and test + valid < 1):
        raise InputError(
            f"[split] --test {test:g} and --valid {valid:g}: shares above 0 that leave some rows to train on"
        )
    if not 0 <= near_duplicates <= 1:
        raise InputError(f"[split] --near-duplicates {near_duplicates:g}: must be between 0 and 1")
    folder, source = Path(out), Path(data)
    check_folder(folder, source, overwrite)
    records = read(source, text=text, label=label, skip_bad=skip_bad, purpose="prompt", format=format)
    shares = (1 - test - valid, valid, test)
    units = _units(records, group, near_duplicates)
    classes = _classes(records)
    if time is None:
        method = "random" if classes is None else "stratified"
        sides = by_shares(units, classes or [""] * len(records), shares, seed)
    else:
        method = "time"
        sides = by_time(units, row_times(records, time), shares)
    side_of = {row: side for unit, side in zip(units, sides) for row in unit}
    members = {name: [row for row in range(len(records)) if side_of[row] == side] for side, name in enumerate(SIDES)}
    _check_sides(members, records, units, shares)
    lines = row_lines(records)
    larger = [unit for unit in units if len(unit) > 1]
    record = {
        "format": FORMAT,
        "method": method,
        "seed": seed,
        "shares": {"test": test, "valid": valid},
        "group": group,
        "time": time,
        "near_duplicates": near_duplicates,
        "source": {
            "file": str(source),
            "sha256": records.sha256,
            "read_as": str(records.format),
            "rows": len(records),
            "bad": len(records.bad),
        },
        "together": {"units": len(larger), "rows": sum(len(unit) for unit in larger)},
        "classes": _class_counts(classes, members),
    }
    written = write_split(folder, {name: [lines[row] for row in rows] for name, rows in members.items()}, record)
    return Split(folder, written, _notes(members, units, side_of, shares))


def _units(records: Records, group: str | None, near_duplicates: float) -> list[list[int]]:
    sets = [] if group is None else [group_sets(records, group)]
    if near_duplicates > 0:
        from luthier.checks.near_duplicates import near_duplicate_groups
        from luthier.checks.texts import conversation

        sets.append(near_duplicate_groups([conversation(record) for record in records], near_duplicates))
    return joined(len(records), *sets)


def _classes(records: Sequence[Record]) -> list[str] | None:
    """The class of each row, where the answers are classes."""
    from luthier.evaluation.classes import is_classification

    answers = [record.reference.strip() for record in records if record.reference is not None]
    if len(answers) < len(records) or not is_classification(answers):
        return None
    return answers


def _class_counts(classes: list[str] | None, members: dict[str, list[int]]) -> dict[str, dict[str, int]]:
    if classes is None:
        return {}
    by_side = {name: Counter(classes[row] for row in rows) for name, rows in members.items()}
    return {answer: {name: by_side[name][answer] for name in members} for answer in sorted(set(classes))}


def _check_sides(
    members: dict[str, list[int]], records: Records, units: Sequence[Sequence[int]], shares: tuple[float, float, float]
) -> None:
    for side, name in enumerate(SIDES):
        if members[name] or (side == VALID and shares[VALID] == 0):
            continue
        largest = max(len(unit) for unit in units)
        why = (
            f"of {len(records):,} in all" if largest == 1 else f"of {len(records):,} in all {largest:,} belong together"
        )
        if largest > 1:
            why += " (a group, or near-duplicates: see luthier check)"
        raise InputError(f"{records.path}: no row is left for {name}: {why}. Raise its share, or bring more rows.")


def _notes(
    members: dict[str, list[int]],
    units: Sequence[Sequence[int]],
    side_of: dict[int, int],
    shares: tuple[float, float, float],
) -> list[str]:
    total = sum(len(rows) for rows in members.values())
    notes = []
    for side in (VALID, TEST):
        share = len(members[SIDES[side]]) / total
        if shares[side] and abs(share - shares[side]) > max(0.2 * shares[side], 2 / total):
            notes.append(
                f"{SIDES[side]} has {share:.1%} of the rows instead of {shares[side]:.0%}, "
                "since rows that belong together were not parted"
            )
    largest = max(units, key=len)
    if len(largest) > 0.1 * total and side_of[largest[0]] == TRAIN:
        notes.append(f"{len(largest):,} rows belong together and are all in train; nothing tests them")
    return notes
