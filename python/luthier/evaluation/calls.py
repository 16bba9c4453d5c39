"""Tool calls: whether the right tool was called, and with the right arguments.

A call is a JSON object with `name` (text) and `arguments` (an object, or a JSON string of one; `parameters` is read as
the same where it is an object), perhaps with `id`, `type` and `index`; or one that holds such an object under
`function`, as chat interfaces write it. It may stand anywhere in an answer, alone, in a list, or between tags such as
`<tool_call>`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.blocks import part
from luthier.evaluation.fields import comparable
from luthier.evaluation.json_answers import parse
from luthier.evaluation.ratios import Overlap, Ratios, total

_BESIDE = {"id", "type", "index"}
_SEARCHED = 100_000
"""Characters of an answer that are searched."""


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class CallFigures:
    """Shares of the rows: the names of the called tools are right (as a multiset; a reference without a call wants
    none); the calls are right with all arguments. `argument_accuracy` is the latter among the rows with right names.
    `arguments` are micro figures over (tool, argument, value)."""

    call_accuracy: float
    name_accuracy: float
    argument_accuracy: float
    arguments: Ratios

    def to_json(self) -> dict[str, Any]:
        """The key `calls`."""
        return {"calls": asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> CallFigures | None:
        """From the content of evaluation.json."""
        found = part(values, "calls")
        return None if found is None else CallFigures(**found | {"arguments": Ratios.from_json(found["arguments"])})

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "calls right", f"{self.call_accuracy:.1%}"
        yield "tool names right", f"{self.name_accuracy:.1%}"
        yield "arguments right, given the name", f"{self.argument_accuracy:.1%}"
        yield "argument F1", f"{self.arguments.f1:.3f}"


def find_calls(text: str) -> list[Call]:
    """The calls in an answer, in order."""
    calls: list[Call] = []
    text = text[:_SEARCHED]
    decoder = json.JSONDecoder()
    position = 0
    while (start := _next_bracket(text, position)) >= 0:
        try:
            value, position = decoder.raw_decode(text, start)
        except ValueError:
            position = start + 1
            continue
        except RecursionError:
            break
        calls += _calls(value)
    return calls


def holds_calls(answers: Sequence[str]) -> bool:
    """Whether half of the answers or more hold a call."""
    return len(answers) > 0 and 2 * sum(bool(find_calls(answer)) for answer in answers) >= len(answers)


def same_calls(expected: str, predicted: str) -> bool:
    """Whether both hold the same calls, in any order."""
    return _counted(find_calls(expected)) == _counted(find_calls(predicted))


def call_figures(expected: Sequence[str], predicted: Sequence[str]) -> CallFigures:
    """The figures of all rows."""
    pairs = [(find_calls(a), find_calls(b)) for a, b in zip(expected, predicted, strict=True)]
    names = [Counter(call.name for call in a) == Counter(call.name for call in b) for a, b in pairs]
    whole = [_counted(a) == _counted(b) for a, b in pairs]
    return CallFigures(
        call_accuracy=sum(whole) / len(pairs),
        name_accuracy=sum(names) / len(pairs),
        argument_accuracy=sum(whole) / sum(names) if any(names) else 0.0,
        arguments=total(_argument_overlap(a, b) for a, b in pairs).ratios(),
    )


def _next_bracket(text: str, position: int) -> int:
    found = [place for place in (text.find("{", position), text.find("[", position)) if place >= 0]
    return min(found, default=-1)


def _calls(value: Any) -> list[Call]:
    if isinstance(value, list):
        return [call for item in value for call in _calls(item)] if all(isinstance(i, dict) for i in value) else []
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls(value["tool_calls"])
    if isinstance(value.get("function"), dict):
        return _calls(value["function"])
    name = value.get("name")
    keys = value.keys() - _BESIDE
    arguments: Any = None
    if keys == {"name", "arguments"}:
        arguments = value["arguments"]
        if isinstance(arguments, str):
            arguments = parse(arguments)
    elif keys == {"name", "parameters"}:
        arguments = value["parameters"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return []
    return [Call(name, arguments)]


def _counted(calls: Sequence[Call]) -> Counter[Hashable]:
    return Counter((call.name, _hashed(call.arguments)) for call in calls)


def _argument_overlap(expected: Sequence[Call], predicted: Sequence[Call]) -> Overlap:
    a, b = _arguments(expected), _arguments(predicted)
    both = (a & b).total()
    return Overlap(both, b.total() - both, a.total() - both)


def _arguments(calls: Sequence[Call]) -> Counter[Hashable]:
    return Counter((call.name, key, _hashed(value)) for call in calls for key, value in call.arguments.items())


def _hashed(value: Any) -> Hashable:
    try:
        return comparable(value)
    except RecursionError:
        return ("too deep", id(value))
