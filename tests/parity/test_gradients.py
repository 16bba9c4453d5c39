"""fp32 losses and gradients equal those of Transformers and PEFT, and those of Transformers computed in double."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from our_side import Adapter, Gradients, OurSide
from peers import gradients, in_double, largest_errors, with_adapter
from subjects import Subject

TOLERANCE = 1e-4
KINDS = ("full", "lora", "lora_some")


def adapter_of(subject: Subject, kind: str) -> Adapter | None:
    if kind == "full":
        return None
    return subject.adapter() if kind == "lora" else subject.adapter(3, ("k_proj", "o_proj", "down_proj"), True)


def peers(subject: Subject, kind: str) -> list[tuple[float, dict[str, torch.Tensor]]]:
    """(loss, gradients) of Transformers or PEFT, in fp32 and in double."""
    adapter = adapter_of(subject, kind)
    found = []
    for make in (lambda model: model, in_double):
        model: Any = make(subject.peer())
        if adapter is not None:
            model = with_adapter(model, adapter)
            if make is in_double:
                model = model.double()
        found.append(gradients(model, subject.rows, adapter=adapter is not None))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_those_of_transformers_and_peft(subject: Subject, ours: OurSide, kind: str) -> None:
    (loss, single), (true_loss, double) = subject.once(f"gradients {kind}", lambda: peers(subject, kind))
    [answer] = ours.ask(subject.path, [Gradients(subject.rows, adapter_of(subject, kind))])
    assert answer.loss == pytest.approx(loss, rel=1e-5)
    assert answer.loss == pytest.approx(true_loss, rel=1e-5)
    assert largest_errors(answer.gradients, double)[0] <= (TOLERANCE, "")
    assert largest_errors(answer.gradients, single)[0] <= (TOLERANCE, "")
