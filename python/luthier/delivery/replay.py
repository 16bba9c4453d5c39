"""An export is tried with the run's own rows: the files, loaded anew, must answer as the trained model does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.delivery.agreement import Agreement, answer_logits, measure
from luthier.delivery.files import reopen
from luthier.delivery.floor import FLOORS, Floor, doubts, faults
from luthier.delivery.formats import Choice
from luthier.delivery.prompts import NEW_TOKENS, Prompts
from luthier.errors import LuthierError
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from torch import Tensor

    from luthier import _core
    from luthier.models.model import Model


@dataclass(frozen=True)
class Reference:
    """What the trained model makes of the prompts: its greedy answers, its logits there, and those of the base model
    on the same tokens. `end_ids` are the tokens at which it stops."""

    prompts: Prompts
    answers: tuple[list[int], ...]
    trained: tuple[Tensor, ...]
    base: tuple[Tensor, ...]
    end_ids: frozenset[int]

    def rows(self) -> Iterator[tuple[list[int], list[int]]]:
        """(prompt, answer) of each row."""
        return zip(self.prompts.ids, self.answers, strict=True)


@dataclass(frozen=True)
class Verification:
    """How the exported files, loaded anew, did. `ids_differ` names the rows with other token ids; None where the files
    hold no tokenizer. `faults` are the reasons against handing them out, `doubts` what to know of them."""

    prompts: Prompts
    agreement: Agreement | None
    floor: Floor
    ids_differ: tuple[str, ...] | None
    faults: tuple[str, ...]
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values, for export.json."""
        return {
            "rows": {"file": self.prompts.file, "kind": self.prompts.kind, "prompts": len(self.prompts.ids)},
            "token_ids": None if self.ids_differ is None else {"differ": list(self.ids_differ)},
            "agreement": None if self.agreement is None else self.agreement.to_json(),
            "floor": self.floor.to_json(),
            "faults": list(self.faults),
        }


def answers_of(decoder: _core.Decoder, prompts: Sequence[list[int]], end_ids: frozenset[int]) -> list[list[int]]:
    """Greedy answers of at most 16 tokens, without the end token."""
    from luthier import _core

    answers: list[list[int]] = _core.generate(decoder, list(prompts), NEW_TOKENS, sorted(end_ids), 0.0, 0)
    return answers


def trained_side(model: Model, prompts: Prompts) -> tuple[tuple[list[int], ...], tuple[Tensor, ...]]:
    """The trained model's answers and its logits there."""
    answers = answers_of(model.decoder, prompts.ids, model.encoder.end_ids)
    rows = zip(prompts.ids, answers, strict=True)
    return tuple(answers), tuple(answer_logits(model.decoder, prompt, answer) for prompt, answer in rows)


def replay(reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> Verification:
    """Loads the files in `folder` and compares them with the trained model on the reference's rows.

    Files that cannot be loaded are a fault like any other.
    """
    floor = FLOORS[choice.numbers]
    try:
        model, encoder = reopen(folder, choice, source)
        own, theirs = reference.trained[0].shape[-1], int(model.decoder.config["vocabulary_size"])
        if own != theirs:
            return _failed(reference, floor, f"its vocabulary has {theirs:,} entries and not {own:,}")
        differ = None if encoder is None else tuple(reference.prompts.differing(encoder))
        answers = answers_of(model.decoder, reference.prompts.ids, reference.end_ids)
        found = measure(
            reference.trained,
            reference.base,
            (answer_logits(model.decoder, prompt, answer) for prompt, answer in reference.rows()),
            [own == other for own, other in zip(reference.answers, answers, strict=True)],
        )
    except (LuthierError, OSError) as error:
        return _failed(reference, floor, f"it cannot be loaded: {error}")
    said = []
    if differ:
        said.append(
            f"its tokenizer and template give other token ids in {len(differ)} of {len(reference.prompts.ids)} rows, "
            f"{differ[0]} first"
        )
    if encoder is not None and choice.format != "peft" and encoder.end_ids != reference.end_ids:
        ends = ", ".join(str(end) for end in sorted(reference.end_ids))
        said.append(f"it stops at the tokens {sorted(encoder.end_ids)} and not at {ends}")
    said += faults(found, floor)
    return Verification(reference.prompts, found, floor, differ, tuple(said), tuple(doubts(found)))


def _failed(reference: Reference, floor: Floor, fault: str) -> Verification:
    return Verification(reference.prompts, None, floor, None, (fault,))
