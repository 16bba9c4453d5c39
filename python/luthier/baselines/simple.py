"""Baselines that need no language model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from luthier.baselines.retrieval import RowIndex
from luthier.baselines.texts import answer_text
from luthier.baselines.tfidf import fit_tfidf
from luthier.errors import InputError
from luthier.records import Record
from luthier.records.shortened import shortened

MOST_ANSWERS = 1000
"""More distinct answers than this are no classes, and a classifier over them would take hours."""


@dataclass(frozen=True)
class SimpleAnswers:
    """Answers to the test rows, the time they took without the learning, and what one should know."""

    outputs: list[str]
    seconds: float
    notes: list[str] = field(default_factory=list)


def most_frequent(train: Sequence[Record], rows: Sequence[Record]) -> SimpleAnswers:
    """The most frequent answer of the training rows, always; of equally frequent ones the first."""
    answer, count = Counter(map(answer_text, train)).most_common(1)[0]
    share = f"{count:,} of {len(train):,} training rows have this answer: {shortened(answer, 60)}"
    return SimpleAnswers([answer] * len(rows), 0.0, [share])


def classifier(train: Sequence[Record], rows: Sequence[Record]) -> SimpleAnswers:
    """TF-IDF with logistic regression over the training rows' answers. Raises InputError where they are no classes."""
    answers = [answer_text(row) for row in train]
    distinct = len(set(answers))
    if distinct > MOST_ANSWERS:
        raise InputError(f"the training rows hold {distinct:,} different answers, more than {MOST_ANSWERS:,}")
    model = fit_tfidf([row.question for row in train], answers)
    start = time.perf_counter()
    outputs = model.predict([row.question for row in rows])
    return SimpleAnswers(outputs, time.perf_counter() - start)


def nearest_answer(train: Sequence[Record], rows: Sequence[Record], index: RowIndex) -> SimpleAnswers:
    """The answer of the training row that is most like the test row; `index` is over `train`."""
    start = time.perf_counter()
    nearest = index.nearest([row.question for row in rows], 1)
    return SimpleAnswers([answer_text(train[found[0]]) for found in nearest], time.perf_counter() - start)
