"""MinHash signatures of texts (Broder 1997), for whole arrays of texts at once.

The probability that two texts agree in one value of their signatures is the Jaccard similarity of their shingles. Every
step is one numpy operation over many texts: some 3 s for 20,000 texts of 1,000 characters, where adding shingle by
shingle (datasketch) takes about ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from luthier.checks.normal import normalised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint32]

__all__ = ["LONGEST", "SHINGLE", "shingle_hashes", "shingle_matrix", "signatures"]

# Characters, not words: right for languages without spaces, and one changed word in a row of ten still leaves most
# shingles alone. Five is what Leskovec, Rajaraman and Ullman (Mining of Massive Datasets, 3.2) advise for short texts.
SHINGLE = 5
# Of a longer text only the beginning is compared, so that one line of 50 MB does not take the time of all others.
LONGEST = 100_000
# So many characters at a time: their hashes stay in the processor's cache.
_CHUNK = 1 << 16


def shingle_hashes(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """The 32-bit hashes of the shingles of each text, one after the other, and where each text's begin.

    A shingle is `SHINGLE` characters in a row of the `normalised` text; a shorter text is one shingle. Every text has
    at least one.
    """
    import numpy as np

    # A text of fewer characters is padded with NUL, which stands in no row, up to one whole shingle.
    padded = [normalised(text[:LONGEST]).ljust(SHINGLE, "\0") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter((len(text) for text in padded), dtype=np.int64, count=len(padded))
    ends = np.cumsum(lengths)
    rolled = np.zeros(max(len(codes) - SHINGLE + 1, 0), dtype=np.uint64)
    for offset in range(SHINGLE):
        rolled *= np.uint64(0x9E3779B97F4A7C15)
        rolled += codes[offset : offset + len(rolled)]
        rolled ^= rolled >> np.uint64(29)
    rolled *= np.uint64(0xBF58476D1CE4E5B9)
    # The windows that reach over the end of a text are no shingles of it.
    whole = np.ones(len(rolled), dtype=bool)
    for back in range(1, SHINGLE):
        whole[(ends - back)[ends - back < len(rolled)]] = False
    begins = np.concatenate(([0], np.cumsum(lengths - SHINGLE + 1)))[:-1]
    return (rolled[whole] >> np.uint64(32)).astype(np.uint32), begins


def signatures(texts: Sequence[str], values: int, seed: int = 1) -> Hashes:
    """MinHash signatures, (texts, values): for each text and permutation the least hash of its shingles.

    The permutations are h -> a h + b modulo 2^32 with odd a.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    factors = generator.integers(0, 2**31, size=values, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    addends = generator.integers(0, 2**32, size=values, dtype=np.uint32)
    result = np.empty((len(texts), values), dtype=np.uint32)
    for start, stop in _chunks(texts):
        hashes, begins = shingle_hashes(texts[start:stop])
        permuted = np.empty_like(hashes)
        for index in range(values):
            np.multiply(hashes, factors[index], out=permuted)
            np.add(permuted, addends[index], out=permuted)
            result[start:stop, index] = np.minimum.reduceat(permuted, begins)
    return result


def shingle_matrix(texts: Sequence[str]) -> Any:
    """A sparse matrix (texts, 2^31) with a one for each distinct shingle of a text, at its hash."""
    import numpy as np
    from scipy.sparse import csr_matrix

    hashes, begins = shingle_hashes(texts)
    counts = np.diff(np.concatenate((begins, [len(hashes)])))
    keys = np.repeat(np.arange(len(texts), dtype=np.uint64), counts) << np.uint64(31) | (hashes >> np.uint32(1))
    keys = np.unique(keys)
    rows = (keys >> np.uint64(31)).astype(np.int64)
    columns = (keys & np.uint64(2**31 - 1)).astype(np.int32)
    pointers = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(texts)))))
    return csr_matrix((np.ones(len(columns), dtype=np.int32), columns, pointers), shape=(len(texts), 2**31 - 1))


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts of about `_CHUNK` characters together."""
    start = characters = 0
    for index, text in enumerate(texts):
        characters += min(len(text), LONGEST)
        if characters >= _CHUNK:
            yield start, index + 1
            start, characters = index + 1, 0
    if start < len(texts):
        yield start, len(texts)
