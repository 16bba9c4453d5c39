"""How closely one model's answers follow another's, in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from luthier import _core


@dataclass(frozen=True)
class Agreement:
    """The exported model beside the trained one, over `positions` tokens.

    `largest_difference`: of any logit. `kl` and `largest_kl`: the Kullback-Leibler divergence of the exported from the
    trained distribution of the next token, in nats, on average and at most. `greedy`: the share of positions with the
    same most likely token. `answers`: the share of prompts that both answer with the same tokens; None where the loader
    was not asked to answer. `fit_kl`: the divergence of the base from the trained model, what the fit changed.
    `carried`: how much of that change the export has, 1 for all and 0 for the base model itself; None where the fit
    changed nothing.
    """

    positions: int
    largest_difference: float
    kl: float
    largest_kl: float
    greedy: float
    answers: float | None
    fit_kl: float
    carried: float | None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def answer_logits(decoder: _core.Decoder, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """The logits that the answer's tokens are chosen by, and those behind it: [len(answer) + 1, vocabulary], fp32."""
    logits: Tensor = decoder.logits([*prompt, *answer], len(prompt) - 1)
    return logits


def measure(
    trained: Sequence[Tensor], base: Sequence[Tensor], exported: Iterable[Tensor], same_answers: Sequence[bool] | None
) -> Agreement:
    """The figures from logits [positions, vocabulary] per prompt: of the trained, the base and the exported model on
    the same tokens. `same_answers` says for each prompt whether both answered it with the same tokens.

    `carried` is <e - b, t - b> / <t - b, t - b> over all logits, each row less its mean, which changes no probability:
    rounding is not correlated with what the fit changed, so it hardly moves it.
    """
    import torch

    positions, equal = 0, 0
    largest = kl_sum = largest_kl = fit_kl_sum = along = square = 0.0
    for t, b, e in zip(trained, base, exported, strict=True):
        difference = (e - t).abs()
        largest = max(largest, float(difference.max())) if bool(torch.isfinite(difference).all()) else float("inf")
        t_log, b_log, e_log = (logits.double().log_softmax(-1) for logits in (t, b, e))
        kl = (t_log.exp() * (t_log - e_log)).sum(-1).clamp(min=0)
        kl_sum += float(kl.sum())
        largest_kl = max(largest_kl, float(kl.max()))
        fit_kl_sum += float((t_log.exp() * (t_log - b_log)).sum(-1).clamp(min=0).sum())
        change = _centred(t - b)
        along += float((_centred(e - b) * change).sum())
        square += float((change * change).sum())
        equal += int((t.argmax(-1) == e.argmax(-1)).sum())
        positions += len(t)
    answers = None if same_answers is None else sum(same_answers) / len(same_answers)
    return Agreement(
        positions,
        largest,
        kl_sum / positions,
        largest_kl,
        equal / positions,
        answers,
        fit_kl_sum / positions,
        along / square if square > 0 else None,
    )


def _centred(rows: Tensor) -> Tensor:
    wide = rows.double()
    return wide - wide.mean(-1, keepdim=True)
