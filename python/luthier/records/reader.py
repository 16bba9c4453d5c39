"""Reads a file of examples into Records, and stops where too many of its rows are bad."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from luthier.errors import InputError
from luthier.records.arrow import arrow_rows
from luthier.records.fields import Columns, columns_of, fields_of
from luthier.records.format import file_format, parse_format
from luthier.records.json_array import parsed_array
from luthier.records.lines import parsed_lines
from luthier.records.record import BadRow, Format, Record, Records
from luthier.records.rows import BadRowError, Purpose, record_from_object
from luthier.records.saved_dataset import saved_files
from luthier.records.table import read_table

__all__ = ["MOST_BAD", "Purpose", "Scan", "read", "scan", "stored_as"]

MOST_BAD = 0.01
"""The share of bad rows above which a file is refused."""
_SHOWN = 5
_HEAD = 64
_CHUNK = 1 << 20

Parsed = Iterator[tuple[int, object]]
"""Rows as they were parsed, or BadRowError, each with its line."""


def read(
    path: str | PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    skip_bad: bool = False,
    purpose: Purpose = "train",
    format: str | None = None,
) -> Records:
    """Reads rows from JSON Lines, a JSON array, CSV, TSV, Parquet, Arrow or a folder of Hugging Face datasets.

    How a file is stored is told by its name and first bytes; how a row is read, by its keys: chats (`messages`),
    `prompt` and `completion`, Alpaca (`instruction`, `input`, `output`), ShareGPT (`conversations`), or the columns
    `text` and `label`. `format` overrides either or both: "csv", "alpaca", "csv/alpaca". `text` and `label` name the
    columns with the question and the answer. `system` is a file whose text becomes the system message of every row
    without one. With purpose "train" the last message must be the assistant's; with "prompt" it may be missing
    (`Record.prompt` and `Record.reference` tell the two apart). `Records.format` says what the file was taken for.

    Bad rows are left out and listed in `.bad`. Raises InputError where the file cannot be read, has no usable row,
    or more than 1 % of its rows are bad and `skip_bad` is not set.
    """
    rows: list[Record] = []
    bad: list[BadRow] = []
    scanned = scan(path, text=text, label=label, system=system, purpose=purpose, format=format)
    for row in scanned:
        if isinstance(row, Record):
            rows.append(row)
        else:
            bad.append(row)
    _check(str(path), rows, bad, skip_bad)
    return Records(tuple(rows), Path(path), scanned.sha256, bad, scanned.format)


def stored_as(path: Path, text: str | None = None, label: str | None = None, format: str | None = None) -> str:
    """How `read` takes the rows of a file to be stored, as in Format. Raises InputError where it cannot be opened."""
    stored, _ = parse_format(format)
    return stored or _stored(path, text is not None or label is not None)


def scan(
    path: str | PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    purpose: Purpose = "train",
    format: str | None = None,
) -> Scan:
    """The rows of a file one by one, good and bad, whatever their shares; arguments as those of `read`.

    Raises InputError, here or while it is iterated, where the file cannot be read at all.
    """
    stored, fields = parse_format(format)
    if fields is None and (text is not None or label is not None):
        fields = "columns"
    reading = _Reading(
        file=str(path),
        purpose=purpose,
        system=None if system is None else system_text(Path(system)),
        fields=fields,
        columns=(text or "text", label or "label"),
        needs_label=purpose == "train" or label is not None,
    )
    return Scan(Path(path), stored or _stored(Path(path), fields == "columns"), reading)


class Scan(Iterator[Record | BadRow]):
    """The rows of a file, each read when it is asked for. `format` and `sha256` are those of the rows read so far."""

    def __init__(self, path: Path, stored: str, reading: _Reading) -> None:
        self._reading = reading
        self._stored = stored
        self._digest = hashlib.sha256()
        self._taken: Counter[str] = Counter()
        self._parsed = _parsed(path, stored, reading, self._digest)

    def __next__(self) -> Record | BadRow:
        file = self._reading.file
        try:
            line, row = next(self._parsed)
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None
        try:
            record, fields = self._reading.record(row, line)
        except BadRowError as error:
            return BadRow(file, line, str(error), error.kind)
        self._taken[fields] += 1
        return record

    @property
    def format(self) -> Format:
        """What the file was taken for."""
        names = [name for name, _ in self._taken.most_common()]
        return Format(self._stored, ", ".join(names), columns_of(names[0], self._reading.columns) if names else {})

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes of the file, in hexadecimal."""
        return self._digest.hexdigest()


