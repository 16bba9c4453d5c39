"""`luthier.clean`: a copy of a file with exactly the repairs that were asked for, and a log of each of them."""

from __future__ import annotations

import html
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any

from luthier import durable
from luthier.checks.checked_file import Reading
from luthier.checks.mend import Change, mended_lines
from luthier.checks.registry import CODES
from luthier.checks.run import check
from luthier.errors import InputError, LuthierError
from luthier.records.reader import stored_as

__all__ = ["DROPPABLE", "MASKABLE", "CleanReport", "clean"]

DROPPABLE = tuple(code for code in CODES if code not in ("label-variant", "too-few"))
"""What `--drop` takes: codes of findings whose rows can be left out. Their plurals are accepted too."""
MASKABLE = ("pii", "secrets")
_PLURALS = {
    "empty-answers": "empty-answer",
    "secrets": "secret",
    "small-classes": "small-class",
    "boundaries": "boundary",
}
LOG = ".log.jsonl"


@dataclass(frozen=True, repr=False)
class CleanReport:
    """What `clean` did: rows read and written, and how many were dropped or changed, by reason."""

    out: Path
    log: Path
    rows: int
    written: int
    changes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "out": str(self.out),
            "log": str(self.log),
            "rows": self.rows,
            "written": self.written,
            "changes": dict(self.changes),
        }

    def __str__(self) -> str:
        lines = [f"{self.out}: {self.written:,} of {self.rows:,} rows"]
        lines += [f"  {what}: {count:,}" for what, count in self.changes.items()]
        return "\n".join([*lines, f"each change is in {self.log}"])

    def __repr__(self) -> str:
        what = ", ".join(f"{name} {count:,}" for name, count in self.changes.items()) or "no change"
        return f"CleanReport({str(self.out)!r}: {self.written:,} of {self.rows:,} rows; {what})"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{html.escape(what)}</td><td>{count:,}</td></tr>" for what, count in self.changes.items()
        )
        caption = html.escape(f"{self.out}: {self.written:,} of {self.rows:,} rows; log in {self.log.name}")
        return f"<table><caption>{caption}</caption>{cells}</table>"


def clean(
    data: str | PathLike[str],
    out: str | PathLike[str],
    *,
    drop: Collection[str] = (),
    mask: Collection[str] = (),
    merge_labels: bool = False,
    encoding: str | None = None,
    test: str | PathLike[str] | None = None,
    valid: str | PathLike[str] | None = None,
    schema: str | PathLike[str] | Mapping[str, Any] | None = None,
    model: str | PathLike[str] | None = None,
    max_length: int = 1024,
    text: str | None = None,
    label: str | None = None,
    system: str | PathLike[str] | None = None,
    format: str | None = None,
) -> CleanReport:
    """Writes a copy of a JSONL or CSV file without the rows, or without the texts, that were asked to go.

    `drop` names findings of `check` whose rows are left out; of duplicates the first row stays, of conflicts none does.
    `mask` replaces personal data ("pii") or keys ("secrets") by words such as [EMAIL]. `merge_labels` writes each label
    in its most frequent spelling. `encoding` only converts the file from that encoding to UTF-8, and goes alone.
    `test`, `valid`, `schema` and `model` are as in `check`, for the findings that need them.

    Rows that are not concerned are copied byte for byte. `out` is replaced in one step at the end, and never is the
    input; OUT.log.jsonl has a line for each change. Raises InputError, or LuthierError where nothing can be written.
    """
    source, target = Path(data), Path(out)
    codes = [_code(name) for name in drop]
    masks = tuple(dict.fromkeys(_maskable(name) for name in mask))
    _check_places(source, target)
    if encoding is not None:
        if codes or masks or merge_labels:
            raise InputError("[clean] --encoding goes alone: convert first, then clean the converted file")
        return _converted(source, target, encoding)
    if not codes and not masks and not merge_labels:
        raise InputError("[clean] nothing was asked for; give --drop, --mask, --merge-labels or --encoding")
    reading = Reading(text, label, None if system is None else str(system), format)
    if (stored := stored_as(source, text, label, format)) not in ("jsonl", "csv", "tsv"):
        raise InputError(
            f"{source}: is {stored}, and clean copies lines of JSON, CSV and TSV; luthier split writes such lines"
        )
    wanted = [*codes, *(["label-variant"] if merge_labels else [])]
    found = None
    if wanted:
        found = check(
            source,
            test=test,
            valid=valid,
            schema=schema,
            model=model,
            max_length=max_length,
            text=text,
            label=label,
            system=system,
            format=format,
            only=wanted,
        )
        for skipped in found.skipped:
            raise InputError(f"[clean] {skipped.code}: {skipped.reason}")
    dropped = {
        row.place.line: Change("dropped", finding.code, row.note, row.other)
        for code in reversed(codes)
        if found is not None and (finding := found[code]).severity != "fine"
        for row in finding.rows
        if row.counted and row.place.file == str(source)
    }
    changes: Counter[str] = Counter()
    counts: Counter[str] = Counter()

    def write(rows: IO[bytes], log: IO[bytes]) -> None:
        for line, content, change in mended_lines(source, reading, dropped, masks, merge_labels):
            if line is not None:
                counts["rows"] += 1
            if content is not None:
                counts["written"] += line is not None
                rows.write(content)
            if change is not None and line is not None:
                changes[f"{change.kind} ({change.code})"] += 1
                log.write(change.log_line(str(source), line))

    _write_both(target, write)
    return CleanReport(target, _log_path(target), counts["rows"], counts["written"], dict(changes))


