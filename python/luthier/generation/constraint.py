"""What answers may be: one of a closed set of labels, or JSON that keeps a schema.

    model.generate("Which section?", constraint=Labels(("files", "mail")))
    model.generate("Read the order.", constraint=Schema({"type": "object", ...}), max_new_tokens=200)

At each token the model chooses among those with which an answer can still become one that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from luthier.errors import InputError
from luthier.generation.label_tokens import label_tokens
from luthier.records import Record
from luthier.records.shortened import shortened

if TYPE_CHECKING:
    from luthier import _core
    from luthier.generation.schema_masks import SchemaMasks
    from luthier.models.model import Model

Kind = Literal["labels", "schema"]

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Labels:
    """An answer is one of `answers`, token by token as the model's chat template writes it."""

    answers: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """labels"""
        return "labels"

    @property
    def summary(self) -> str:
        """In words."""
        return "1 label" if len(self.answers) == 1 else f"{len(self.answers):,} labels"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, "labels": list(self.answers)}

    def longest(self, model: Model, records: Sequence[Record]) -> int:
        """The most tokens that an answer can have: those of the longest label."""
        return max((len(tokens) for tokens in label_tokens(model.encoder, records[0], self.answers)), default=0)

    def start(self, model: Model, records: Sequence[Record], max_new_tokens: int) -> _core.TokenTrie:
        """The constraint of one call of the core, on the answers to `records`. Raises InputError where there is no
        label, and for a label that is longer than an answer may be."""
        from luthier import _core

        sequences = label_tokens(model.encoder, records[0], self.answers)
        for answer, tokens in zip(self.answers, sequences, strict=True):
            if len(tokens) > max_new_tokens:
                raise InputError(
                    f"[constrain] the label '{shortened(answer)}' has {len(tokens)} tokens, and an answer may have "
                    f"{max_new_tokens}; raise max-new-tokens"
                )
        return _core.TokenTrie(sequences, sorted(model.encoder.end_ids))


@dataclass(frozen=True)
class Schema:
    """An answer is JSON that keeps `schema`, a JSON Schema, as far as `llguidance` knows it. The keys of an object come
    in the order of its `properties`."""

    schema: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """schema"""
        return "schema"

    @property
    def summary(self) -> str:
        """In words."""
        return "a JSON Schema"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, "schema": dict(self.schema)}

    def check(self) -> None:
        """Raises InputError where `llguidance` is missing or cannot follow the schema."""
        from luthier.generation.schema_grammar import check_schema

        check_schema(self.schema)

    def longest(self, model: Model, records: Sequence[Record]) -> None:
        """Nothing is known of how long JSON may be."""

    def start(self, model: Model, records: Sequence[Record], max_new_tokens: int) -> SchemaMasks:
        """The constraint of one call of the core, on the answers to `records`. Raises InputError as `check` does."""
        from luthier.generation.schema_masks import SchemaMasks

        return SchemaMasks(model, records[0], self.schema)


Constraint = Labels | Schema


def constraint_from_json(values: Mapping[str, Any] | None) -> Constraint | None:
    """From what `to_json` gave. Raises KeyError or TypeError for what is no such thing."""
    if values is None:
        return None
    return Labels(tuple(values["labels"])) if values["kind"] == "labels" else Schema(dict(values["schema"]))


def constrained_name(name: str, constraint: Constraint | None) -> str:
    """The name of a system whose answers are constrained so, or are free (None)."""
    return name if constraint is None else f"{name}, constrained to {constraint.kind}"
