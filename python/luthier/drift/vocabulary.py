"""How usual the words of a row are, and where a row lies among others: both learnt from one half of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPONENTS = 8
_UNSEEN_COUNT = 0.1
"""What a word that was never seen counts for; more would hide it among the many buckets that small data leave empty."""


@dataclass(frozen=True)
class Vocabulary:
    """Counts of hashed words, [buckets]; in how many rows each stands; and the main directions of TF-IDF vectors.

    `components` is [directions, buckets], by truncated SVD (Halko et al. 2011).
    """

    counts: Any
    rows_with: Any
    rows: int
    components: Any

    def surprise(self, words: Any) -> Any:
        """Per row: the mean of -ln p over its words, p with 0.1 added to each bucket's count; 0 without words."""
        import numpy

        smooth = self.counts.astype(float) + _UNSEEN_COUNT
        cost = -numpy.log(smooth / smooth.sum())
        totals = numpy.asarray(words.sum(axis=1)).ravel()
        return numpy.asarray(words @ cost).ravel() / numpy.maximum(totals, 1.0)

    def unseen(self, words: Any) -> Any:
        """Per row: the share of its words that no row of the vocabulary has."""
        import numpy

        totals = numpy.asarray(words.sum(axis=1)).ravel()
        return numpy.asarray(words @ (self.counts == 0).astype(float)).ravel() / numpy.maximum(totals, 1.0)

    def vectors(self, words: Any) -> Any:
        """TF-IDF vectors of length 1, sparse: (1 + ln tf) (1 + ln((1 + n) / (1 + df)))."""
        import numpy
        from sklearn.preprocessing import normalize

        weighted = words.astype(float)
        weighted.data = 1.0 + numpy.log(weighted.data)
        idf = 1.0 + numpy.log((1.0 + self.rows) / (1.0 + self.rows_with.astype(float)))
        return normalize(weighted.multiply(idf[None, :]).tocsr())

    def places(self, words: Any) -> Any:
        """[rows, directions + 1]: a row's place along each direction, and how much of it they all leave out."""
        import numpy

        along = numpy.asarray(self.vectors(words) @ self.components.astype(float).T)
        return numpy.column_stack([along, 1.0 - (along**2).sum(axis=1)])


def learn_vocabulary(words: Any) -> Vocabulary:
    """The vocabulary of rows, given as sparse counts [rows, buckets]."""
    import numpy
    from sklearn.decomposition import TruncatedSVD

    counts = numpy.asarray(words.sum(axis=0)).ravel().astype(numpy.int32)
    rows_with = numpy.asarray((words > 0).sum(axis=0)).ravel().astype(numpy.int32)
    bare = Vocabulary(counts, rows_with, words.shape[0], numpy.zeros((0, words.shape[1]), dtype=numpy.float16))
    if (used := int((counts > 0).sum())) == 0:
        return bare
    vectors = bare.vectors(words)
    count = min(COMPONENTS, words.shape[0] - 1, used)
    found = TruncatedSVD(count, random_state=0).fit(vectors).components_
    return Vocabulary(counts, rows_with, words.shape[0], found.astype(numpy.float16))
