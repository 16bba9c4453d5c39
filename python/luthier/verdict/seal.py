"""What the seal beside a test file says, as `luthier split` writes it: `FILE.seal.json`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".seal.json"


@dataclass(frozen=True)
class Seal:
    """The hash of a test file when it was split off, and which commands opened it since, by any run."""

    sha256: str
    opened_by: tuple[str, ...]

    def __str__(self) -> str:
        if not self.opened_by:
            return "sealed, never opened"
        count = len(self.opened_by)
        times = "once" if count == 1 else f"{count:,} times"
        by = ", ".join(f"{name} {number}" for name, number in Counter(self.opened_by).items())
        return f"sealed, opened {times} ({by})"


def read_seal(test: str) -> Seal | None:
    """The seal of a test file; None where it has none that can be read."""
    path = Path(test)
    try:
        values = json.loads(path.with_name(path.name + _SUFFIX).read_text(encoding="utf-8"))
        return Seal(str(values["sha256"]), tuple(str(one["by"]) for one in values["openings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
