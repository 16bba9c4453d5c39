"""Reads a file of examples into Records, and stops where too many of its rows are bad."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from luthier.errors import InputError
from luthier.records.lines import parsed_lines
from luthier.records.record import BadRow, Record, Records
from luthier.records.rows import BadRowError, Purpose, record_from_columns, record_from_object
from luthier.records.table import parsed_table

__all__ = ["MOST_BAD", "Purpose", "is_table", "read", "scan"]

_TABLES = (".csv", ".tsv")
MOST_BAD = 0.01
"""The share of bad rows above which a file is refused."""
_SHOWN = 5


def read(
    path: str | PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    skip_bad: bool = False,
    purpose: Purpose = "train",
) -> Records:
    """Reads chat JSONL (`messages`), `prompt`/`completion` JSONL, or CSV with a text and a label column.

    A file whose name ends in .csv or .tsv, or for which `text` or `label` is given, is CSV; their defaults are the
    columns `text` and `label`. `system` is a file whose text becomes the system message of every row without one.
    With purpose "train" the last message must be the assistant's; with "prompt" it may be missing (`Record.prompt`
    and `Record.reference` tell the two apart).

    Bad rows are left out and listed in `.bad`. Raises InputError where the file cannot be read, has no usable row,
    or more than 1 % of its rows are bad and `skip_bad` is not set.
    """
    path = Path(path)
    rows: list[Record] = []
    bad: list[BadRow] = []
    digest = hashlib.sha256()
    for row in scan(path, text=text, label=label, system=system, purpose=purpose, digest=digest):
        if isinstance(row, Record):
            rows.append(row)
        else:
            bad.append(row)
    _check(str(path), rows, bad, skip_bad)
    return Records(tuple(rows), path, digest.hexdigest(), bad)


def is_table(path: Path, text: str | None = None, label: str | None = None) -> bool:
    """Whether `read` takes the file for CSV."""
    return path.suffix.lower() in _TABLES or text is not None or label is not None


def scan(
    path: str | PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    purpose: Purpose = "train",
    digest: hashlib._Hash | None = None,
) -> Iterator[Record | BadRow]:
    """The rows of a file one by one, good and bad, whatever their shares; arguments as those of `read`.

    `digest` is fed the bytes of the file. Raises InputError where the file cannot be read at all.
    """
    path = Path(path)
    system_text = None if system is None else _system_text(Path(system))
    file = str(path)
    with _opened(path) as stream:
        lines = _hashed(stream, digest or hashlib.sha256())
        if is_table(path, text, label):
            parsed = _from_table(lines, text or "text", label or "label", label is not None, file, purpose, system_text)
        else:
            parsed = _from_lines(lines, file, purpose, system_text)
        try:
            for line, row in parsed:
                yield row if isinstance(row, Record) else BadRow(file, line, str(row), row.kind)
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror or error}") from None


def _from_lines(
    lines: Iterator[bytes], file: str, purpose: Purpose, system: str | None
) -> Iterator[tuple[int, Record | BadRowError]]:
    for line, row in parsed_lines(lines):
        if not isinstance(row, BadRowError):
            try:
                row = record_from_object(row, file=file, line=line, purpose=purpose, system=system)
            except BadRowError as error:
                row = error
        yield line, row


def _from_table(
    lines: Iterator[bytes], text: str, label: str, label_named: bool, file: str, purpose: Purpose, system: str | None
) -> Iterator[tuple[int, Record | BadRowError]]:
    needs_label = purpose == "train" or label_named
    wanted = (text, label) if needs_label else (text,)
    for line, row in parsed_table(lines, wanted=wanted, optional=() if needs_label else (label,), file=file):
        if isinstance(row, BadRowError):
            yield line, row
            continue
        present = label if label in row else None
        try:
            yield (
                line,
                record_from_columns(
                    row, text=text, label=present, file=file, line=line, purpose=purpose, system=system
                ),
            )
        except BadRowError as error:
            yield line, error


def _opened(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file of rows, such as {path / 'train.jsonl'}")
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


def _system_text(path: Path) -> str:
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
