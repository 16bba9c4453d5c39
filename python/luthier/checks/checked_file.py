"""A file as the checks see it: its usable rows, its bad ones, and what was guessed about its format.

Unlike `luthier.records.read` this never refuses a file for its bad rows, and it keeps little: a system message that
rows share is held once, and the parsed rows are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from luthier.checks.encodings import guess_encoding
from luthier.checks.finding import Place
from luthier.records.lines import BYTE_ORDER_MARK
from luthier.records.reader import Purpose, is_table, scan
from luthier.records.record import BadRow, Record, Records

__all__ = ["CheckedFile", "Reading", "checked_file", "checked_rows"]

_MOST_LAYOUTS = 20
_SAMPLE = 1 << 16
_SAMPLE_LINES = 200


@dataclass(frozen=True)
class Reading:
    """How to read the rows: the columns of a CSV file and the file with a common system message."""

    text: str | None = None
    label: str | None = None
    system: str | None = None

    def options(self) -> list[str]:
        """The same as options of a command."""
        given = (("--text", self.text), ("--label", self.label), ("--system", self.system))
        return [part for name, value in given if value is not None for part in (name, value)]


@dataclass(frozen=True)
class CheckedFile:
    """The rows of one file, or of memory.

    `layouts` counts the rows by the names of their keys or columns; `encoding` is what the file seems to be written
    in where that is not UTF-8; `byte_order_mark` says whether it starts with one.
    """

    name: str
    path: Path | None
    rows: Sequence[Record]
    bad: Sequence[BadRow]
    layouts: dict[tuple[str, ...], int]
    table: bool = False
    encoding: str | None = None
    byte_order_mark: bool = False

    @property
    def total(self) -> int:
        """How many rows the file has, good and bad."""
        return len(self.rows) + len(self.bad)

    def place(self, index: int) -> Place:
        """Where a row stands; a row of memory is numbered from 1."""
        row = self.rows[index]
        return Place(row.file or self.name, row.line or index + 1)


def checked_file(path: str | PathLike[str], reading: Reading, purpose: Purpose = "train") -> CheckedFile:
    """Reads a file. Raises InputError where it cannot be read at all, or where a column is missing."""
    path = Path(path)
    bad: list[BadRow] = []
    layouts: dict[tuple[str, ...], int] = {}

    def good() -> Iterable[Record]:
        for row in scan(path, text=reading.text, label=reading.label, system=reading.system, purpose=purpose):
            if isinstance(row, BadRow):
                bad.append(row)
                continue
            _count(layouts, row)
            yield row

    rows = _lean(good())
    encoding, mark = _encoding(path, bad)
    table = is_table(path, reading.text, reading.label)
    return CheckedFile(str(path), path, rows, bad, layouts, table, encoding, mark)


def checked_rows(rows: Sequence[Record], name: str = "the rows in memory") -> CheckedFile:
    """Rows that are in memory already."""
    path = rows.path if isinstance(rows, Records) else None
    bad = rows.bad if isinstance(rows, Records) else []
    layouts: dict[tuple[str, ...], int] = {}
    for row in rows:
        _count(layouts, row)
    return CheckedFile(str(path or name), path, _lean(rows), bad, layouts)


def _count(layouts: dict[tuple[str, ...], int], row: Record) -> None:
    layout = tuple(row.raw)
    if row.raw and (layout in layouts or len(layouts) < _MOST_LAYOUTS):
        layouts[layout] = layouts.get(layout, 0) + 1


def _lean(rows: Iterable[Record]) -> list[Record]:
    """The rows without what they were parsed from, and with equal system messages and short answers held once."""
    shared: dict[str, str] = {}
    lean = []
    for row in rows:
        messages = tuple(
            replace(message, content=shared.setdefault(message.content, message.content))
            if message.role in ("system", "developer") or len(message.content) <= 40
            else message
            for message in row.messages
        )
        lean.append(Record(messages, file=row.file, line=row.line, weight=row.weight))
    return lean


def _encoding(path: Path, bad: Sequence[BadRow]) -> tuple[str | None, bool]:
    """(what the file seems to be written in or None, whether it starts with a byte order mark of UTF-8)."""
    with path.open("rb") as stream:
        start = stream.read(_SAMPLE)
    mark = start.startswith(BYTE_ORDER_MARK)
    if not bad:
        return None, mark
    # The bytes that are not UTF-8 may stand anywhere, so the sample is of the lines that could not be read.
    wanted = {row.line for row in bad if row.kind == "encoding"}
    sample = [start[:4096]]
    if wanted:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number in wanted:
                    sample.append(line[:_SAMPLE])
                    if len(sample) > _SAMPLE_LINES:
                        break
    return guess_encoding(start[:4096], b"\n".join(sample)), mark
