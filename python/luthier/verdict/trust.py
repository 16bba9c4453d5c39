"""The first question: can the figures be trusted? Leakage, a test file that served otherwise or spells its labels
otherwise, too few rows."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.verdict.evidence import Evidence
from luthier.verdict.result import Reason
from luthier.verdict.thresholds import Thresholds


def trust(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """The reasons that bear on whether anything may be concluded from the figures."""
    yield from _leakage(evidence)
    yield from _near_leakage(evidence, limits)
    yield from _reuse(evidence)
    yield from _spelling(evidence, limits)
    yield from _rows(evidence, limits)


def _leakage(evidence: Evidence) -> Iterator[Reason]:
    rows = evidence.tuned.n
    if evidence.leaked is None:
        yield Reason(
            "leakage",
            "hold",
            "it is not known whether test rows stand among the training rows",
            "keep the training file as it was and evaluate again, or run: luthier check TRAIN --test TEST",
        )
    elif evidence.leaked:
        yield Reason(
            "leakage",
            "untrusted",
            f"{_rows_of(evidence.leaked, rows)} in the training rows too: what is measured on them is memory, "
            "for the tuned model and for baselines that look rows up",
            "luthier clean TRAIN --test TEST --drop leakage --out FILE, fit again and evaluate again",
        )
    else:
        yield Reason("leakage", "passed", f"none of the {rows:,} test rows stands among the training rows")


def _near_leakage(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    rows, found = evidence.tuned.n, evidence.nearly_leaked
    if not found:
        return
    if near_share(evidence, limits) == 0:
        yield Reason("near-leakage", "remark", f"{_rows_of(found, rows)} nearly in the training rows")
        return
    yield Reason(
        "near-leakage",
        "hold",
        f"{_rows_of(found, rows)} nearly in the training rows, more than {limits.near_leakage:.0%}: "
        "the figures are too good",
        "luthier split keeps near-duplicates on one side; or luthier clean TRAIN --test TEST --drop near-leakage",
    )


def near_share(evidence: Evidence, limits: Thresholds) -> float:
    """The share of test rows that nearly stand in training, where it is above its limit, else 0: by so much the figure
    of a system that learned from the training rows may be too good."""
    share = (evidence.nearly_leaked or 0) / evidence.tuned.n
    return share if share > limits.near_leakage else 0.0


def _reuse(evidence: Evidence) -> Iterator[Reason]:
    use = evidence.test_use
    if use.reused_as is not None:
        yield Reason(
            "test-reused",
            "untrusted",
            f"the test file is that of {use.reused_as}: what was chosen by it cannot be judged by it",
            "hold out rows that nothing else uses: luthier split DATA",
        )
    if use.openings is not None and use.openings > 1:
        yield Reason(
            "openings",
            "remark",
            f"the test rows were opened {use.openings:,} times{'' if use.sealed else ' by this run'}; each time that a "
            "setting is chosen by them the figures say a little less",
        )


def _spelling(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    count, rows = evidence.misspelt, evidence.tuned.n
    if not count:
        return
    words = f"{count:,} of {rows:,} test labels are spelled otherwise than in most training rows"
    if count <= limits.test_labels * rows:
        yield Reason("test-labels", "remark", words)
        return
    yield Reason(
        "test-labels",
        "untrusted",
        f"{words}, more than {limits.test_labels:.0%}: a right answer in the usual spelling counts as wrong",
        "write the labels of both files alike (luthier check TRAIN --test TEST --only label-variant lists them), and "
        "evaluate again",
    )


def _rows(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    rows = evidence.tuned.n
    if rows < limits.smallest_rows:
        yield Reason(
            "too-few-rows",
            "untrusted",
            f"{rows:,} test rows are too few to tell anything",
            f"hold out {limits.smallest_rows:,} rows or more, better 200",
        )
    else:
        yield Reason("rows", "passed", f"{rows:,} test rows")


def _rows_of(count: int, rows: int) -> str:
    """`3 of 200 test rows stand`."""
    return f"{count:,} of {rows:,} test rows {'stands' if count == 1 else 'stand'}"
