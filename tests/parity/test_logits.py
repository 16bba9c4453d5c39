"""fp32 logits equal those of Transformers and PEFT."""

from __future__ import annotations

import torch
from our_side import Logits, OurSide
from peers import relative_error, with_adapter
from subjects import Subject

TOLERANCE = 1e-4


def peer_logits(subject: Subject) -> list[torch.Tensor]:
    with torch.no_grad():
        ids = torch.tensor([subject.tokens])
        plain = subject.peer()(input_ids=ids).logits[0]
        return [plain, with_adapter(subject.peer(), subject.adapter())(input_ids=ids).logits[0]]


def test_logits_equal_those_of_transformers_and_of_peft(subject: Subject, ours: OurSide) -> None:
    plain, adapted = subject.once("logits", lambda: peer_logits(subject))
    assert relative_error(adapted, plain) > 1e-2, "the adapter should change the logits"
    questions = [Logits(subject.tokens), Logits(subject.tokens, subject.adapter())]
    for answer, wanted in zip(ours.ask(subject.path, questions), (plain, adapted), strict=True):
        assert relative_error(answer.logits, wanted) <= TOLERANCE
        assert float((answer.logits - wanted).abs().max() / wanted.abs().max()) <= TOLERANCE
