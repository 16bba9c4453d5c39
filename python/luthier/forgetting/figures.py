"""What a model does with general material, as plain values that can be kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from luthier.errors import InputError
from luthier.forgetting.losses import TextLosses

FORMAT = 1


@dataclass(frozen=True)
class GeneralAnswer:
    """The answer to one instruction, or to one of the user's rows, whose `id` is then `file:line`."""

    id: str
    output: str
    right: bool


@dataclass(frozen=True)
class GeneralFigures:
    """Losses and answers of one model. Make one with `measure_general`.

    `prose`: paragraphs without a chat around them; `references`: the right answers to the instructions; `keep`: the
    assistant turns of the user's own rows. `material` and `keep_material` are hashes of what was measured on.
    """

    model: str
    material: str
    prose: TextLosses
    references: TextLosses
    answers: tuple[GeneralAnswer, ...]
    seconds: float
    keep_file: str | None = None
    keep_material: str | None = None
    keep: TextLosses | None = None
    keep_answers: tuple[GeneralAnswer, ...] = ()

    @property
    def right(self) -> float:
        """The share of the instructions that were answered rightly."""
        return sum(answer.right for answer in self.answers) / len(self.answers)

    @property
    def keep_right(self) -> float | None:
        """The share of the user's rows answered as their reference; None where none was answered."""
        return sum(answer.right for answer in self.keep_answers) / len(self.keep_answers) if self.keep_answers else None

    def to_json(self) -> dict[str, Any]:
        """All fields, and the means, for json.dumps."""
        means = {"prose_loss": self.prose.loss, "reference_loss": self.references.loss, "right": self.right}
        if self.keep is not None:
            means |= {"keep_loss": self.keep.loss}
        return {"format": FORMAT, **means, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GeneralFigures:
        """Figures that `to_json` gave. Raises InputError for anything else."""
        try:
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']}")
            return cls(
                model=str(values["model"]),
                material=str(values["material"]),
                prose=_losses(values["prose"]),
                references=_losses(values["references"]),
                answers=_answers(values["answers"]),
                seconds=float(values["seconds"]),
                keep_file=values["keep_file"],
                keep_material=values["keep_material"],
                keep=None if values["keep"] is None else _losses(values["keep"]),
                keep_answers=_answers(values["keep_answers"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"[forgetting] these are no figures of general material: {error}") from None

    def __repr__(self) -> str:
        keep = f", keep loss {self.keep.loss:.4f}" if self.keep is not None else ""
        return (
            f"GeneralFigures({self.model}: prose loss {self.prose.loss:.4f}, reference loss "
            f"{self.references.loss:.4f}{keep}, {self.right:.1%} of {len(self.answers)} instructions right)"
        )


def _losses(values: Mapping[str, Any]) -> TextLosses:
    sums = tuple(float(value) for value in values["sums"])
    weights = tuple(float(value) for value in values["weights"])
    if not sums or len(sums) != len(weights):
        raise ValueError("losses without weights")
    return TextLosses(sums, weights)


def _answers(values: Any) -> tuple[GeneralAnswer, ...]:
    return tuple(GeneralAnswer(str(item["id"]), str(item["output"]), bool(item["right"])) for item in values)
