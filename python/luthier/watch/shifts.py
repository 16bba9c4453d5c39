"""Which of the new rows' distributions differ from the reference's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from luthier.drift import Reference, RowFeatures
from luthier.drift.features import text_hash
from luthier.drift.statistics import Comparison, compare_counts, compare_values, holm

MODERATE = 0.10
LARGE = 0.25
"""The usual marks of the population stability index (Siddiqi 2006, "Credit Risk Scorecards"): below 0.10 no change to
speak of, from 0.25 on a large one."""
SIGNIFICANT = 0.05
Kind = Literal["length", "vocabulary", "embedding", "answers", "labels"]
Size = Literal["none", "moderate", "large"]


@dataclass(frozen=True)
class Shift:
    """One distribution compared. `p` is corrected for the number of comparisons made; `reference` and `new` describe
    the two in a few words.

    `size` is none unless p is below 0.05; then it goes by the part of PSI that chance does not explain.
    """

    kind: Kind
    name: str
    test: str
    psi: float
    psi_by_chance: float
    p: float
    reference: str
    new: str

    @property
    def size(self) -> Size:
        """none, moderate (PSI beyond chance from 0.10 on) or large (from 0.25 on)."""
        beyond = max(0.0, self.psi - self.psi_by_chance)
        if self.p >= SIGNIFICANT or beyond < MODERATE:
            return "none"
        return "large" if beyond >= LARGE else "moderate"


def input_shifts(reference: Reference, new: RowFeatures) -> list[Shift]:
    """The comparisons of the prompts, not corrected yet: see `corrected`."""
    shifts = [
        _values("length", "characters", reference.characters, new.characters, "median {:,.0f}"),
        _values("length", "tokens", reference.tokens, new.tokens, "median {:,.0f}"),
    ]
    if reference.vocabulary is not None:
        vocabulary = reference.vocabulary
        surprise = _values(
            "vocabulary", "rarity of words", reference.surprise, vocabulary.surprise(new.words), "{:.2f}"
        )
        unseen = vocabulary.unseen(new.words)
        words = [f"{float(share.mean()):.1%} of words unseen" for share in (reference.unseen, unseen)]
        shifts.append(replace(surprise, reference=words[0], new=words[1]))
        places = vocabulary.places(new.words)
        directions = places.shape[1] - 1
        for index in range(directions):
            name = f"direction {index + 1} of TF-IDF"
            shifts.append(_values("embedding", name, reference.places[:, index], places[:, index], "median {:.2f}"))
        rest = "outside all directions"
        shifts.append(_values("embedding", rest, reference.places[:, -1], places[:, -1], "median {:.2f}"))
    return shifts


def class_shift(kind: Kind, name: str, reference: Mapping[str, int], answers: Sequence[str]) -> Shift:
    """Compares answers that are classes with counts by hash; what was never seen is one class, "(other)"."""
    shown = {text_hash(answer): answer.strip() for answer in answers}
    counts = Counter(hashed if (hashed := text_hash(answer)) in reference else "(other)" for answer in answers)
    found = compare_counts(reference, counts)
    total, new_total = sum(reference.values()), len(answers)
    names = sorted({*reference, *counts})
    most = max(names, key=lambda key: abs(counts.get(key, 0) / new_total - reference.get(key, 0) / total))
    label = shown.get(most, "a class that is gone" if most != "(other)" else "(other)")
    label = label if len(label) <= 24 else label[:21] + "..."
    before = f"{label}: {reference.get(most, 0) / total:.1%}"
    return _shift(kind, name, found, before, f"{counts.get(most, 0) / new_total:.1%}")


def answer_length_shift(kind: Kind, name: str, reference: Any, answers: Sequence[str]) -> Shift:
    """Compares the lengths of answers that are no classes."""
    return _values(kind, name, reference, [len(answer.strip()) for answer in answers], "median {:,.0f} characters")


def corrected(shifts: Sequence[Shift]) -> list[Shift]:
    """The shifts with their p-values corrected by Holm's method for all of them."""
    return [replace(shift, p=p) for shift, p in zip(shifts, holm([shift.p for shift in shifts]), strict=True)]


def _values(kind: Kind, name: str, reference: Any, new: Any, words: str) -> Shift:
    import numpy

    medians = [words.format(float(numpy.median(sample))) for sample in (reference, new)]
    return _shift(kind, name, compare_values(reference, new), *medians)


def _shift(kind: Kind, name: str, found: Comparison, before: str, after: str) -> Shift:
    return Shift(kind, name, found.test, found.psi, found.psi_by_chance, found.p, before, after)
