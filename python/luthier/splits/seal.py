"""The seal of a test file: its hash when it was split off, and each time that it was opened as a test.

What a test says is worth less with every look at it that a decision is based on. The seal stands beside the file, so
that the openings of all runs are counted together.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from luthier import durable
from luthier.errors import InputError

__all__ = ["Opening", "SealState", "new_seal", "open_sealed", "seal_path", "seal_state"]

FORMAT = 1
_SUFFIX = ".seal.json"


@dataclass(frozen=True)
class Opening:
    """One opening: when (UTC), by which command, and for which run's folder, if any."""

    when: str
    by: str
    run: str | None = None


@dataclass(frozen=True)
class SealState:
    """A test file and its seal.

    `sealed_sha256` is None where the file has no seal. `recorded` says whether the opening that gave this state could
    be written down; it is False where the folder is not writable.
    """

    path: Path
    sha256: str
    sealed_sha256: str | None = None
    openings: tuple[Opening, ...] = ()
    recorded: bool = False

    @property
    def sealed(self) -> bool:
        """Whether the file has a seal."""
        return self.sealed_sha256 is not None

    @property
    def changed(self) -> bool:
        """Whether the file is another than the one that was sealed."""
        return self.sealed_sha256 is not None and self.sealed_sha256 != self.sha256

    @property
    def runs(self) -> int:
        """How many different runs opened it."""
        return len({opening.run for opening in self.openings if opening.run is not None})

    @property
    def summary(self) -> str:
        """How often it was opened and by what, in words."""
        if not self.sealed:
            return "not sealed"
        if not self.openings:
            return "sealed, never opened"
        counts: dict[str, int] = {}
        for opening in self.openings:
            counts[opening.by] = counts.get(opening.by, 0) + 1
        by = ", ".join(f"{name} {count}" for name, count in counts.items())
        times = "once" if len(self.openings) == 1 else f"{len(self.openings):,} times"
        return f"sealed, opened {times} ({by})"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "sealed": self.sealed,
            "changed": self.changed,
            "openings": [vars(opening) for opening in self.openings],
        }


def seal_path(path: str | PathLike[str]) -> Path:
    """Where the seal of a test file stands."""
    path = Path(path)
    return path.with_name(path.name + _SUFFIX)


def new_seal(sha256: str, rows: int, openings: tuple[Opening, ...] = ()) -> dict[str, Any]:
    """The content of a seal."""
    return {"format": FORMAT, "sha256": sha256, "rows": rows, "openings": [vars(opening) for opening in openings]}


def seal_state(path: str | PathLike[str]) -> SealState:
    """The state of a test file, which counts as no opening. Raises InputError where file or seal cannot be read."""
    path = Path(path)
    digest = _sha256(path)
    seal = _read(seal_path(path))
    if seal is None:
        return SealState(path, digest)
    return SealState(path, digest, seal["sha256"], _openings(seal))


def open_sealed(path: str | PathLike[str], *, by: str, run: str | PathLike[str] | None = None) -> SealState:
    """Notes that a test file is opened, by which command and for which run, and gives its state with this opening.

    A file without a seal is none of ours: nothing is written. Where the seal cannot be written, the state has
    `recorded` False. Raises InputError where the file cannot be read or is not the one that was sealed.
    """
    path = Path(path)
    with _locked(path):  # two runs may end at the same time
        state = seal_state(path)
        if not state.sealed:
            return state
        if state.changed:
            sealed = str(state.sealed_sha256)
            raise InputError(
                f"{path}: changed since it was sealed (SHA-256 {state.sha256[:12]}..., sealed {sealed[:12]}...), so "
                "results on it cannot be compared with earlier ones. Put the sealed file back, or split anew with "
                f"luthier split; to go on with the file as it is, remove {seal_path(path)}"
            )
        opening = Opening(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), by, None if run is None else str(run))
        openings = (*state.openings, opening)
        seal = {**(_read(seal_path(path)) or {}), "openings": [vars(one) for one in openings]}
        try:
            durable.write_json(seal_path(path), seal)
        except OSError:
            return SealState(path, state.sha256, state.sealed_sha256, openings, recorded=False)
        return SealState(path, state.sha256, state.sealed_sha256, openings, recorded=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    try:
        return durable.path_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        seal = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); split anew with luthier split, or remove it") from None
    if not isinstance(seal, dict) or not isinstance(seal.get("sha256"), str) or seal.get("format") != FORMAT:
        raise InputError(f"{path}: not a seal that this version wrote; split anew with luthier split, or remove it")
    return seal


def _openings(seal: dict[str, Any]) -> tuple[Opening, ...]:
    listed = seal.get("openings")
    return tuple(
        Opening(str(one.get("when")), str(one.get("by")), None if one.get("run") is None else str(one["run"]))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    )
