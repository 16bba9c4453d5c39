"""Whether a wrong answer is the model's fault or its reference's.

Two witnesses that did not see the reference are asked: the nearest training rows, each with the weight of its
similarity, and the baseline that learned from all training rows (TF-IDF with logistic regression). Doubt is the mean
of what they say: 1 where they give the model's answer, -1 where they give the reference, 0 for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.report.error_rows import Neighbour

SUSPECT = 0.6
"""Doubt from which a label is said to look wrong: one witness alone cannot bring it about."""

_LEAST_SIMILARITY = 0.1


def doubt(expected: str, output: str, nearest: Sequence[Neighbour], others: Mapping[str, str]) -> float:
    """How much speaks against a reference, -1 to 1. `others` are answers of baselines by their kind; those of
    `classifier` count, or where there is none, each that asks the untuned model."""
    said = [_say(answer, expected, output) for answer in _witnesses(others)]
    near = [one for one in nearest if one.similarity >= _LEAST_SIMILARITY]
    weight = sum(one.similarity for one in near)
    if weight:
        said.append(sum(one.similarity * _say(one.answer, expected, output) for one in near) / weight)
    # One witness alone may be wrong as easily as the model.
    return sum(said) / max(len(said), 2)


def _witnesses(others: Mapping[str, str]) -> list[str]:
    if "classifier" in others:
        return [others["classifier"]]
    return [answer for kind, answer in others.items() if kind not in ("neighbour", "prompt")]


def _say(answer: str, expected: str, output: str) -> float:
    if answer.strip() == output.strip():
        return 1.0
    return -1.0 if answer.strip() == expected.strip() else 0.0
