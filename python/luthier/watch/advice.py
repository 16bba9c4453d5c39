"""From what was found to keep, look or retrain, with reasons that can be read aloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from luthier.watch.accuracy import Accuracy
from luthier.watch.shifts import LARGE, Shift

Advice = Literal["keep", "look", "retrain"]
STATUS: dict[Advice, int] = {"keep": 0, "look": 3, "retrain": 4}
"""Exit statuses of `luthier watch`."""
LEAST_ROWS = 30
"""With fewer new rows, tests find next to nothing, and silence would look like good news."""
MOST_STRANGE_SYSTEMS = 0.05


def advise(
    rows: int, shifts: Sequence[Shift], accuracy: Accuracy | None, strange_systems: int
) -> tuple[Advice, list[str]]:
    """The recommendation and its reasons.

    retrain: accuracy fell by more than chance; or, where it was not measured against an evaluation, inputs and the
    model's answers (or the labels) have both shifted, one of them by much. look: anything else has shifted, rows have
    system messages that training never had, or there are too few rows to tell. keep: none of these.
    """
    shifted = [shift for shift in shifts if shift.size != "none"]
    reasons = _reasons(shifted)
    if strange := strange_systems > MOST_STRANGE_SYSTEMS * rows:
        reasons.append(f"{strange_systems:,} of {rows:,} rows have a system message that training never had")
    judged = accuracy is not None and accuracy.change is not None
    if accuracy is not None and accuracy.fell:
        return "retrain", [f"accuracy fell: {accuracy}", *reasons]
    inputs = [shift for shift in shifted if shift.kind in ("length", "vocabulary", "embedding")]
    answers = [shift for shift in shifted if shift.kind in ("answers", "labels")]
    if not judged and inputs and answers and any(shift.size == "large" for shift in shifted):
        return "retrain", [*reasons, "both what comes in and what goes out have changed; label some rows and fit anew"]
    if rows < LEAST_ROWS:
        return "look", [*reasons, f"{rows:,} rows are too few to tell; give {LEAST_ROWS} or more"]
    if shifted or strange:
        return "look", [*reasons, _next(accuracy, judged)]
    if judged:
        return "keep", [f"nothing has shifted, and accuracy held: {accuracy}"]
    return "keep", ["nothing has shifted beyond chance"]


def _reasons(shifted: Sequence[Shift]) -> list[str]:
    """One line for each kind of shift: its largest member."""
    reasons = []
    for kind in dict.fromkeys(shift.kind for shift in shifted):
        members = [shift for shift in shifted if shift.kind == kind]
        worst = max(members, key=lambda shift: shift.psi)
        more = f", and {len(members) - 1} more of the kind" if len(members) > 1 else ""
        reasons.append(
            f"{kind}: {worst.name} went from {worst.reference} to {worst.new} "
            f"(PSI {worst.psi:.2f}, {worst.size}, p {_p(worst.p)}){more}"
        )
    return reasons


def _next(accuracy: Accuracy | None, judged: bool) -> str:
    if judged:
        return f"accuracy held so far: {accuracy}"
    if accuracy is not None:
        return "the run has no evaluation to compare the accuracy with: luthier evaluate RUN --test FILE"
    return "whether quality suffers is not known: label some of these rows and run again with --labels"


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


__all__ = ["LARGE", "LEAST_ROWS", "STATUS", "Advice", "advise"]
