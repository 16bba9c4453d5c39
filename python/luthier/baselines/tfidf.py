"""TF-IDF over words, and the baseline to beat: logistic regression over it, from prompts to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import InputError


@dataclass(frozen=True)
class TfidfClassifier:
    """A fitted baseline. Make one with `fit_tfidf`."""

    vectorizer: Any
    regression: Any
    answers: int

    def predict(self, prompts: Sequence[str]) -> list[str]:
        """The most probable answer for each prompt."""
        if not len(prompts):
            return []
        return [str(answer) for answer in self.regression.predict(self.vectorizer.transform(list(prompts)))]

    def __repr__(self) -> str:
        return f"TfidfClassifier(answers={self.answers})"


def fit_vectors(texts: Sequence[str]) -> tuple[Any, Any]:
    """The vectorizer that these texts make (word 1- and 2-grams, logarithmic counts, vectors of length one), and their
    vectors as a sparse matrix [texts, terms]. Raises InputError where no text holds a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    try:
        return vectorizer, vectorizer.fit_transform(list(texts))
    except ValueError as error:
        if "empty vocabulary" in str(error) or not texts:
            raise InputError("[tfidf] no prompt holds a word to count") from error
        raise


def fit_tfidf(prompts: Sequence[str], answers: Sequence[str], seed: int = 0) -> TfidfClassifier:
    """Fits TF-IDF (`fit_vectors`) and a multinomial logistic regression (C = 10).

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
    from sklearn.linear_model import LogisticRegression

    vectorizer, vectors = fit_vectors(prompts)
    regression = LogisticRegression(C=10.0, max_iter=1000, random_state=seed).fit(vectors, list(answers))
    return TfidfClassifier(vectorizer, regression, len(distinct))
