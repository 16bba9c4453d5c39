"""Figures for free text: chrF, ROUGE-L and length.

chrF (Popović 2015) is the F-score of character n-grams, n from 1 to 6, with recall counting twice; sacrebleu computes
it. ROUGE-L (Lin 2004, "ROUGE: a package for automatic evaluation of summaries") is the F1 of the longest common
subsequence of words; words are runs of letters and digits, in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.blocks import part

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class TextFigures:
    """`chrf` is over the whole file, `mean_chrf` the mean over rows, `rouge_l` too; all from 0 to 1. Lengths are means
    in characters, `length_ratio` that of the outputs over that of the references."""

    chrf: float
    mean_chrf: float
    rouge_l: float
    mean_characters: float
    mean_reference_characters: float
    length_ratio: float

    def to_json(self) -> dict[str, Any]:
        """The key `text`."""
        return {"text": asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> TextFigures | None:
        """From the content of evaluation.json."""
        found = part(values, "text")
        return None if found is None else TextFigures(**found)

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "chrF", f"{100 * self.chrf:.1f}"
        yield "ROUGE-L", f"{100 * self.rouge_l:.1f}"
        yield "characters", f"{self.mean_characters:,.0f} ({self.length_ratio:.2f} of the references')"


def text_figures(expected: Sequence[str], predicted: Sequence[str]) -> TextFigures:
    """The figures of all rows."""
    from sacrebleu.metrics.chrf import CHRF

    count = len(expected)
    characters = sum(map(len, predicted)) / count
    wanted = sum(map(len, expected)) / count
    return TextFigures(
        chrf=float(CHRF().corpus_score(list(predicted), [list(expected)]).score) / 100,
        mean_chrf=sum(chrf_scores(expected, predicted)) / count,
        rouge_l=sum(rouge_l(a, b) for a, b in zip(expected, predicted, strict=True)) / count,
        mean_characters=characters,
        mean_reference_characters=wanted,
        length_ratio=characters / wanted if wanted else 0.0,
    )


def chrf_scores(expected: Sequence[str], predicted: Sequence[str]) -> list[float]:
    """chrF of each row, 0 to 1; equal texts have 1, also where they are too short for n-grams."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    return [
        1.0 if a == b else float(metric.sentence_score(b, [a]).score) / 100
        for a, b in zip(expected, predicted, strict=True)
    ]


def rouge_l(expected: str, predicted: str) -> float:
    """ROUGE-L of one row: 2 LCS / (words of one + words of the other); 1 where neither has a word."""
    a, b = _WORD.findall(expected.lower()), _WORD.findall(predicted.lower())
    return 2 * common_subsequence(a, b) / (len(a) + len(b)) if a or b else 1.0


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of the table at a time in the bits of one number (Hyyrö 2004,
    "Bit-parallel LCS-length computation revisited")."""
    where: dict[str, int] = {}
    for index, word in enumerate(a):
        where[word] = where.get(word, 0) | 1 << index
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        matches = row & where.get(word, 0)
        row = (row + matches | row - matches) & full
    return len(a) - row.bit_count()
