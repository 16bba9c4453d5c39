"""The baseline to beat: TF-IDF over words with logistic regression, from prompts to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import InputError


@dataclass(frozen=True)
class TfidfClassifier:
    """A fitted baseline. Make one with `fit_tfidf`."""

    pipeline: Any
    answers: int

    def predict(self, prompts: Sequence[str]) -> list[str]:
        """The most probable answer for each prompt."""
        return [str(answer) for answer in self.pipeline.predict(list(prompts))] if len(prompts) else []

    def __repr__(self) -> str:
        return f"TfidfClassifier(answers={self.answers})"


def fit_tfidf(prompts: Sequence[str], answers: Sequence[str], seed: int = 0) -> TfidfClassifier:
    """Fits TF-IDF (word 1- and 2-grams, logarithmic counts) and a multinomial logistic regression (C = 10).

    `prompts` and `answers` have the same length. Raises InputError for no rows, for fewer than two distinct answers,
    and when no prompt holds a word.
    """
    if len(prompts) != len(answers):
        raise ValueError(f"[tfidf] {len(prompts)} prompts but {len(answers)} answers")
    distinct = sorted(set(answers))
    if len(distinct) < 2:
        raise InputError(
            f"[tfidf] a classifier needs two distinct answers at least, the {len(answers)} rows hold {len(distinct)}"
        )
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000, random_state=seed),
    )
    try:
        pipeline.fit(list(prompts), list(answers))
    except ValueError as error:
        if "empty vocabulary" in str(error):
            raise InputError("[tfidf] no prompt holds a word to count") from error
        raise
    return TfidfClassifier(pipeline, len(distinct))
