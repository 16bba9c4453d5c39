"""Whether an export fits on the disk, asked before it starts."""

from __future__ import annotations

from pathlib import Path

from luthier import durable
from luthier.errors import InputError


def check_disk(folder: Path, needed: int) -> None:
    """Raises InputError, with both sizes, where the disk of `folder` has less room than `needed` bytes."""
    free = durable.free_disk_bytes(folder)
    if free < needed:
        raise InputError(
            f"[export] {folder} needs about {size_text(needed)} and its disk has {size_text(free)} free; free some "
            "space, name another folder, or choose a smaller format"
        )


def size_text(size: int) -> str:
    """Bytes for people: "1.4 GB", "145 MB", "12 kB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            value = size / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{size} bytes"