def _code(name: str) -> str:
    code = _PLURALS.get(name.strip(), name.strip())
    for candidate in (code, code.removesuffix("s")):
        if candidate in DROPPABLE:
            return candidate
    raise InputError(f"[clean] --drop {name}: it must be one of {', '.join(DROPPABLE)}")


def _maskable(name: str) -> str:
    plain = name.strip()
    plain = "secrets" if plain == "secret" else plain
    if plain not in MASKABLE:
        raise InputError(f"[clean] --mask {name}: it must be one of {', '.join(MASKABLE)}")
    return plain


def _check_places(source: Path, target: Path) -> None:
    if target.is_dir():
        raise InputError(f"[clean] {target} is a folder; name a file for the rows")
    if not target.absolute().parent.is_dir():
        raise InputError(f"[clean] there is no folder {target.absolute().parent} to write {target.name} to")
    for place in (target, _log_path(target)):
        if source.exists() and place.exists() and os.path.samefile(source, place):
            raise InputError(f"[clean] {place} is the input; name another file, the input is never changed")


def _log_path(target: Path) -> Path:
    return target.with_name(target.name + LOG)


def _converted(source: Path, target: Path, encoding: str) -> CleanReport:
    """A copy in UTF-8. The whole file is one change."""
    count = 0

    def write(rows: IO[bytes], log: IO[bytes]) -> None:
        nonlocal count
        for line in stream:
            count += 1
            rows.write(line.encode("utf-8"))
        log.write(Change("converted", "encoding", f"from {encoding} to UTF-8").log_line(str(source), 1))

    try:
        with source.open(encoding=encoding, newline="") as stream:
            _write_both(target, write)
    except OSError as error:
        raise InputError(f"[clean] {source}: cannot be read: {error.strerror or error}") from None
    except LookupError:
        raise InputError(f"[clean] --encoding {encoding}: there is no such encoding; cp1252 is one") from None
    except UnicodeError as error:
        raise InputError(f"[clean] {source}: is not {encoding} after line {count:,}: {error}") from None
    return CleanReport(target, _log_path(target), count, count, {f"converted from {encoding}": 1})


def _write_both(target: Path, write: Any) -> None:
    """Lets `write` fill the rows and the log, and puts both in place when it is done, the rows last."""
    log = _log_path(target)
    asides = [path.with_name(path.name + durable.TEMPORARY) for path in (log, target)]
    try:
        with asides[0].open("wb") as log_stream, asides[1].open("wb") as row_stream:
            write(row_stream, log_stream)
        for aside, path in zip(asides, (log, target)):
            durable.sync(aside)
            os.replace(aside, path)
        durable.sync(target.absolute().parent)
    except OSError as error:
        raise LuthierError(
            f"[clean] cannot write {target}: {error.strerror or error}; it is as it was before"
        ) from error
    finally:
        for aside in asides:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def changes_of(log: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log."""
    with log.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)
