"""The training rows most like a text, by the words they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.errors import InputError

_AT_ONCE = 256


class TfidfIndex:
    """Texts by TF-IDF (word 1- and 2-grams, logarithmic counts), compared by the cosine of their vectors."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises InputError when no text holds a word."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        try:
            self._vectors: Any = self._vectorizer.fit_transform(list(texts))
        except ValueError as error:
            if "empty vocabulary" in str(error) or not texts:
                raise InputError("[tfidf] no prompt holds a word to count") from error
            raise

    def __len__(self) -> int:
        return int(self._vectors.shape[0])

    def nearest(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """The indices of the `k` most similar texts to each query (fewer where there are fewer), most similar first;
        of equally similar ones the earlier first."""
        return [[index for index, _ in found] for found in self.similar(queries, k)]

    def similar(self, queries: Sequence[str], k: int) -> list[list[tuple[int, float]]]:
        """The same, each with its similarity, 0 to 1."""
        import numpy as np

        found: list[list[tuple[int, float]]] = []
        for start in range(0, len(queries), _AT_ONCE):
            vectors = self._vectorizer.transform(list(queries[start : start + _AT_ONCE]))
            similarities = (vectors @ self._vectors.T).toarray()
            order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
            found += [[(int(i), float(row[i])) for i in best] for row, best in zip(similarities, order, strict=True)]
        return found
