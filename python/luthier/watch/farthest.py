"""The new rows that are least like the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.drift import Reference
from luthier.drift.features import word_counts
from luthier.records import Record

MOST = 10
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class FarRow:
    """A new row and its distance, from 0 (the same words) to 1 (none in common): one less the cosine of TF-IDF vectors
    to the nearest training row, whose place is given.

    Where the training rows are gone, the distance is what the reference's directions leave out of the row.
    """

    file: str
    line: int
    distance: float
    nearest_file: str | None = None
    nearest_line: int | None = None


def farthest_rows(
    rows: Sequence[Record], words: Any, reference: Reference, training: Sequence[Record] | None, most: int = MOST
) -> list[FarRow]:
    """The new rows that are farthest from training, the farthest first; none when the reference has no vocabulary."""
    import numpy

    if reference.vocabulary is None or not rows:
        return []
    if training is None or len(training) == 0:
        left_out = reference.vocabulary.places(words)[:, -1]
        order = numpy.argsort(-left_out, kind="stable")[:most]
        return [FarRow(rows[i].file, rows[i].line, float(left_out[i])) for i in order]
    known = reference.vocabulary.vectors(word_counts([record.question for record in training])).T.tocsr()
    vectors = reference.vocabulary.vectors(words)
    nearest, likeness = numpy.zeros(len(rows), dtype=int), numpy.zeros(len(rows))
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        cosines = (vectors[begin : begin + _ROWS_AT_ONCE] @ known).toarray()
        found = cosines.argmax(axis=1)
        nearest[begin : begin + len(found)] = found
        likeness[begin : begin + len(found)] = cosines[numpy.arange(len(found)), found]
    order = numpy.argsort(likeness, kind="stable")[:most]
    return [
        FarRow(
            rows[i].file,
            rows[i].line,
            float(max(0.0, 1.0 - likeness[i])),
            training[nearest[i]].file,
            training[nearest[i]].line,
        )
        for i in order
    ]
