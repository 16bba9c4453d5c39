"""The training rows most like a text: by the words they share, or by the vectors of a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from luthier.baselines.tfidf import fit_vectors
from luthier.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from luthier.baselines.encoder import SentenceEncoder

    Vectors = NDArray[np.float32]

_AT_ONCE = 256


class RowIndex(Protocol):
    """Texts that can be asked for those most like a query."""

    def __len__(self) -> int: ...

    def nearest(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """The indices of the `k` most similar texts to each query (fewer where there are fewer), most similar first."""
        ...


class TfidfIndex:
    """Texts by TF-IDF (`fit_vectors`), compared by the cosine of their vectors."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises InputError when no text holds a word."""
        self._vectorizer, self._vectors = fit_vectors(texts)

    def __len__(self) -> int:
        return int(self._vectors.shape[0])

    def nearest(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """As RowIndex says; of equally similar texts the earlier first."""
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


class EmbeddingIndex:
    """Texts by the vectors of a sentence encoder, compared by their cosine: an exact search (usearch)."""

    def __init__(self, texts: Sequence[str], encoder: SentenceEncoder) -> None:
        """Raises InputError where usearch is missing or the encoder gives no finite vectors."""
        try:
            import usearch.index  # noqa: F401
        except ImportError:
            raise InputError("[encoder] the index needs usearch: pip install 'luthier[encoder]'") from None
        self._encoder = encoder
        self._vectors = encoder.encode(texts)

    def __len__(self) -> int:
        return len(self._vectors)

    def nearest(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """As RowIndex says."""
        if not queries or not len(self):
            return [[] for _ in queries]
        return nearest_vectors(self._vectors, self._encoder.encode(queries), min(k, len(self)))


def nearest_vectors(vectors: Vectors, queries: Vectors, k: int) -> list[list[int]]:
    """For each of `queries` [n, dimensions] the `k` of `vectors` [m, dimensions] with the largest inner product,
    largest first; k at most m."""
    from usearch.index import search

    found: Any = search(vectors, queries, k, "ip", exact=True)
    return [[int(key) for key in row] for row in found.keys.reshape(len(queries), k)]
