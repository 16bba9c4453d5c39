"""Whether a short answer is right, by a rule that is data.

    {"kind": "contains", "value": ["car", "automobile"], "without": ["bicycle"]}

Kinds: `exact` (one text), `one_of` (several), `contains` (any of several words or phrases), `number`, `regex`, `json`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from luthier.errors import InputError

Kind = Literal["exact", "one_of", "contains", "number", "regex", "json"]
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_FENCE = re.compile(r"^```\w*\s*\n(.*?)\n?```\s*$", re.DOTALL)
_EDGES = string.whitespace + string.punctuation + "“”‘’„«»"


@dataclass(frozen=True)
class Checker:
    """One rule. Case, and white space and punctuation at both ends, count for `regex` and `json` only.

    `exact` and `one_of`: the answer is the text, or one of the texts. `contains`: one of the words or phrases stands in
    the answer, as whole words, and none of `without`. `number`: the last number of the first line that has one.
    `regex`: the pattern is found. `json`: the answer, a fence around it removed, is the value.
    """

    kind: Kind
    value: Any
    without: tuple[str, ...] = ()

    def is_right(self, answer: str) -> bool:
        """Whether the answer keeps the rule."""
        if self.kind == "exact":
            return _bare(answer) == _bare(self.value)
        if self.kind == "one_of":
            return _bare(answer) in {_bare(value) for value in self.value}
        if self.kind == "contains":
            return any(_has(answer, word) for word in self.value) and not any(_has(answer, w) for w in self.without)
        if self.kind == "number":
            return _last_number(answer) == float(self.value)
        if self.kind == "regex":
            return re.search(self.value, answer) is not None
        return _is_json(answer, self.value)


def checker_from(given: object, where: str) -> Checker:
    """A Checker from its JSON form. Raises InputError, which begins with `where`, for anything else."""
    if not isinstance(given, Mapping) or "kind" not in given or "value" not in given:
        raise InputError(f"{where}: a check is an object with `kind` and `value`")
    kind, value, without = given["kind"], given["value"], given.get("without", [])
    if kind not in get_args(Kind):
        raise InputError(f"{where}: the check's kind is {kind!r}; it must be one of {', '.join(get_args(Kind))}")
    if unknown := sorted(set(given) - {"kind", "value", "without"}):
        raise InputError(f"{where}: the check has the unknown key {unknown[0]!r}; known are kind, value and without")
    texts = {"exact": (str,), "regex": (str,), "number": (int, float), "one_of": (list,), "contains": (list,)}
    if (kind in texts and not isinstance(value, texts[kind])) or (isinstance(value, bool) and kind == "number"):
        raise InputError(f"{where}: the value of a check of kind {kind!r} is {value!r}, which does not fit")
    for words in (value if kind in ("one_of", "contains") else [], without):
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            raise InputError(f"{where}: a check's words must be a list of texts that are not empty")
    if kind == "regex":
        try:
            re.compile(value)
        except re.error as error:
            raise InputError(f"{where}: the check's pattern {value!r} is no regular expression: {error}") from None
    return Checker(kind, value, tuple(without))


def _bare(text: str) -> str:
    return " ".join(text.strip(_EDGES).casefold().split())


def _has(answer: str, word: str) -> bool:
    pattern = rf"(?<!\w){re.escape(word.casefold())}(?!\w)"
    return re.search(pattern, answer.casefold()) is not None


def _last_number(answer: str) -> float | None:
    for line in answer.splitlines():
        if found := _NUMBER.findall(line):
            return float(found[-1].replace(",", ""))
    return None


def _is_json(answer: str, value: Any) -> bool:
    from luthier.evaluation.json_answers import parse, same

    text = answer.strip()
    fenced = _FENCE.match(text)
    return same(parse(fenced[1] if fenced else text), value)
