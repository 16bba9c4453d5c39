"""What another program's loader made of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LoaderResult:
    """`said` is for people: what was done and how it went. `faults` are the reasons against handing the export out,
    `figures` the numbers behind it."""

    loader: str
    version: str | None
    said: str
    faults: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values, for export.json."""
        return {
            "loader": self.loader,
            "version": self.version,
            "said": self.said,
            "faults": list(self.faults),
            **self.figures,
        }
