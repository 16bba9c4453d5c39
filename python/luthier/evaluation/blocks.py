"""What the parts of an Evaluation have in common: each adds keys to evaluation.json and lines to the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar


class Block(Protocol):
    """One family of figures. An implementation also has `from_json(values)`, which finds its keys among those of
    evaluation.json and gives None where they are missing."""

    def to_json(self) -> dict[str, Any]:
        """Its keys at the top level of evaluation.json."""

    def figures(self) -> Iterator[tuple[str, str]]:
        """(name, value) in words, for tables."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def part(values: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The object under `key`, or None."""
    found = values.get(key)
    return dict(found) if isinstance(found, Mapping) else None
