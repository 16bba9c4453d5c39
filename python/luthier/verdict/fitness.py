"""The third question: is the model fit to be used? Classes, form of the answers, forgetting, overfitting, the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from luthier.evaluation.classes import ClassFigures, Classification
from luthier.evaluation.fields import FieldFigures
from luthier.evaluation.json_answers import JsonFigures
from luthier.evaluation.ratios import Ratios
from luthier.evaluation.rules import RuleFigures
from luthier.records.shortened import shortened
from luthier.verdict.evidence import Evidence
from luthier.verdict.result import Reason
from luthier.verdict.thresholds import Thresholds

_SHOWN = 5
_LEAKS = ("leakage", "near-leakage")


def fitness(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """The reasons that bear on whether the model can be used."""
    yield from _classes(evidence, limits)
    yield from _format(evidence, limits)
    yield from _forgetting(evidence, limits)
    yield from _overfitting(evidence, limits)
    yield from _data(evidence, limits)


def _classes(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    found = evidence.tuned.block(Classification)
    fields = evidence.tuned.block(FieldFigures)
    known: Mapping[str, ClassFigures | Ratios]
    if found is not None:
        what, known, floor_recall = "class", found.per_class, limits.class_recall
    elif fields is not None:
        what, known, floor_recall = "field", fields.per_field, 0.0
    else:
        return
    judged = {name: one for name, one in known.items() if one.support >= limits.class_support}
    small = len(known) - len(judged)
    if small:
        words = f"{_count(small, what)} with fewer than {limits.class_support} test rows: not judged"
        yield Reason("small-class", "remark", words)
    low = [
        (
            min(one.recall, one.f1),
            f"'{shortened(name)}' (recall {one.recall:.0%}, F1 {one.f1:.2f}, {one.support:,} rows)",
        )
        for name, one in judged.items()
        if one.recall < floor_recall or one.f1 < limits.class_f1
    ]
    if low:
        shown = ", ".join(text for _, text in sorted(low)[:_SHOWN]) + (", ..." if len(low) > _SHOWN else "")
        yield Reason(
            f"{what}-floor",
            "hold",
            f"{_count(len(low), what)} below the floor of "
            f"{f'recall {floor_recall:.0%} or ' if floor_recall else ''}F1 {limits.class_f1:.2f}: {shown}",
            "see luthier errors RUN; more training rows of them help most",
        )
    elif judged:
        name, least = min(judged.items(), key=lambda item: item[1].f1)
        yield Reason(
            f"{what}-floor",
            "passed",
            f"no {what} below its floor; the weakest is '{shortened(name)}' with F1 {least.f1:.2f}",
        )


def _format(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    shares = list(_format_shares(evidence))
    if not shares:
        return
    for name, share in shares:
        if share < limits.format_validity:
            yield Reason(
                "format",
                "hold",
                f"{share:.1%} of the answers {name}, below the floor of {limits.format_validity:.0%}",
                "see luthier errors RUN; add training rows of the right form, or train longer",
            )
    if all(share >= limits.format_validity for _, share in shares):
        name, least = min(shares, key=lambda item: item[1])
        yield Reason("format", "passed", f"{least:.1%} of the answers {name}")


def _format_shares(evidence: Evidence) -> Iterator[tuple[str, float]]:
    tuned = evidence.tuned
    classes, answers = tuned.block(Classification), tuned.block(JsonFigures)
    if classes is not None:
        yield "are one of the known labels", 1 - sum(row[-1] for row in classes.confusion) / tuned.n
    if answers is not None:
        yield "are valid JSON", answers.valid_json
        yield "keep the schema", answers.schema_kept
    rules = tuned.block(RuleFigures)
    if rules is not None:
        yield "keep the rules", rules.all_kept


def _forgetting(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    forgot = evidence.forgot
    if forgot is None or not forgot.rises:
        yield Reason(
            "forgetting",
            "hold",
            "what the model forgot was not measured",
            "evaluate the run again without --no-forgetting",
        )
        return
    questions = ""
    if forgot.right_before is not None and forgot.right_after is not None:
        questions = f"; general questions right: {forgot.right_before:.0%} before, {forgot.right_after:.0%} after"
    worst = max(forgot.rises, key=lambda rise: rise.change)
    rise = f"the loss on {worst.what} changed by {worst.change:+.1%} ({worst.low:+.1%} to {worst.high:+.1%})"
    if worst.change > limits.forgetting:
        yield Reason(
            "forgetting",
            "hold",
            f"{rise}, more than {limits.forgetting:.0%}{questions}",
            "a lower learning rate, fewer epochs, or fit --replay FILE with general rows",
        )
    else:
        yield Reason("forgetting", "passed", f"{rise}, within {limits.forgetting:.0%}{questions}")


def _overfitting(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    losses = evidence.losses
    name, known = ("validation", losses.valid) if losses.valid is not None else ("training", losses.train)
    if losses.test is None or known is None:
        return
    side_by_side = ", ".join(
        f"{name} {value:.3f}"
        for name, value in (("training", losses.train), ("validation", losses.valid), ("test", losses.test))
        if value is not None
    )
    beyond = losses.test > limits.overfitting_ratio * known and losses.test > known + limits.overfitting_margin
    if beyond:
        yield Reason(
            "overfitting",
            "hold",
            f"the loss on the test rows is far above that of {name} (per token: {side_by_side})",
            "fewer epochs or more rows; --valid keeps the best checkpoint"
            if name == "training"
            else "the test rows are unlike the others, or training and validation rows overlap: luthier check",
        )
    else:
        yield Reason("overfitting", "passed", f"loss per token: {side_by_side}")
    if losses.valid is not None and losses.last_valid is not None and losses.last_valid > 1.1 * losses.valid:
        yield Reason(
            "overfitted-later",
            "remark",
            f"later steps overfitted (validation loss {losses.valid:.3f}, at the end {losses.last_valid:.3f}); "
            "the best checkpoint was kept",
        )


def _data(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for finding in evidence.findings:
        if finding.code in _LEAKS or finding.severity == "fine":
            continue
        share = finding.count / evidence.train_rows if evidence.train_rows else 0.0
        if finding.code == "suspect-label" and share > limits.suspect_labels:
            yield Reason(
                finding.code,
                "hold",
                f"{share:.1%} of the training labels look wrong, more than {limits.suspect_labels:.0%}; "
                "the test labels are likely no better",
                finding.repair or "luthier check lists them",
            )
        elif finding.severity == "error":
            words = finding.message or f"luthier check found {finding.code}"
            yield Reason(
                finding.code, "hold", f"training data, {_count(finding.count, 'row')}: {words}", finding.repair
            )


def _count(number: int, name: str) -> str:
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    return f"{number:,} {name if number == 1 else plural}"
