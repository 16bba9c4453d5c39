"""The files of a split: the rows of each side as they stood, the record of the split, and the seal of the test file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from luthier import durable
from luthier.errors import InputError, LuthierError
from luthier.records.record import Record, Records
from luthier.splits.seal import new_seal, seal_path, seal_state

__all__ = ["SPLIT_FILE", "check_folder", "row_lines", "write_split"]

SPLIT_FILE = "split.json"
SIDES = ("train", "valid", "test")
_ASIDE = durable.TEMPORARY


def check_folder(folder: Path, source: Path, overwrite: bool) -> None:
    """Refuses, before any work is done, a folder in which a file would be lost. Raises InputError."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: this is a file; give --out a folder")
    own = _own_files(folder)
    there = [path for path in own if path.exists()]
    if any(path.resolve() == source.resolve() for path in there):
        raise InputError(f"{source}: the rows to split would be overwritten; choose another --out")
    if there and not overwrite:
        raise InputError(f"{there[0]}: exists already; replace the split with --overwrite, or choose another --out")


def row_lines(records: Records) -> list[bytes]:
    """Each row as a line of JSON: for JSON Lines the bytes of the file, else the row with its keys and values."""
    if records.format.file == "jsonl":
        wanted = {record.line for record in records}
        with records.path.open("rb") as stream:
            lines = {
                number: line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                for number, line in enumerate(stream, start=1)
                if number in wanted
            }
        return [lines[record.line].rstrip(b"\r\n") + b"\n" for record in records]
    return [_line(record) for record in records]


def write_split(folder: Path, sides: Mapping[str, Sequence[bytes]], record: dict[str, Any]) -> dict[str, Any]:
    """Writes the sides that have rows, split.json and the seal into a folder, which is made if missing; the record as
    it was written.

    All is written aside first; split.json goes last, so that a folder with one is whole. Raises LuthierError.
    """
    contents = {name: b"".join(lines) for name, lines in sides.items() if lines}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    files = {name: {"file": f"{name}.jsonl", "rows": len(sides[name]), "sha256": hashes[name]} for name in contents}
    record = {**record, "files": files}
    new = {folder / f"{name}.jsonl": content for name, content in contents.items()}
    if "test" in contents:
        seal = new_seal(hashes["test"], len(sides["test"]), _earlier_openings(folder, hashes["test"]))
        new[seal_path(folder / "test.jsonl")] = _json(seal)
    new[folder / SPLIT_FILE] = _json(record)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder, new)
    except OSError as error:
        raise LuthierError(f"[split] cannot write to {folder}: {error.strerror or error}") from error
    return record


def _replace(folder: Path, new: Mapping[Path, bytes]) -> None:
    asides = {path: path.with_name(path.name + _ASIDE) for path in new}
    try:
        for path, content in new.items():
            asides[path].write_bytes(content)
            durable.sync(asides[path])
        (folder / SPLIT_FILE).unlink(missing_ok=True)
        for path in _own_files(folder):
            if path not in new:
                path.unlink(missing_ok=True)
        for path, aside in asides.items():
            os.replace(aside, path)
    finally:
        for aside in asides.values():
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    durable.sync(folder)


def _own_files(folder: Path) -> list[Path]:
    sides = [folder / f"{name}.jsonl" for name in SIDES]
    return [*sides, seal_path(sides[-1]), folder / SPLIT_FILE]


def _earlier_openings(folder: Path, sha256: str) -> tuple[Any, ...]:
    """The openings of the test file that is replaced, if it holds the same rows: they have been seen."""
    try:
        state = seal_state(folder / "test.jsonl")
    except InputError:
        return ()
    return state.openings if state.sealed_sha256 == sha256 else ()


def _line(record: Record) -> bytes:
    return json.dumps(dict(record.raw), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
