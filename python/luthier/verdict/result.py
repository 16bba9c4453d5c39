"""A verdict and its reasons, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from luthier.verdict.thresholds import Thresholds

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Outcome = Literal["SHIP", "HOLD", "RETHINK"]
Effect = Literal["passed", "untrusted", "rethink", "hold", "remark"]
"""What a reason does: nothing is in the way; the figures cannot be trusted; something cheaper is as good; the model
should not be used yet; or it is only worth knowing."""

EXIT_STATUS: dict[Outcome, int] = {"SHIP": 0, "HOLD": 3, "RETHINK": 4}

MEANING: dict[Outcome, str] = {
    "SHIP": "Use the tuned model.",
    "HOLD": "Do not use it yet.",
    "RETHINK": "Something cheaper does the job.",
}


@dataclass(frozen=True)
class Reason:
    """One thing that was looked at. `code` names it for programs, `text` is for people, `todo` says what to do next."""

    code: str
    effect: Effect
    text: str
    todo: str = ""

    def __str__(self) -> str:
        # Names of classes and baselines may hold line breaks.
        return " ".join((f"{self.text}; {self.todo}" if self.todo else self.text).split())


@dataclass(frozen=True, repr=False)
class Verdict:
    """SHIP, HOLD or RETHINK. `looked_at` is everything that was looked at, the most important first."""

    outcome: Outcome
    looked_at: tuple[Reason, ...]
    thresholds: Thresholds

    @property
    def reasons(self) -> list[str]:
        """Why, one line each: what is in the way, or what was passed where nothing is."""
        return [str(reason) for reason in self.deciding]

    @property
    def deciding(self) -> tuple[Reason, ...]:
        """The reasons behind the outcome, those that decided first."""
        if self.outcome == "SHIP":
            return self.passed
        return tuple(reason for reason in self.looked_at if reason.effect in ("untrusted", "rethink", "hold"))

    @property
    def passed(self) -> tuple[Reason, ...]:
        """What was looked at and is in order."""
        return tuple(reason for reason in self.looked_at if reason.effect == "passed")

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """What is worth knowing and decides nothing."""
        return tuple(reason for reason in self.looked_at if reason.effect == "remark")

    @property
    def status(self) -> int:
        """The exit status: 0 SHIP, 3 HOLD, 4 RETHINK."""
        return EXIT_STATUS[self.outcome]

    def to_json(self) -> dict[str, Any]:
        """The keys that evaluation.json gets."""
        return {
            "verdict": self.outcome,
            "reasons": self.reasons,
            "reason_codes": [reason.code for reason in self.deciding],
            "passed": [str(reason) for reason in self.passed],
            "remarks": [str(reason) for reason in self.remarks],
            "thresholds": self.thresholds.model_dump(),
        }

    def __repr__(self) -> str:
        return f"Verdict({self.outcome}: {'; '.join(self.reasons)})"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from luthier.verdict.show import lines

        yield from lines(self)

    def _repr_html_(self) -> str:
        from luthier.verdict.show import as_html

        return as_html(self)


KEYS = ("verdict", "reasons", "reason_codes", "passed", "remarks", "thresholds")
"""The keys of `Verdict.to_json`."""
