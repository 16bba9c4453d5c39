"""Files that are either whole or absent after a crash: written aside, synced, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
TEMPORARY = ".writing"


def sync(path: Path) -> None:
    """Makes a file's contents, or a folder's list of names, durable (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replaces a file in one step: a reader, or a crash, sees the old text or the new one. Raises OSError."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`, of bytes. Raises OSError."""
    aside = path.with_name(path.name + TEMPORARY)
    try:
        aside.write_bytes(content)
        sync(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """`write_text` of indented JSON. Raises OSError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Makes the folder `path` out of what `fill` writes into a temporary folder beside it.

    Every file and the folder are synced before the rename. A folder that was there is replaced at the very end. On an
    error nothing is left behind and the error goes on to the caller.
    """
    aside = path.with_name(path.name + TEMPORARY)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        fill(aside)
        for entry in sorted(aside.rglob("*")):
            sync(entry)
        sync(aside)
        remove_folder(path)
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(path.parent)


def remove_folder(path: Path) -> None:
    """Removes a folder, if there is one, and never leaves half of it under its name. Raises OSError."""
    if path.exists():
        doomed = path.with_name(path.name + ".removing" + TEMPORARY)
        shutil.rmtree(doomed, ignore_errors=True)
        os.rename(path, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def path_sha256(path: Path) -> str:
    """One SHA-256 for a file, or for the names and contents of the files directly inside a folder. Raises OSError."""
    if path.is_dir():
        return hashlib.sha256(json.dumps(content_sha256(path), sort_keys=True).encode()).hexdigest()
    return file_sha256(path)


def content_sha256(path: Path) -> dict[str, str]:
    """SHA-256 by file name: of the file itself, or of the files directly inside a folder. Raises OSError."""
    if path.is_dir():
        return {file.name: file_sha256(file) for file in sorted(path.iterdir()) if file.is_file()}
    return {path.name: file_sha256(path)}


def free_disk_bytes(path: Path) -> int:
    """Free space of the file system that `path` is on, or will be on once it is made. Raises OSError."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
