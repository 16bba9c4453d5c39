"""Which fields of a JSON answer are right: precision, recall and F1 over fields, and over the items of arrays.

A *field* is a path through objects to a value that is no object: a string, number, boolean or array. `null` and `[]`
say that there is nothing, so they are no fields, and a missing key is the same. A predicted field is right when the
reference has that path with an equal value; the order of an array's items does not matter. Over *items*, each
item of an array is counted on its own, as a multiset per path, so that an array with one wrong item is not all wrong.
Both are micro averages: right, extra and missed are summed over all rows before dividing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.evaluation.blocks import part
from luthier.evaluation.json_answers import is_value, parse
from luthier.evaluation.ratios import Overlap, Ratios, total

Path = tuple[str, ...]
"""The keys that lead to a field; empty for an answer that is an array."""


@dataclass(frozen=True)
class FieldFigures:
    """Micro figures over all fields, over the items of arrays (None where there are no arrays), and of each field by
    its keys joined by dots ("(answer)" for an answer that is an array)."""

    fields: Ratios
    items: Ratios | None
    per_field: dict[str, Ratios]

    def to_json(self) -> dict[str, Any]:
        """The key `fields`."""
        return {"fields": {**asdict(self.fields), "arrays": _json(self.items), "per_field": _json(self.per_field)}}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> FieldFigures | None:
        """From the content of evaluation.json."""
        found = part(values, "fields")
        if found is None:
            return None
        items = None if found["arrays"] is None else Ratios.from_json(found["arrays"])
        paths = {path: Ratios.from_json(value) for path, value in found["per_field"].items()}
        return FieldFigures(Ratios.from_json(found), items, paths)

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "field precision", f"{self.fields.precision:.3f}"
        yield "field recall", f"{self.fields.recall:.3f}"
        yield "field F1", f"{self.fields.f1:.3f}"
        if self.items is not None:
            yield "array F1", f"{self.items.f1:.3f}"


@dataclass(frozen=True)
class FieldOverlap:
    """One row: counts by path, over fields and over the items of arrays."""

    fields: dict[Path, Overlap]
    items: dict[Path, Overlap]


def field_overlap(expected: str, predicted: str) -> FieldOverlap:
    """Compares two JSON texts. A text that is no JSON has no fields, so all of the other's are missed or extra."""
    wanted, given = _fields(expected), _fields(predicted)
    fields: dict[Path, Overlap] = {}
    items: dict[Path, Overlap] = {}
    for path in [*wanted, *(path for path in given if path not in wanted)]:
        left, right = wanted.get(path), given.get(path)
        equal = left == right
        fields[path] = Overlap(int(equal), int(right is not None and not equal), int(left is not None and not equal))
        if isinstance(left, _Items) or isinstance(right, _Items):
            a, b = _counter(left), _counter(right)
            both = (a & b).total()
            items[path] = Overlap(both, b.total() - both, a.total() - both)
    return FieldOverlap(fields, items)


def field_figures(expected: Sequence[str], predicted: Sequence[str]) -> FieldFigures:
    """The figures of all rows."""
    rows = [field_overlap(wanted, given) for wanted, given in zip(expected, predicted, strict=True)]
    by_path: dict[str, Overlap] = {}
    for row in rows:
        for path, overlap in row.fields.items():
            name = ".".join(path) or "(answer)"
            by_path[name] = by_path.get(name, Overlap()) + overlap
    items = [overlap for row in rows for overlap in row.items.values()]
    return FieldFigures(
        fields=total(by_path.values()).ratios(),
        items=total(items).ratios() if items else None,
        per_field={path: by_path[path].ratios() for path in sorted(by_path)},
    )


@dataclass(frozen=True)
class _Items:
    """The items of an array, whatever their order."""

    counts: frozenset[tuple[Hashable, int]]


def _fields(text: str) -> dict[Path, Hashable]:
    """The fields of a JSON text."""
    value = parse(text)
    if not is_value(value):
        return {}
    found: dict[Path, Hashable] = {}
    try:
        _collect(value, (), found)
    except RecursionError:
        return {}
    return found


def _collect(value: Any, path: Path, found: dict[Path, Hashable]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _collect(inner, (*path, key), found)
    elif isinstance(value, list):
        if value:
            found[path] = _Items(frozenset(Counter(map(comparable, value)).items()))
    elif value is not None:
        found[path] = comparable(value)


def comparable(value: Any) -> Hashable:
    """A JSON value as one that can be hashed, equal for equal values: true is not 1, 1 is 1.0, keys have no order."""
    if isinstance(value, dict):
        return ("object", frozenset((key, comparable(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(comparable, value)))
    return (isinstance(value, bool), value)


def _counter(value: Hashable) -> Counter[Hashable]:
    """The items of an array by number; what stands where an array is due is one item, equal to none."""
    if value is None:
        return Counter()
    return Counter(dict(value.counts)) if isinstance(value, _Items) else Counter([("no array", value)])


def _json(value: Ratios | dict[str, Ratios] | None) -> Any:
    if isinstance(value, dict):
        return {key: asdict(inner) for key, inner in value.items()}
    return None if value is None else asdict(value)
