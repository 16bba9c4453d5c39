"""What the checks of several loaders share: rows that any program renders alike, and the comparison of logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from luthier.delivery.agreement import Agreement, measure

if TYPE_CHECKING:
    from torch import Tensor

    from luthier.delivery.prompts import Prompts
    from luthier.delivery.replay import Reference
    from luthier.text.tokenizer import Tokenizer


def plain_rows(prompts: Prompts, tokenizer: Tokenizer) -> list[int]:
    """The rows that other programs are to render alike: without tools, and without text that spells a control token,
    which they take for one and Luthier does not."""
    return [
        index
        for index, record in enumerate(prompts.records)
        if not record.tools
        and all(
            message.role != "tool" and not message.tool_calls and not tokenizer.control.find(message.content)
            for message in record.prompt
        )
    ]


def chat(prompts: Prompts, index: int) -> list[dict[str, str]]:
    """The prompt of a row as messages."""
    return [{"role": message.role, "content": message.content} for message in prompts.records[index].prompt]


def compare_logits(reference: Reference, logits: Callable[[Sequence[int]], Tensor]) -> Agreement:
    """The figures of a loader that gives logits [tokens, vocabulary] for token ids."""
    import torch

    wide = reference.trained[0].shape[-1]

    def of_row(prompt: list[int], answer: list[int]) -> Tensor:
        with torch.no_grad():
            found = logits([*prompt, *answer])
        return found[len(prompt) - 1 :, :wide].float()

    rows = (of_row(prompt, answer) for prompt, answer in reference.rows())
    return measure(reference.trained, reference.base, rows, None)


def summary(figures: Agreement) -> str:
    """In a few words, for people."""
    same = f"{figures.greedy:.1%} of {figures.positions:,} greedy tokens the same"
    return f"divergence {figures.kl:.2g} nats a token, {same}"


def ids_said(compared: int, differing: Sequence[Any]) -> str:
    """How token ids compared, for people."""
    if not compared:
        return "token ids not compared: no plain rows"
    if differing:
        return f"token ids differ in {len(differing)} of {compared} rows"
    return f"token ids equal in {compared} rows"
