"""The loss of rows under a model, in small groups, so that two models can be compared group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luthier.errors import LuthierError
from luthier.text.encode import EncodedRow

if TYPE_CHECKING:
    from luthier.models.model import Model

_MICRO_TOKENS = 4096


@dataclass(frozen=True)
class TextLosses:
    """Per group of rows: the summed negative log-probability in nats, and the summed weight (tokens, usually)."""

    sums: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def loss(self) -> float:
        """The mean over all groups, per token of weight 1."""
        return sum(self.sums) / sum(self.weights)


def text_losses(model: Model, rows: Sequence[EncodedRow], rows_per_group: int) -> TextLosses | None:
    """The losses of rows in groups of `rows_per_group`, in their order; None when nothing in them is supervised.

    Rows longer than the model can hold are cut, and rows without a supervised token left are passed over. The model is
    as it was afterwards. Raises LuthierError when a loss is not finite.
    """
    import math

    from luthier import _core

    dataset = _core.Dataset(int(model.decoder.config["max_positions"]))
    for number, row in enumerate(rows):
        dataset.add(number, row.tokens, row.weights, row.ends)
    sums: list[float] = []
    weights: list[float] = []
    found = _core.losses(model.decoder, dataset, list(range(len(dataset))), _MICRO_TOKENS)
    for begin in range(0, len(found), rows_per_group):
        group = found[begin : begin + rows_per_group]
        loss, weight = sum(row_loss for row_loss, _ in group), sum(row_weight for _, row_weight in group)
        if not math.isfinite(loss):
            raise LuthierError(f"[forgetting] {model!r} has a loss that is not finite; its weights are damaged")
        sums.append(loss)
        weights.append(weight)
    return TextLosses(tuple(sums), tuple(weights)) if sums else None


def plain_text(model: Model, text: str) -> EncodedRow:
    """A text without a chat around it, every token of which is to be predicted from those before it."""
    tokenizer = model.tokenizer
    tokens = tokenizer.encode_text(text)
    if tokenizer.adds_bos and tokenizer.bos_id is not None and tokens[:1] != [tokenizer.bos_id]:
        tokens = [tokenizer.bos_id, *tokens]
    return EncodedRow(tokens, [0.0, *[1.0] * (len(tokens) - 1)][: len(tokens)], [False] * len(tokens))
