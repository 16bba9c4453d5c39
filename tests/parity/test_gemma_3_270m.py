"""Gemma 3 270M with its real weights, from its GGUF file: logits, gradients and greedy tokens are Transformers'.

Skipped unless it is in the cache: luthier fetch gemma-3-270m
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from our_side import Gradients, Greedy, Logits, OurSide
from peers import gradients, largest_errors, relative_error, with_adapter
from subjects import Subject

TEXTS = (
    "The luthier chose a spruce top and a maple back, and explained to the customer why",
    "def read(path):\n    with open(path) as file:\n        return",
    "Ärger über Öl, naïve café, 東京 and emoji 🙂:",
)
NEW_TOKENS = 12


@pytest.fixture(scope="module")
def gemma() -> Subject:
    from luthier.models import locate
    from luthier.models.load import load_tokenizer
    from luthier.models.registry import find_known
    from our_side import Row

    known = find_known("gemma-3-270m")
    assert known is not None
    if not known.fetched:
        pytest.skip("Gemma 3 is not in the cache; run: luthier fetch gemma-3-270m")
    tokenizer = load_tokenizer(locate(known.name))
    assert tokenizer.bos_id is not None
    rows = [[tokenizer.bos_id, *tokenizer.encode_text(text)] for text in TEXTS]
    longer = [tokenizer.bos_id, *(id for row in rows * 15 for id in row[1:])][:530]
    assert len(longer) == 530, "more than the 512 tokens that its local layers see"
    supervised = [Row(row, [float(index > 3) for index in range(len(row))]) for row in rows]
    return Subject("gemma-3-270m", known.path, supervised, [], [], longer)


def peer_of(gemma: Subject) -> Any:
    model = gemma.peer()
    model.set_attn_implementation("eager")
    return model


def peer_greedy(gemma: Subject) -> list[list[int]]:
    model = peer_of(gemma)
    answers = []
    for row in gemma.rows:
        tokens = list(row.tokens)
        for _ in range(NEW_TOKENS):
            with torch.no_grad():
                tokens.append(int(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
        answers.append(tokens[len(row.tokens) :])
    return answers


def test_logits_are_those_of_transformers_beyond_the_window_too(gemma: Subject, ours: OurSide) -> None:
    def wanted() -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = peer_of(gemma)(input_ids=torch.tensor([gemma.tokens])).logits[0]
        return logits

    [answer] = ours.ask(gemma.path, [Logits(gemma.tokens)])
    assert relative_error(answer.logits, gemma.once("logits", wanted)) <= 1e-4


def test_gradients_of_an_adapter_are_those_of_peft(gemma: Subject, ours: OurSide) -> None:
    adapter = gemma.adapter()
    loss, wanted = gemma.once(
        "gradients", lambda: gradients(with_adapter(peer_of(gemma), adapter), gemma.rows, adapter=True)
    )
    [answer] = ours.ask(gemma.path, [Gradients(gemma.rows, adapter)])
    assert answer.loss == pytest.approx(loss, rel=1e-5)
    assert largest_errors(answer.gradients, wanted)[0] <= (1e-4, "")


def test_greedy_tokens_are_those_of_transformers(gemma: Subject, ours: OurSide) -> None:
    [answer] = ours.ask(gemma.path, [Greedy([row.tokens for row in gemma.rows], NEW_TOKENS)])
    assert answer.answers == gemma.once("greedy", lambda: peer_greedy(gemma))
