"""CSV with a header line, read line by line: each row as a mapping, with the line on which it starts."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from luthier.errors import InputError
from luthier.records.lines import BYTE_ORDER_MARK
from luthier.records.values import BadRowError

__all__ = ["Table", "read_table", "table_header"]

_DELIMITERS = (",", ";", "\t", "|")
# A NUL byte is carried through the parser as this lone surrogate, which no decoding yields.
_NUL = "\udc00"


@dataclass(frozen=True)
class Table:
    """A table with its header read: `choice` is the number of the columns chosen, `rows` are still to be read.

    Each row comes with the 1-based line on which it starts: its cells by column, or BadRowError with the reason.
    """

    columns: list[str]
    choice: int
    rows: Iterator[tuple[int, dict[str, str] | BadRowError]]


def read_table(
    lines: Iterable[bytes], *, choices: Sequence[tuple[str, ...]], file: str, tabs: bool = False
) -> Table | None:
    """The table in the lines of a file, None where there is no line.

    `choices` are sets of columns, of which the first is taken that the header has under one of the delimiters comma,
    semicolon, tab and bar, tried in this order; with `tabs` only tabs are delimiters. Quoted cells may hold line ends.
    Raises InputError where the header has none of them.
    """
    # The default limit of 128 KiB a cell is below what documents need.
    csv.field_size_limit(sys.maxsize)
    text = _decoded(lines)
    first = next(text, None)
    if first is None:
        return None
    delimiter, header, choice = _header(first, choices, ("\t",) if tabs else _DELIMITERS, file)
    return Table(header, choice, _rows(text, delimiter, header))


def table_header(line: str, wanted: tuple[str, ...], optional: tuple[str, ...], file: str) -> tuple[str, list[str]]:
    """The delimiter and the columns that a header line has. Raises InputError where it lacks a wanted column."""
    delimiter, columns, _ = _header(line, [wanted + optional, wanted], _DELIMITERS, file)
    return delimiter, columns


def _rows(text: Iterator[str], delimiter: str, header: list[str]) -> Iterator[tuple[int, dict[str, str] | BadRowError]]:
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        start = rows.line_num + 2
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, BadRowError(f"not CSV: {error}")
            continue
        if cells and any(cell.strip() for cell in cells):
            yield start, _row(header, cells)


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0 and line.startswith(BYTE_ORDER_MARK):
            line = line[len(BYTE_ORDER_MARK) :]
        yield line.decode("utf-8", errors="surrogateescape").replace("\0", _NUL)


def _header(
    line: str, choices: Sequence[tuple[str, ...]], delimiters: Sequence[str], file: str
) -> tuple[str, list[str], int]:
    headers: dict[str, list[str]] = {}
    for delimiter in delimiters:
        with suppress(csv.Error):
            headers[delimiter] = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    for number, wanted in enumerate(choices):
        for delimiter, columns in headers.items():
            if all(name in columns for name in wanted):
                return delimiter, _distinct(columns, file), number
    best = max(headers.values(), key=len, default=[])
    missing = next((name for name in choices[0] if name not in best), choices[0][0])
    present = ", ".join(repr(name) for name in best)
    raise InputError(
        f"{file}:1: there is no column {missing!r}; the columns are {present}. "
        "Name the columns with --text and --label."
    )


def _distinct(columns: list[str], file: str) -> list[str]:
    for index, name in enumerate(columns):
        if name in columns[:index]:
            raise InputError(f"{file}:1: the column {name!r} stands twice in the header; rename one of the two.")
    return columns


def _row(header: list[str], cells: list[str]) -> dict[str, str] | BadRowError:
    if len(cells) != len(header):
        return BadRowError(f"{len(cells)} cells where the header has {len(header)} columns")
    for name, cell in zip(header, cells):
        if _NUL in cell:
            return BadRowError(f"a NUL byte in column {name!r}")
        for character in cell:
            if "\udc80" <= character <= "\udcff":
                offset = len(cell[: cell.index(character)].encode("utf-8", errors="surrogateescape"))
                byte = ord(character) - 0xDC00
                return BadRowError(f"not UTF-8: byte 0x{byte:02x} at byte {offset + 1} of column {name!r}", "encoding")
    return dict(zip(header, cells))
