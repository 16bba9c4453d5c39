"""Near-duplicates: pairs of texts whose sets of 5-character shingles have a Jaccard similarity of 0.8 or more.

MinHash signatures are cut into bands; texts that agree in a whole band are candidates (locality-sensitive hashing,
Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4), and every candidate is verified by the exact Jaccard
similarity. With 20 bands of 7 values a pair of similarity s is found with probability 1 - (1 - s^7)^20: 99.1 % at 0.8,
99.98 % at 0.9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.checks.minhash import shingle_matrix, signatures
from luthier.checks.texts import key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pairs = NDArray[np.int64]

__all__ = ["THRESHOLD", "Match", "near_duplicate_groups", "near_duplicates", "near_matches"]

THRESHOLD = 0.8
BANDS = 20
BAND = 7
# A band in which thousands of rows agree is a form letter; all its pairs would be millions. Within a band its rows are
# sorted by their whole signature, and each is compared with so many that follow.
_WINDOW = 100
# Candidates whose signatures agree this much less than the threshold are not verified: 4 standard deviations of the
# estimate (sqrt(0.8 * 0.2 / 140) = 0.034).
_SLACK = 0.135
_VERIFIED_AT_ONCE = 4096


@dataclass(frozen=True)
class Match:
    """`index` is a near-duplicate of `other`, with this Jaccard similarity."""

    index: int
    other: int
    similarity: float


def near_duplicate_groups(texts: Sequence[str], threshold: float = THRESHOLD) -> list[list[int]]:
    """Groups of two and more indices, each joined by pairs with a Jaccard similarity of `threshold` or more.

    Texts are compared without regard to case and spacing (`normalised`). The groups are in the order of their first
    index, and each is sorted. The result depends on the texts alone.
    """
    parents = list(range(len(texts)))
    for match in near_duplicates(texts, threshold):
        parents[_root(parents, match.index)] = _root(parents, match.other)
    groups: dict[int, list[int]] = {}
    for index in range(len(texts)):
        groups.setdefault(_root(parents, index), []).append(index)
    return sorted(group for group in groups.values() if len(group) > 1)


def near_duplicates(texts: Sequence[str], threshold: float = THRESHOLD) -> list[Match]:
    """For each text with a near-duplicate before it, one such pair; enough pairs to join every group.

    Equal texts are pairs of similarity 1. Sorted by index.
    """
    import numpy as np

    # Equal texts are joined without a comparison, so that thousands of copies cost nothing.
    first: dict[bytes, int] = {}
    matches: list[Match] = []
    for index, text in enumerate(texts):
        other = first.setdefault(key(text), index)
        if other != index:
            matches.append(Match(index, other, 1.0))
    places = list(first.values())
    distinct = [texts[index] for index in places]
    if len(distinct) < 2:
        return matches
    parents = list(range(len(distinct)))
    marks = signatures(distinct, BANDS * BAND)
    for band in range(BANDS):
        pairs = _joined(_band_pairs(marks, band), parents)
        pairs = _likely(marks, pairs, threshold)
        for chunk in np.array_split(pairs, len(pairs) // _VERIFIED_AT_ONCE + 1):
            # An earlier chunk may have joined these already.
            chunk = _joined(chunk, parents)
            for (low, high), similarity in zip(chunk.tolist(), _similarities(distinct, distinct, chunk).tolist()):
                if similarity >= threshold and _root(parents, low) != _root(parents, high):
                    parents[_root(parents, high)] = _root(parents, low)
                    matches.append(Match(places[high], places[low], similarity))
    return sorted(matches, key=lambda match: (match.index, match.other))


def near_matches(texts: Sequence[str], others: Sequence[str], threshold: float = THRESHOLD) -> list[Match]:
    """Pairs of one of `texts` and one of `others`: each text and each other that has a near-duplicate on the other side
    stands in one pair at least. Sorted by index, then similarity from the top."""
    import numpy as np

    if not texts or not others:
        return []
    count = len(texts)
    marks = np.concatenate((signatures(texts, BANDS * BAND), signatures(others, BANDS * BAND)))
    paired = np.zeros(len(marks), dtype=bool)
    found: dict[tuple[int, int], Match] = {}
    for band in range(BANDS):
        pairs = _band_pairs(marks, band)
        pairs = pairs[(pairs[:, 0] < count) & (pairs[:, 1] >= count)]
        pairs = _likely(marks, pairs[~(paired[pairs[:, 0]] & paired[pairs[:, 1]])], threshold)
        for chunk in np.array_split(pairs, len(pairs) // _VERIFIED_AT_ONCE + 1):
            chunk = chunk[~(paired[chunk[:, 0]] & paired[chunk[:, 1]])] - (0, count)
            for (low, high), similarity in zip(chunk.tolist(), _similarities(texts, others, chunk).tolist()):
                if similarity >= threshold:
                    found[low, high] = Match(low, high, similarity)
                    paired[[low, high + count]] = True
    return sorted(found.values(), key=lambda match: (match.index, -match.similarity, match.other))


def _band_pairs(marks: NDArray[np.uint32], band: int) -> Pairs:
    """Pairs (low, high) of rows that agree in a band: each with up to `_WINDOW` that follow in the band's order."""
    import numpy as np

    values = marks[:, band * BAND : (band + 1) * BAND].astype(np.uint64)
    keys = np.zeros(len(values), dtype=np.uint64)
    tie = np.zeros(len(values), dtype=np.uint64)
    following = marks[:, ((band + 1) % BANDS) * BAND :][:, :BAND].astype(np.uint64)
    for column in range(BAND):
        keys = (keys ^ values[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(31)
        tie = (tie ^ following[:, column]) * np.uint64(0x9E3779B97F4A7C15)
    order = np.lexsort((tie, keys))
    sorted_keys = keys[order]
    found = []
    for step in range(1, min(_WINDOW, len(order) - 1) + 1):
        same = np.flatnonzero(sorted_keys[:-step] == sorted_keys[step:])
        if not len(same):
            break
        found.append(np.stack((order[same], order[same + step]), axis=1))
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    pairs.sort(axis=1)
    return pairs.astype(np.int64)


def _likely(marks: NDArray[np.uint32], pairs: Pairs, threshold: float) -> Pairs:
    """The pairs whose signatures do not rule out that they reach the threshold."""
    import numpy as np

    kept = [
        chunk[(marks[chunk[:, 0]] == marks[chunk[:, 1]]).mean(axis=1) >= threshold - _SLACK]
        for chunk in np.array_split(pairs, len(pairs) // _VERIFIED_AT_ONCE + 1)
    ]
    return np.concatenate(kept)


def _similarities(left: Sequence[str], right: Sequence[str], pairs: Pairs) -> NDArray[np.float64]:
    """The exact Jaccard similarity of the shingles of each pair: intersection over union."""
    import numpy as np

    if not len(pairs):
        return np.empty(0)
    result = np.empty(len(pairs))
    begin = 0
    for end in _ends(left, right, pairs):
        lows, low_rows = np.unique(pairs[begin:end, 0], return_inverse=True)
        highs, high_rows = np.unique(pairs[begin:end, 1], return_inverse=True)
        low = shingle_matrix([left[index] for index in lows.tolist()])
        high = shingle_matrix([right[index] for index in highs.tolist()])
        low_sizes, high_sizes = np.diff(low.indptr)[low_rows], np.diff(high.indptr)[high_rows]
        shared = np.asarray(low[low_rows].multiply(high[high_rows]).sum(axis=1)).ravel()
        result[begin:end] = shared / (low_sizes + high_sizes - shared)
        begin = end
    return result


def _ends(left: Sequence[str], right: Sequence[str], pairs: Pairs) -> Iterator[int]:
    """Where to cut the pairs so that each piece has about 300,000 characters."""
    characters = 0
    for index, (low, high) in enumerate(pairs.tolist()):
        characters += len(left[low]) + len(right[high])
        if characters >= 300_000 or index + 1 == len(pairs):
            yield index + 1
            characters = 0


def _joined(pairs: Pairs, parents: list[int]) -> Pairs:
    """The pairs that are not in one group yet."""
    import numpy as np

    if not len(pairs):
        return pairs
    roots = np.array([_root(parents, index) for index in range(len(parents))])
    apart: NDArray[np.bool_] = roots[pairs[:, 0]] != roots[pairs[:, 1]]
    return pairs[apart]


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index
