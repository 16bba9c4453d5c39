"""The answers of data with a closed set of answers: classification."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from luthier.checks.checked_file import CheckedFile
from luthier.checks.normal import normalised
from luthier.checks.texts import answer
from luthier.evaluation.classes import is_classification

__all__ = ["closed_set", "labels_of", "spelling_key", "variants"]

_LONGEST = 200
_MOST_SPELLINGS = 500
_SEPARATORS = re.compile(r"[\s_\-/]+")


def spelling_key(label: str) -> str:
    """What spellings of one label have in common: letters and digits, folded; separators are one space."""
    text = _SEPARATORS.sub(" ", normalised(label)).strip()
    bare = "".join(character for character in text if character.isalnum() or character in " +#&.")
    bare = bare.strip(" .") if any(map(str.isalnum, bare)) else text
    decomposed = unicodedata.normalize("NFD", bare)
    return "".join(character for character in decomposed if not unicodedata.combining(character)) or text


def labels_of(file: CheckedFile) -> list[str] | None:
    """The answer of every row with its spelling as it is, where the answers are a closed set of labels; else None.

    Variants of spelling count as one label, by the rule of `is_classification`. Where most answers are JSON with more
    values than one they were extracted from the inputs and are no labels, however few they are.
    """
    answers = [answer(record) for record in file.rows]
    if 2 * sum(count for text, count in Counter(answers).items() if _has_values(text)) > len(answers):
        return None
    few = len(set(answers)) <= min(max(2, len(answers) // 2), _MOST_SPELLINGS)
    short = few and all(len(text) <= _LONGEST for text in answers)
    return answers if short and is_classification([spelling_key(text) for text in answers]) else None


def _has_values(text: str) -> bool:
    """Whether an answer is a JSON array, or an object of two fields and more."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) or (isinstance(value, dict) and len(value) > 1)


def closed_set(file: CheckedFile) -> bool:
    """Whether the answers are labels of a closed set."""
    return labels_of(file) is not None


def variants(labels: Sequence[str]) -> dict[str, str]:
    """Each spelling that is not the most frequent one of its label, with that one.

    A label also counts as misspelt where one letter more, less or other makes it one that is 20 times as frequent.
    """
    counts = Counter(labels)
    best: dict[str, str] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        best.setdefault(spelling_key(label), label)
    found = {label: best[spelling_key(label)] for label in counts if best[spelling_key(label)] != label}
    totals = Counter(spelling_key(label) for label in labels)
    for label, total in totals.items():
        if len(label) < 5 or any(map(str.isdigit, label)):
            continue
        for other, frequent in totals.items():
            if frequent >= 20 * total and total <= 3 and _one_edit(label, other):
                found |= {spelling: best[other] for spelling in counts if spelling_key(spelling) == label}
    return found


def _one_edit(left: str, right: str) -> bool:
    """Whether one insertion, deletion, replacement or exchange of neighbours turns one into the other."""
    if abs(len(left) - len(right)) > 1 or left == right:
        return False
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    a, b = left[start:], right[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (len(a) > 1 and a[:2] == b[1::-1] and a[2:] == b[2:])
