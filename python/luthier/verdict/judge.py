"""From what is known about a run to its verdict. Nothing here reads a file or runs a model."""

from __future__ import annotations

from luthier.verdict.evidence import Evidence
from luthier.verdict.fitness import fitness
from luthier.verdict.result import Outcome, Reason, Verdict
from luthier.verdict.thresholds import Thresholds
from luthier.verdict.trust import trust
from luthier.verdict.worth import worth


def judge_run(evidence: Evidence, thresholds: Thresholds | None = None) -> Verdict:
    """Asks three questions in this order; the first that fails decides.

    1. Can the figures be trusted? If not, HOLD: nothing may be concluded from them, RETHINK as little as SHIP.
    2. Was fine-tuning worth it? If a baseline is as good, RETHINK, whatever else is wrong with the model.
    3. Is the model fit to be used? If not, or if that was not measured, HOLD.

    Else SHIP. All three are always answered, so that the reasons list everything there is to do.
    """
    limits = thresholds or Thresholds()
    found = [*trust(evidence, limits), *worth(evidence, limits), *fitness(evidence, limits)]
    outcome = _outcome(found)
    rank = {"untrusted": 0, "rethink": 1, "hold": 2, "passed": 3, "remark": 4}
    return Verdict(outcome, tuple(sorted(found, key=lambda reason: rank[reason.effect])), limits)


def _outcome(found: list[Reason]) -> Outcome:
    effects = {reason.effect for reason in found}
    if "untrusted" in effects:
        return "HOLD"
    if "rethink" in effects:
        return "RETHINK"
    return "HOLD" if "hold" in effects else "SHIP"
