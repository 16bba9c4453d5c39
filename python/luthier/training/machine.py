"""What the machine has left for this process: memory and disk, in bytes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from luthier.durable import free_disk_bytes as free_disk_bytes

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def resident_bytes(proc: Path = _PROC) -> int:
    """Memory of this process that is in RAM now."""
    pages = int((proc / "self" / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_resident_bytes() -> int:
    """The most that was ever in RAM, as metrics.jsonl has it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available_bytes(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Memory that can still be allocated without swapping: what the kernel calls available, or what the process's
    control groups leave, whichever is less.
    """
    lines = (proc / "meminfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return min(int(fields["MemAvailable"].split()[0]) * 1024, *_cgroup_rests(proc, cgroups))


def _cgroup_rests(proc: Path, cgroups: Path) -> Iterator[int]:
    """What each limit on the process's memory leaves, of version 1 and 2 of control groups; one huge number at least.

    A group's own limit and those of the groups around it hold. Cached file pages that the kernel would drop count as
    free.
    """
    yield 1 << 62
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        roots: tuple[Path, ...] = (cgroups, cgroups / "unified")
        names = ("memory.max", "memory.current", "inactive_file")
        if "memory" in controllers.split(","):
            roots = (cgroups / "memory",)
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        elif controllers != "":
            continue
        inner = Path(path.lstrip("/"))
        for root in roots:
            for group in (root / inner, *(root / parent for parent in inner.parents)):
                rest = _rest(group, *names)
                if rest is not None:
                    yield rest


def _rest(group: Path, limit_name: str, usage_name: str, inactive_key: str) -> int | None:
    try:
        limit = (group / limit_name).read_text().strip()
        usage = int((group / usage_name).read_text())
        stat = dict(line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines())
        return None if limit == "max" else max(0, int(limit) - usage + int(stat.get(inactive_key, 0)))
    except (OSError, ValueError):
        return None
