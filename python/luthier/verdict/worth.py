"""The second question: was fine-tuning worth it, beside the cheapest things that could do the job?

A difference is the tuned model's figure minus the baseline's, with a 95 % interval from a paired bootstrap. It is
- better, where the interval lies above zero;
- as good or worse, where it does not and a gain of `noise` is ruled out, or the interval lies below zero;
- undecided, where it reaches from zero or below to a gain of `noise` or more: the test rows are too few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from luthier.evaluation import Interval
from luthier.evaluation.result import METRIC_NAMES
from luthier.verdict.evidence import Evidence, Rival
from luthier.verdict.result import Reason
from luthier.verdict.thresholds import Thresholds
from luthier.verdict.trust import near_share

_MOST_ROWS = 100_000
_SMALL = 1e-3
"""A difference that no test of a size that one has could show."""
Standing = Literal["better", "as_good", "undecided"]

_LEARNED = ("classifier", "neighbour", "few_shot")
"""Baselines that look at training rows."""


def worth(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """The reasons that bear on whether something cheaper does the job."""
    rivals = sorted(evidence.rivals, key=lambda rival: rival.difference.value)
    share = near_share(evidence, limits)
    standings = {rival.name: _standing(rival, limits.noise, share) for rival in rivals}
    for rival in rivals:
        if standings[rival.name] == "as_good":
            yield Reason(f"as-good:{rival.kind}", "rethink", _as_good(evidence, rival))
    for rival in rivals:
        if standings[rival.name] == "undecided":
            yield _undecided(evidence, rival, limits.noise)
    yield from _missing(evidence)
    if rivals and set(standings.values()) == {"better"}:
        closest = rivals[0]
        yield Reason(
            "better",
            "passed",
            f"better than {_all_of(len(rivals))}; the closest, {closest.name}, by {_points(closest.difference)}",
        )
    yield from _seeds(evidence, rivals, won=bool(rivals) and set(standings.values()) == {"better"})
    for name, reason in evidence.skipped:
        yield Reason("not-run", "remark", f"{name}: not run: {reason}")
    yield from _constraint(evidence)


def standing(difference: Interval, noise: float) -> Standing:
    """How the tuned model stands beside a baseline, from the interval of the difference."""
    if difference.low > 0:
        return "better"
    return "as_good" if difference.high < noise else "undecided"


def _standing(rival: Rival, noise: float, near: float) -> Standing | None:
    """The same; None where it would be as good, but may owe that to test rows that nearly stand in training, whose
    share is `near`. A prompt without examples owes them nothing."""
    found = standing(rival.difference, noise)
    flattered = found == "as_good" and rival.kind in _LEARNED and rival.difference.high + near >= noise
    return None if flattered and near else found


def rows_needed(rows: int, difference: Interval, noise: float) -> int:
    """About how many test rows would tell, were the difference what it seems: the interval narrows with the square
    root of the rows, until it leaves zero or `noise` behind, whichever is first."""
    ways = (
        (difference.value - difference.low, difference.value),
        (difference.high - difference.value, noise - difference.value),
    )
    ratios = [width / distance for width, distance in ways if distance > _SMALL]
    wanted = min(rows * min(ratios, default=math.inf) ** 2, 10.0 * _MOST_ROWS)
    digits: int = 10 ** max(len(str(math.ceil(wanted))) - 2, 0)
    return max(math.ceil(wanted / digits) * digits, rows + 1)


def _as_good(evidence: Evidence, rival: Rival) -> str:
    relation = "better" if rival.difference.high < 0 else "within the noise"
    compared = f"({_figures(evidence, rival)})"
    match rival.kind:
        case "constant":
            return (
                f"always giving the most frequent answer is {_as_good_words(relation)}: the model has learned nothing "
                f"that helps; look at the labels with luthier check {compared}"
            )
        case "classifier":
            speed = "" if rival.milliseconds is None else f" in {_time(rival.milliseconds)} a request"
            return (
                f"a bag of words ({rival.name}), which learns in seconds and answers{speed}, is "
                f"{_as_good_words(relation)}: use that, do not fine-tune {compared}"
            )
        case "neighbour":
            return (
                f"copying the answer of the most similar training row is {_as_good_words(relation)}: "
                f"a search does the job, do not fine-tune {compared}"
            )
        case "prompt" | "few_shot":
            how = rival.name.removeprefix("untuned, ").split(", constrained to ")[0]
            way = "prompting without examples" if rival.kind == "prompt" else f"prompting with {how}"
            if rival.constraint is not None:
                way += f", answers constrained to {rival.constraint},"
            return f"{way} is {relation}: do not fine-tune {compared}"
        case _:
            return (
                f"'{rival.name}' is {_as_good_words(relation)}: the tuned model brings no measurable gain over it; "
                f"keep what you have unless the tuned model is cheaper to run {compared}"
            )


def _as_good_words(relation: str) -> str:
    return "better" if relation == "better" else "as good"


def _undecided(evidence: Evidence, rival: Rival, noise: float) -> Reason:
    rows = rows_needed(evidence.tuned.n, rival.difference, noise)
    wanted = f"about {rows:,} test rows" if rows <= _MOST_ROWS else f"more than {_MOST_ROWS:,} test rows"
    return Reason(
        "undecided",
        "hold",
        f"{evidence.tuned.n:,} test rows do not tell whether the tuned model is better than {rival.name} "
        f"({_figures(evidence, rival)})",
        f"{wanted} would, if the difference stays what it seems",
    )


def _constraint(evidence: Evidence) -> Iterator[Reason]:
    constraint, free = evidence.tuned.constraint, evidence.free
    if constraint is None or free is None:
        return
    better = free.difference.high < 0
    yield Reason(
        "constrained",
        "remark",
        f"judged by answers constrained to {constraint.kind} ({_metric(evidence)} {evidence.figure:.1%}); with free "
        f"ones it has {free.figure:.1%}, difference {_points(free.difference)}",
        "free answers are better: leave out --constrain" if better else "",
    )


def _missing(evidence: Evidence) -> Iterator[Reason]:
    todo = "luthier evaluate RUN --test FILE, with the training file where it was"
    if not evidence.rivals:
        yield Reason("no-baselines", "hold", "nothing cheaper was tried beside the tuned model", todo)
    elif not any(rival.kind in ("prompt", "few_shot") for rival in evidence.rivals):
        yield Reason("no-prompting", "hold", "the tuned model was not compared with prompting the untuned one", todo)


def _seeds(evidence: Evidence, rivals: list[Rival], won: bool) -> Iterator[Reason]:
    """What other seeds bear on: whether a win is luck. Where there is none, the spread is only worth knowing."""
    if evidence.missing_seeds:
        missing = ", ".join(map(str, evidence.missing_seeds))
        todo = "luthier fit --resume --out RUN, and evaluate again"
        yield Reason("missing-seeds", "remark", f"runs with these seeds are not fitted yet: {missing}", todo)
    if len(evidence.seeds) < 2:
        return
    least, most = min(evidence.seeds), max(evidence.seeds)
    spread = f"over {len(evidence.seeds)} seeds the {_metric(evidence)} reaches from {least:.1%} to {most:.1%}"
    if not won:
        yield Reason("seeds", "remark", spread)
        return
    best = max(rivals, key=lambda rival: rival.figure)
    if least <= best.figure:
        yield Reason(
            "seeds",
            "hold",
            f"{spread}; {best.name} has {best.figure:.1%}: whether fine-tuning wins is a matter of luck",
            "more training rows, more epochs or a lower learning rate",
        )
    else:
        yield Reason("seeds", "passed", f"{spread}, always above {best.name} with {best.figure:.1%}")


def _figures(evidence: Evidence, rival: Rival) -> str:
    return (
        f"{_metric(evidence)} {evidence.figure:.1%} tuned, {rival.figure:.1%} there; "
        f"difference {_points(rival.difference)}"
    )


def _points(difference: Interval) -> str:
    value, low, high = (100 * part for part in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points, 95% interval {low:+.1f} to {high:+.1f}"


def _metric(evidence: Evidence) -> str:
    return METRIC_NAMES.get(evidence.tuned.metric, evidence.tuned.metric)


def _time(milliseconds: float) -> str:
    return f"{milliseconds:,.1f} ms" if milliseconds >= 0.1 else "less than 0.1 ms"


def _all_of(count: int) -> str:
    return "the only baseline" if count == 1 else f"all {count} baselines"