@dataclass
class _Reading:
    """How the rows of one file are read. `fields` is None where each row's keys are to tell."""

    file: str
    purpose: Purpose
    system: str | None
    fields: str | None
    columns: Columns
    needs_label: bool

    def record(self, row: object, line: int) -> tuple[Record, str]:
        """The record of a parsed row, and what its keys were taken for. Raises BadRowError."""
        if isinstance(row, BadRowError):
            raise row
        fields = self.fields or (fields_of(row, self.purpose) if isinstance(row, dict) else "chat")
        found = record_from_object(
            row,
            file=self.file,
            line=line,
            purpose=self.purpose,
            system=self.system,
            fields=fields,
            columns=self.columns,
        )
        return found, fields

    def choices(self) -> list[tuple[str, tuple[str, ...]]]:
        """What the columns of a table may be taken for, in the order in which it is tried."""
        question, answer = self.columns[0], self.columns[1] or "label"
        named = {"columns": (question, answer), "alpaca": ("instruction", "output"), "prompt": ("prompt", "completion")}
        fields = list(named) if self.fields is None else [self.fields]
        known: list[tuple[str, tuple[str, ...]]] = [(name, named.get(name, ("messages",))) for name in fields]
        if self.needs_label:
            return known
        return known + [(name, columns[:1]) for name, columns in known]


def _stored(path: Path, columns_named: bool) -> str:
    """How the rows of a file or folder are stored."""
    try:
        if path.is_dir():
            return "datasets"
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}") from None
    with _opened(path) as stream:
        return file_format(path, stream.read(_HEAD), columns_named=columns_named)


def _parsed(path: Path, stored: str, reading: _Reading, digest: hashlib._Hash) -> Parsed:
    if stored == "datasets":
        if not path.is_dir():
            raise InputError(f"{path}: a saved dataset is a folder with state.json, and there is none of this name")
        return _from_arrow(saved_files(path), "arrow", digest)
    if stored in ("parquet", "arrow"):
        return _from_arrow([path], stored, digest)
    return _from_text(path, stored, reading, digest)


def _from_text(path: Path, stored: str, reading: _Reading, digest: hashlib._Hash) -> Parsed:
    with _opened(path) as stream:
        lines = _hashed(stream, digest)
        if stored == "json":
            yield from parsed_array(b"".join(lines), file=reading.file)
        elif stored == "jsonl":
            yield from parsed_lines(lines)
        else:
            yield from _from_table(lines, stored, reading)


def _from_table(lines: Iterator[bytes], stored: str, reading: _Reading) -> Parsed:
    choices = reading.choices()
    table = read_table(lines, choices=[columns for _, columns in choices], file=reading.file, tabs=stored == "tsv")
    if table is None:
        return
    # From here on the header decides, not each row's cells.
    reading.fields = choices[table.choice][0]
    if reading.fields == "columns" and reading.columns[1] not in table.columns:
        reading.columns = (reading.columns[0], None)
    yield from table.rows


def _from_arrow(files: Iterable[Path], stored: str, digest: hashlib._Hash) -> Parsed:
    before = 0
    for file in files:
        with _opened(file) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        number = 0
        for number, row in arrow_rows(file, stored):
            yield before + number, row
        before += number


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file")
        stream = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read the file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}") from None
    return stream


def _hashed(stream: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    for line in stream:
        digest.update(line)
        yield line


def _check(file: str, rows: list[Record], bad: list[BadRow], skip_bad: bool) -> None:
    total = len(rows) + len(bad)
    if total == 0:
        raise InputError(f"{file}: holds no rows")
    share = len(bad) / total
    if share > MOST_BAD and (not skip_bad or not rows):
        shown = "\n".join(f"  {row}" for row in bad[:_SHOWN])
        more = f"\n  ... and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        remedy = "Mend the rows, or leave them out with --skip-bad." if rows else "No usable row is left."
        raise InputError(f"{file}: {len(bad):,} of {total:,} rows are bad ({share:.1%}):\n{shown}{more}\n{remedy}")


def system_text(path: Path) -> str:
    """The text of a file with a system message. Raises InputError where it cannot be read or is empty."""
    with _opened(path) as stream:
        content = stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: byte 0x{content[error.start]:02x} at byte {error.start + 1}") from None
    if "\0" in text:
        raise InputError(f"{path}: holds a NUL byte")
    # An editor's last line end is not part of the message.
    text = text.rstrip("\r\n")
    if not text.strip():
        raise InputError(f"{path}: the system message is empty")
    return text
