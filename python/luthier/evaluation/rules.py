"""Rules on the form of an answer, such as `max_chars=80`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from luthier.errors import InputError
from luthier.evaluation.blocks import part

Kind = Literal["max_chars", "min_chars", "no_newline", "regex", "starts_with", "ends_with", "forbid"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Rule:
    """One rule. `value` is a number of characters, a pattern (searched for; anchor it with ^ and $), or a text; it is
    empty for `no_newline`."""

    kind: Kind
    value: str = ""

    def keeps(self, answer: str) -> bool:
        """Whether an answer keeps the rule. Strip it first: white space at the ends is not counted."""
        match self.kind:
            case "max_chars":
                return len(answer) <= int(self.value)
            case "min_chars":
                return len(answer) >= int(self.value)
            case "no_newline":
                return "\n" not in answer
            case "regex":
                return re.search(self.value, answer) is not None
            case "starts_with":
                return answer.startswith(self.value)
            case "ends_with":
                return answer.endswith(self.value)
            case "forbid":
                return self.value not in answer

    def __str__(self) -> str:
        return f"{self.kind}={self.value}" if self.value else self.kind


def parse_rule(text: str) -> Rule:
    """A rule as it is written at the command line: `max_chars=80`, `no_newline`, `regex=^[A-Z]`. Raises InputError."""
    name, equals, value = text.partition("=")
    name = name.strip()
    for kind in KINDS:
        if name == kind:
            return _checked(Rule(kind, value), text, bool(equals))
    raise InputError(f"[rule] '{text}': there is no rule '{name}'; there are {', '.join(KINDS)}")


def _checked(rule: Rule, text: str, has_value: bool) -> Rule:
    if rule.kind == "no_newline":
        if has_value:
            raise InputError(f"[rule] '{text}': no_newline takes no value")
        return rule
    if not rule.value:
        raise InputError(f"[rule] '{text}': {rule.kind} needs a value, such as {_EXAMPLES[rule.kind]}")
    if rule.kind in ("max_chars", "min_chars") and not re.fullmatch(r"[0-9]{1,9}", rule.value):
        raise InputError(f"[rule] '{text}': {rule.kind} needs a whole number, such as {_EXAMPLES[rule.kind]}")
    if rule.kind == "regex":
        try:
            re.compile(rule.value)
        except (re.error, OverflowError, RecursionError) as error:
            raise InputError(f"[rule] '{text}': not a regular expression: {error}") from None
    return rule


_EXAMPLES: dict[Kind, str] = {
    "max_chars": "max_chars=80",
    "min_chars": "min_chars=10",
    "regex": "regex=^[A-Z]",
    "starts_with": "starts_with=Dear",
    "ends_with": "ends_with=.",
    "forbid": "forbid=sorry",
}


@dataclass(frozen=True)
class RuleFigures:
    """The share of the answers that keep every rule, and each."""

    all_kept: float
    each: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The key `rules`."""
        return {"rules": asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> RuleFigures | None:
        """From the content of evaluation.json."""
        found = part(values, "rules")
        return None if found is None else RuleFigures(found["all_kept"], dict(found["each"]))

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        if len(self.each) > 1:
            yield "all rules kept", f"{self.all_kept:.1%}"
        for name, share in self.each.items():
            yield f"{name} kept", f"{share:.1%}"


def rule_figures(rules: Sequence[Rule], predicted: Sequence[str]) -> RuleFigures:
    """The figures of all rows."""
    kept = [[rule.keeps(answer) for rule in rules] for answer in predicted]
    count = len(kept)
    each = {str(rule): sum(row[index] for row in kept) / count for index, rule in enumerate(rules)}
    return RuleFigures(sum(map(all, kept)) / count, each)
