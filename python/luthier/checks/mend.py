"""The lines of a file with some rows left out and some texts replaced; all other bytes as they are."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from luthier.checks.checked_file import Reading
from luthier.checks.finding import Place
from luthier.checks.labels import variants
from luthier.checks.private_data import Span, find_pii, find_secrets, masked
from luthier.errors import InputError
from luthier.records.lines import BYTE_ORDER_MARK
from luthier.records.reader import is_table, scan
from luthier.records.record import Record
from luthier.records.table import table_header

__all__ = ["Change", "mended_lines"]

_FINDERS: dict[str, Callable[[str], list[Span]]] = {"pii": find_pii, "secrets": find_secrets}


@dataclass(frozen=True)
class Change:
    """What became of a row (dropped, masked, relabelled, converted), for which finding, and the partner row, if any."""

    kind: str
    code: str
    note: str = ""
    other: Place | None = None

    def log_line(self, file: str, line: int) -> bytes:
        """The line of the log."""
        value: dict[str, Any] = {"file": file, "line": line, "change": self.kind, "code": self.code, "note": self.note}
        if self.other is not None:
            value["other"] = {"file": self.other.file, "line": self.other.line}
        return (json.dumps(value, ensure_ascii=False) + "\n").encode("utf-8")


def mended_lines(
    path: Path, reading: Reading, dropped: Mapping[int, Change], masks: Collection[str], merge_labels: bool
) -> Iterator[tuple[int | None, bytes | None, Change | None]]:
    """(the line on which a row starts, its bytes or None where it is dropped, the change). What is no row, such as a
    header, comes without a line."""
    table = is_table(path, reading.text, reading.label)
    spellings = _spellings(path, reading) if merge_labels else {}
    column = reading.label or "label"
    delimiter, header = ",", list[str]()
    for line, content in _rows(path, reading, table):
        if line is None:
            if table and not header:
                head = content.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")
                delimiter, header = table_header(head, (reading.text or "text",), (column,), str(path))
            yield None, content, None
            continue
        if line in dropped:
            yield line, None, dropped[line]
            continue
        text = _text_of(content)
        if text is None or not (masks or spellings):
            yield line, content, None
            continue
        if table:
            new, change = _mended_cells(text, delimiter, header, column, masks, spellings)
        else:
            new, change = _mended_object(text, masks, spellings)
        if change is None:
            yield line, content, None
            continue
        ending = content[len(content.rstrip(b"\r\n")) :]
        yield line, new.encode("utf-8") + ending, change


def _rows(path: Path, reading: Reading, table: bool) -> Iterator[tuple[int | None, bytes]]:
    """The bytes of each row with the line on which it starts; what stands between rows without a line."""
    if not table:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield (number if line.removeprefix(BYTE_ORDER_MARK).strip() else None), line
        return
    starts = {row.line for row in scan(path, text=reading.text, label=reading.label)}
    with path.open("rb") as stream:
        begin: int | None = None
        held: list[bytes] = []
        for number, line in enumerate(stream, start=1):
            if number in starts or number <= 2:
                if held:
                    yield begin, b"".join(held)
                begin, held = (number if number in starts else None), []
            held.append(line)
        if held:
            yield begin, b"".join(held)


def _text_of(content: bytes) -> str | None:
    try:
        return content.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _mended_object(text: str, masks: Collection[str], spellings: Mapping[str, str]) -> tuple[str, Change | None]:
    """A JSON row with the texts in it masked and its answer in the usual spelling."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text, None
    kinds: Counter[str] = Counter()
    value = _masked_value(value, masks, kinds)
    change = _mask_change(kinds, masks)
    if spellings and isinstance(value, dict):
        holder, name = _answer_of(value)
        if holder is not None and isinstance(holder[name], str) and holder[name] in spellings:
            old, holder[name] = holder[name], spellings[holder[name]]
            change = _relabelled(old, holder[name], change)
    return (text, None) if change is None else (json.dumps(value, ensure_ascii=False), change)


def _mended_cells(
    text: str, delimiter: str, header: list[str], column: str, masks: Collection[str], spellings: Mapping[str, str]
) -> tuple[str, Change | None]:
    """A row of a table, likewise."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return text, None
    cells = next((row for row in rows if row), [])
    kinds: Counter[str] = Counter()
    cells = [_masked_value(cell, masks, kinds) for cell in cells]
    change = _mask_change(kinds, masks)
    place = header.index(column) if column in header else len(cells)
    if place < len(cells) and cells[place] in spellings:
        old, cells[place] = cells[place], spellings[cells[place]]
        change = _relabelled(old, cells[place], change)
    if change is None:
        return text, None
    buffer = io.StringIO()
    # The writer puts into quotes what holds a character of its line end, so it needs one to know.
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n"), change


def _masked_value(value: Any, masks: Collection[str], kinds: Counter[str]) -> Any:
    """The value with every text in it masked; keys stay."""
    if isinstance(value, str):
        for mask in masks:
            spans = _FINDERS[mask](value)
            kinds.update(span.kind for span in spans)
            value = masked(value, spans)
        return value
    if isinstance(value, list):
        return [_masked_value(item, masks, kinds) for item in value]
    if isinstance(value, dict):
        return {key: _masked_value(item, masks, kinds) for key, item in value.items()}
    return value


def _mask_change(kinds: Counter[str], masks: Collection[str]) -> Change | None:
    if not kinds:
        return None
    return Change("masked", ",".join(masks), ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))


def _relabelled(old: str, new: str, change: Change | None) -> Change:
    note = f"{old!r} is now {new!r}"
    if change is None:
        return Change("relabelled", "label-variant", note)
    return replace(change, note=f"{change.note}; {note}")


def _answer_of(row: dict[str, Any]) -> tuple[Any, Any]:
    """(the object that holds a row's answer, the key under which); (None, "") where there is none."""
    for name in ("messages", "completion"):
        value = row.get(name)
        if isinstance(value, list) and value and isinstance(value[-1], dict) and "content" in value[-1]:
            return value[-1], "content"
    if isinstance(row.get("completion"), str):
        return row, "completion"
    return None, ""


def _spellings(path: Path, reading: Reading) -> dict[str, str]:
    """Each variant of a label, with its most frequent spelling."""
    rows = scan(path, text=reading.text, label=reading.label, system=reading.system)
    labels = [row.reference for row in rows if isinstance(row, Record) and row.reference is not None]
    found = variants(labels)
    if any(len(label) > 1000 for label in found):
        raise InputError(f"{path}: --merge-labels is for labels, but the answers are long texts")
    return found
