"""What the figures were measured on: processor, its vector and matrix instructions, memory, versions."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = ("luthier", "torch", "trl", "peft", "transformers", "accelerate", "datasets")
_TELLING = ("amx_tile", "amx_bf16", "amx_int8", "avx512_bf16", "avx512f", "avx512_vnni", "avx_vnni", "avx2", "fma")


@dataclass(frozen=True)
class Machine:
    """The processor by the name it gives itself, its flags, and what is installed."""

    cpu: str
    flags: tuple[str, ...]
    cores: int
    memory_bytes: int
    system: str
    versions: dict[str, str]

    @property
    def telling_flags(self) -> tuple[str, ...]:
        """The flags that decide how fast a matrix product is."""
        return tuple(flag for flag in _TELLING if flag in self.flags)

    @property
    def has_bfloat16(self) -> bool:
        """Whether there are instructions for bf16 products, and LUTHIER_ISA lets us use them."""
        forbidden = os.environ.get("LUTHIER_ISA", "") in ("avx2", "reference")
        return not forbidden and any(flag in self.flags for flag in ("amx_bf16", "avx512_bf16"))

    @property
    def slug(self) -> str:
        """A file name: the processor and its best instructions, since virtual machines hide the exact model."""
        best = self.telling_flags[0].partition("_tile")[0] if self.telling_flags else platform.machine()
        return re.sub(r"[^a-z0-9]+", "-", f"{self.cpu} {best}".lower()).strip("-")


def this_machine() -> Machine:
    """The machine that this process runs on."""
    pairs = re.findall(r"^([\w ]+?)\s*: (.*)$", _read("/proc/cpuinfo"), flags=re.MULTILINE)
    facts: dict[str, str] = dict(reversed(pairs))  # the first core's
    return Machine(
        cpu=facts.get("model name") or platform.processor() or platform.machine(),
        flags=tuple(facts.get("flags", facts.get("Features", "")).split()),
        cores=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        versions={name: _version(name) for name in _PACKAGES},
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
