"""What is measured of each row: lengths, hashed words, answers. No text is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.records.record import Record

if TYPE_CHECKING:
    from luthier.text.tokenizer import Tokenizer

WORD_BUCKETS = 1 << 14
"""Words are hashed to so many buckets; several words share one, so that a bucket does not tell the word."""


@dataclass(frozen=True)
class RowFeatures:
    """Per row: characters and tokens of the prompt, and its words as a sparse matrix [rows, buckets] of counts.

    The characters and words are those of user and earlier assistant messages; tokens are those of the whole prompt.
    """

    characters: Any
    tokens: Any
    words: Any


def row_features(records: Sequence[Record], tokenizer: Tokenizer) -> RowFeatures:
    """The features of rows' prompts."""
    import numpy

    from luthier.text.encode import ChatEncoder

    texts = [record.question for record in records]
    return RowFeatures(
        characters=numpy.array([len(text) for text in texts], dtype=numpy.int32),
        tokens=numpy.array([len(ids) for ids in ChatEncoder(tokenizer).encode_prompts(records)], dtype=numpy.int32),
        words=word_counts(texts),
    )


def system_text(record: Record) -> str:
    """The system message of a row, or an empty text."""
    return next((message.content for message in record.prompt if message.role in ("system", "developer")), "")


def word_counts(texts: Sequence[str]) -> Any:
    """Sparse counts of hashed words, [texts, buckets]; words are runs of letters and digits in lower case."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=WORD_BUCKETS, alternate_sign=False, norm=None, token_pattern=r"(?u)\b\w+\b", dtype="float32"
    )
    return vectorizer.transform(texts)


def text_hash(text: str) -> str:
    """A short hash by which an answer or a system message is recognised without being kept."""
    return hashlib.sha256(text.strip().encode("utf-8", errors="replace")).hexdigest()[:16]
