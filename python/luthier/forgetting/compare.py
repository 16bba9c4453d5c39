"""What a model has forgotten: its figures on general material before and after, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError
from luthier.forgetting.figures import GeneralAnswer, GeneralFigures
from luthier.forgetting.losses import TextLosses
from luthier.records.shortened import shortened

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

LIMIT = 0.03
"""The relative rise of the loss that is let through: 3 %, about what a mild fit of a narrow task costs."""
_RESAMPLES = 2000
_SHOWN = 8


@dataclass(frozen=True)
class LossChange:
    """Loss per token before and after; `change` is relative, and `low` to `high` its 95 % interval.

    The interval is from a paired bootstrap over groups of texts (Efron and Tibshirani 1993, chapter 13).
    """

    before: float
    after: float
    change: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.before:.3f} to {self.after:.3f}, {self.change:+.1%} ({self.low:+.1%} to {self.high:+.1%})"


@dataclass(frozen=True)
class AnswerChange:
    """An instruction, or a row of the user's, whose answer became right or wrong. `id` is as in the figures."""

    id: str
    prompt: str | None
    before: str
    after: str


@dataclass(frozen=True, repr=False)
class Forgetting:
    """The comparison of two models on the same material. Make one with `compare_general`.

    `general` is over all tokens of prose and reference answers; it, and `keep` where there is one, must not rise by
    more than `limit`.
    """

    before: str
    after: str
    limit: float
    general: LossChange
    prose: LossChange
    references: LossChange
    right_before: float
    right_after: float
    instructions: int
    right_to_wrong: tuple[AnswerChange, ...]
    wrong_to_right: tuple[AnswerChange, ...]
    keep: LossChange | None = None
    keep_right_before: float | None = None
    keep_right_after: float | None = None
    keep_right_to_wrong: tuple[AnswerChange, ...] = ()
    keep_wrong_to_right: tuple[AnswerChange, ...] = ()

    @property
    def within(self) -> bool:
        """Whether no loss rose by more than the limit."""
        return all(change.change <= self.limit for change in (self.general, self.keep) if change is not None)

    @property
    def reason(self) -> str:
        """The outcome in one line."""
        worst = max((c for c in (self.general, self.keep) if c is not None), key=lambda change: change.change)
        what = "on the rows to keep" if worst is self.keep else "on general text"
        relation = "within" if self.within else "over"
        answers = f"{self.right_before:.0%} to {self.right_after:.0%} of {self.instructions} general questions right"
        return f"the loss {what} changed by {worst.change:+.1%}, {relation} the limit of {self.limit:.0%}; {answers}"

    def to_json(self) -> dict[str, Any]:
        """Every figure, `within` and `reason`, for json.dumps."""
        return {"within": self.within, "reason": self.reason, **asdict(self)}

    def facts(self) -> list[tuple[str, str]]:
        """The figures in words, in the order of the table."""
        facts = [
            ("general loss", str(self.general)),
            ("  prose", str(self.prose)),
            ("  right answers", str(self.references)),
        ]
        if self.keep is not None:
            facts.append(("loss on rows to keep", str(self.keep)))
        facts.append(("questions right", _shares(self.right_before, self.right_after, self.instructions)))
        facts.append(("  newly wrong, right", f"{len(self.right_to_wrong)}, {len(self.wrong_to_right)}"))
        if self.keep_right_before is not None and self.keep_right_after is not None:
            facts.append(("rows to keep right", _shares(self.keep_right_before, self.keep_right_after)))
        facts.append(("limit", f"{self.limit:+.0%}: {'within' if self.within else 'OVER'}"))
        return facts

    def __repr__(self) -> str:
        return "\n".join(f"{name:<22} {value}" for name, value in self.facts())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        yield Text(f"general material, before and after: {self.after}")
        table = Table(show_header=False)
        for name, value in self.facts():
            table.add_row(Text(name), Text(value))
        yield table
        changed = (*self.keep_right_to_wrong, *self.right_to_wrong)
        for change in changed[:_SHOWN]:
            shown = change.prompt or change.id
            yield Text(f"  newly wrong: {shown}  {shortened(change.before)!r} -> {shortened(change.after)!r}")
        if len(changed) > _SHOWN:
            yield Text(f"  ... and {len(changed) - _SHOWN:,} more; --json lists them")

    def _repr_html_(self) -> str:
        import html

        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.facts()
        )
        return f"<table><caption>General material, before and after</caption>{cells}</table>"


def compare_general(before: GeneralFigures, after: GeneralFigures, limit: float = LIMIT, seed: int = 0) -> Forgetting:
    """What changed from one model's figures to another's, usually from the base model's to the tuned one's.

    Raises InputError when the two were measured on different material.
    """
    if before.material != after.material or before.keep_material != after.keep_material:
        raise InputError("[forgetting] the two figures are of different material; measure both models anew")
    from luthier.forgetting.material import instructions

    prompts = {task.id: task.prompt for task in instructions()}
    lost, gained = _answer_changes(before.answers, after.answers, prompts)
    keep_lost, keep_gained = _answer_changes(before.keep_answers, after.keep_answers, {})
    keep = None if before.keep is None or after.keep is None else _change(before.keep, after.keep, seed)
    return Forgetting(
        before=before.model,
        after=after.model,
        limit=limit,
        general=_change(_joined(before.prose, before.references), _joined(after.prose, after.references), seed),
        prose=_change(before.prose, after.prose, seed),
        references=_change(before.references, after.references, seed),
        right_before=before.right,
        right_after=after.right,
        instructions=len(before.answers),
        right_to_wrong=lost,
        wrong_to_right=gained,
        keep=keep,
        keep_right_before=before.keep_right,
        keep_right_after=after.keep_right,
        keep_right_to_wrong=keep_lost,
        keep_wrong_to_right=keep_gained,
    )


def _answer_changes(
    before: Sequence[GeneralAnswer], after: Sequence[GeneralAnswer], prompts: dict[str, str]
) -> tuple[tuple[AnswerChange, ...], tuple[AnswerChange, ...]]:
    """(right to wrong, wrong to right)."""
    changed: dict[bool, list[AnswerChange]] = {True: [], False: []}
    for old, new in zip(before, after, strict=True):
        if old.right != new.right:
            changed[old.right].append(AnswerChange(old.id, prompts.get(old.id), old.output, new.output))
    return tuple(changed[True]), tuple(changed[False])


def _joined(left: TextLosses, right: TextLosses) -> TextLosses:
    return TextLosses(left.sums + right.sums, left.weights + right.weights)


def _change(before: TextLosses, after: TextLosses, seed: int) -> LossChange:
    import numpy

    old, new, weights = (numpy.asarray(values) for values in (before.sums, after.sums, after.weights))
    if old.shape != new.shape or before.weights != after.weights:
        raise InputError("[forgetting] the two models have different tokens; their losses cannot be compared")
    chosen = numpy.random.default_rng(seed).integers(0, len(old), (_RESAMPLES, len(old)))
    ratios = new[chosen].sum(axis=1) / old[chosen].sum(axis=1) - 1.0
    low, high = numpy.quantile(ratios, (0.025, 0.975))
    total = float(weights.sum())
    change = float(new.sum() / old.sum()) - 1.0
    return LossChange(float(old.sum()) / total, float(new.sum()) / total, change, float(low), float(high))


def _shares(before: float, after: float, count: int | None = None) -> str:
    return f"{before:.1%} to {after:.1%}" + (f" of {count}" if count is not None else "")
