"""CSV with a header line, read line by line: each row as a mapping, with the line on which it starts."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator

from luthier.errors import InputError
from luthier.records.lines import BYTE_ORDER_MARK
from luthier.records.rows import BadRowError

__all__ = ["parsed_table", "table_header"]

_DELIMITERS = (",", ";", "\t", "|")
# A NUL byte is carried through the parser as this lone surrogate, which no decoding yields.
_NUL = "\udc00"


def parsed_table(
    lines: Iterable[bytes], *, wanted: tuple[str, ...], optional: tuple[str, ...] = (), file: str
) -> Iterator[tuple[int, dict[str, str] | BadRowError]]:
    """Each row with the 1-based line on which it starts: its cells by column, or BadRowError with the reason.

    The delimiter is the first of comma, semicolon, tab and bar under which the header has the wanted columns.
    Quoted cells may hold line ends. Raises InputError where the header lacks a wanted column.
    """
    # The default limit of 128 KiB a cell is below what documents need.
    csv.field_size_limit(sys.maxsize)
    text = _decoded(lines)
    first = next(text, None)
    if first is None:
        return
    delimiter, header = table_header(first, wanted, optional, file)
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


def table_header(line: str, wanted: tuple[str, ...], optional: tuple[str, ...], file: str) -> tuple[str, list[str]]:
    """The delimiter and the columns that a header line has. Raises InputError where it lacks a wanted column."""
    best: list[str] = []
    for delimiter in _DELIMITERS:
        try:
            columns = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if all(name in columns for name in wanted + optional):
            return delimiter, _distinct(columns, file)
        if len(columns) > len(best):
            best = columns
            best_delimiter = delimiter
    if best and all(name in best for name in wanted):
        return best_delimiter, _distinct(best, file)
    missing = next(name for name in wanted if name not in best)
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
