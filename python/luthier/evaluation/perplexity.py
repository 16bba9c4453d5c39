"""How surprised a model is by the reference answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from luthier.evaluation.blocks import part
from luthier.records import Record

if TYPE_CHECKING:
    from luthier.models.model import Model

_ROWS_AT_ONCE = 64
_MICRO_TOKENS = 4096


@dataclass(frozen=True)
class Perplexity:
    """`mean_nll`: the mean of -log p (natural logarithm) over the `tokens` of the last assistant turn of `rows` rows,
    its end token included; `perplexity` is its exponential."""

    mean_nll: float
    perplexity: float
    tokens: int
    rows: int

    def to_json(self) -> dict[str, Any]:
        """The key `answers`."""
        return {"answers": asdict(self)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Perplexity | None:
        """From the content of evaluation.json."""
        found = part(values, "answers")
        return None if found is None else Perplexity(**found)

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        yield "perplexity of the right answers", f"{self.perplexity:,.3f}"


def answer_perplexity(
    model: Model, records: Sequence[Record], on_progress: Callable[[int, int], None] | None = None
) -> Perplexity | None:
    """The perplexity of the last assistant turn of each row; None where no row has one that fits the model.

    Rows are cut at what the model can hold; one whose answer lies behind that is left out. `on_progress` hears
    (rows finished, rows).
    """
    from luthier import _core

    dataset = _core.Dataset(int(model.decoder.config["max_positions"]))
    for index, row in enumerate(model.encoder.encode_rows(_answer_only(record) for record in records)):
        dataset.add(index, row.tokens, row.weights, row.ends)
    count = len(dataset)
    loss = weight = 0.0
    if count == 0:
        return None
    for start in range(0, count, _ROWS_AT_ONCE):
        end = min(start + _ROWS_AT_ONCE, count)
        sums = _core.losses(model.decoder, dataset, list(range(start, end)), _MICRO_TOKENS)
        loss += sum(row_loss for row_loss, _ in sums)
        weight += sum(row_weight for _, row_weight in sums)
        if on_progress is not None:
            on_progress(end, count)
    mean = loss / weight
    return Perplexity(mean, math.exp(min(mean, 700.0)), round(weight), count)


def _answer_only(record: Record) -> Record:
    """The row with only its last turn supervised."""
    *read, answer = record.messages
    messages = (*(replace(message, weight=0.0) for message in read), replace(answer, weight=1.0))
    return replace(record, messages=messages, weight=1.0)
