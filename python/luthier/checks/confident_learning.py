"""Confident learning: which labels are likely wrong (Northcutt, Jiang and Chuang, Journal of AI Research 70, 2021).

Each row's probabilities come from a model that was fitted without it (cross-validation). A row is flagged when some
other class is at least as probable as it is, on average, for the rows that carry that class's label: the off-diagonal
part of the confident joint (their equation 1). Rows are ranked by self-confidence, the probability of their own label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Suspects", "out_of_fold_probabilities", "suspect_labels"]

_FOLDS = 5
# Of a longer text the beginning says what it is about.
_LONGEST = 20_000
# In more text than this, words alone do as well as words and pairs of words, in a quarter of the time and memory.
_CHARACTERS_FOR_PAIRS = 8_000_000
_TERMS = 1 << 20
_AT_ONCE = 1000


@dataclass(frozen=True)
class Suspects:
    """`order` has every row, the most suspect first; by row, `flagged`, the own label's probability and the label that
    is the most probable."""

    order: NDArray[np.int64]
    flagged: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    predicted: list[str]


def suspect_labels(texts: Sequence[str], labels: Sequence[str], seed: int = 0) -> Suspects | None:
    """Ranks the rows by how much their labels look wrong. None where no probability can be had: no words, or classes
    too small to leave rows out."""
    import numpy as np

    found = out_of_fold_probabilities(texts, labels, seed)
    if found is None:
        return None
    probabilities, classes, given = found
    rows = np.arange(len(given))
    own = probabilities[rows, given]
    thresholds = np.array(
        [probabilities[given == k, k].mean() if (given == k).any() else np.inf for k in range(len(classes))]
    )
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    flagged = (confident.max(axis=1) > 0) & (best != given)
    predicted = [classes[k] for k in probabilities.argmax(axis=1).tolist()]
    return Suspects(np.argsort(own, kind="stable"), flagged, own, predicted)


def out_of_fold_probabilities(
    texts: Sequence[str], labels: Sequence[str], seed: int = 0
) -> tuple[NDArray[np.float32], list[str], NDArray[np.int64]] | None:
    """(probabilities (rows, classes), classes, each row's class): TF-IDF of words and pairs of words with logistic
    regression, one against the rest, trained by stochastic gradient descent; each fifth is predicted from the others.

    None where fewer than two classes have two rows, or the texts hold no word that stands in two of them.
    """
    import warnings

    import numpy as np
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold

    classes = sorted(set(labels))
    place = {label: index for index, label in enumerate(classes)}
    given = np.array([place[label] for label in labels], dtype=np.int64)
    counts = np.bincount(given)
    if (counts >= 2).sum() < 2:
        return None
    features = _features(texts)
    if features is None:
        return None
    probabilities = np.zeros((len(given), len(classes)), dtype=np.float32)
    passes = max(4, min(8, 40_000 // len(given)))
    with warnings.catch_warnings():
        # A class of fewer rows than folds is missing from some: its rows then have no probability of their own label.
        warnings.simplefilter("ignore")
        parts = StratifiedKFold(min(_FOLDS, int(counts.max())), shuffle=True, random_state=seed)
        for learned, left_out in parts.split(features, given):
            model = SGDClassifier(loss="log_loss", alpha=3e-5, max_iter=passes, tol=None, random_state=seed)
            model.fit(features[learned], given[learned])
            probabilities[np.ix_(left_out, model.classes_)] = model.predict_proba(features[left_out])
    return probabilities, classes, given


def _features(texts: Sequence[str]) -> Any:
    """TF-IDF with logarithmic counts, (texts, terms), of the terms that stand in two texts and more; None without any.

    Terms are hashed and not kept in a dictionary, which would be larger than the texts.
    """
    import numpy as np
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    pairs = sum(min(len(text), _LONGEST) for text in texts) <= _CHARACTERS_FOR_PAIRS
    vectorizer = HashingVectorizer(
        n_features=_TERMS,
        ngram_range=(1, 2) if pairs else (1, 1),
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
        token_pattern=r"(?u)\b\w+\b",
    )
    parts = [
        vectorizer.transform([text[:_LONGEST] for text in texts[start : start + _AT_ONCE]])
        for start in range(0, len(texts), _AT_ONCE)
    ]
    counts = vstack(parts, format="csr")
    del parts
    common = np.flatnonzero(np.bincount(counts.indices, minlength=_TERMS) >= 2)
    if not len(common):
        return None
    counts = counts[:, common]
    return TfidfTransformer(sublinear_tf=True).fit(counts).transform(counts, copy=False)
