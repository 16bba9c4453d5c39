"""What a check says: a finding with its rows, or that it did not look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Finding", "FindingRow", "Place", "Severity", "Skipped", "fine"]

Severity = Literal["fine", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a file: the line on which it starts."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A row that a finding is about, what to know about it, and the row that it collides with, if any.

    `counted` is False for a row that a ranking lists beyond the finding's count.
    """

    place: Place
    note: str = ""
    other: Place | None = None
    counted: bool = True

    def to_json(self) -> dict[str, Any]:
        """file, line, note, and `other` where there is a partner."""
        value: dict[str, Any] = {"file": self.place.file, "line": self.place.line, "note": self.note}
        if self.other is not None:
            value["other"] = {"file": self.other.file, "line": self.other.line}
        return value


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    `count` is how many rows it concerns. `rows` lists them, the most important first, and may go on beyond the count
    where the list is a ranking (suspect-label). `message` is one or two sentences with the threshold and its reason;
    `repair` is the command that repairs or shows it, or what to do instead.
    """

    code: str
    severity: Severity
    message: str
    count: int = 0
    rows: Sequence[FindingRow] = ()
    repair: str = ""

    def to_json(self) -> dict[str, Any]:
        """The finding as `luthier check --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "count": self.count,
            "rows": [row.to_json() for row in self.rows],
            "message": self.message,
            "repair": self.repair,
        }


@dataclass(frozen=True)
class Skipped:
    """A check that did not look, and why."""

    code: str
    reason: str


def fine(code: str, message: str) -> Finding:
    """The finding of a check that has nothing to complain about."""
    return Finding(code, "fine", message)
