"""The untuned model's greedy answers are those of Transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from subjects import FUNCTIONS, SYSTEM, Subject
from tiny_model import chat

NEW_TOKENS = 32

TOPICS = ["rain", "Paris", "a bicycle", "the sea", "prime numbers", "bread", "a library", "the moon", "chess", "glass"]
QUESTIONS = [
    "Write one sentence about {}.",
    "What is interesting about {}?",
    "Give three words that go with {}.",
    "Explain {} to a child.",
]


def fifty_prompts() -> list[list[dict[str, str]]]:
    """Forty questions and ten under a system message."""
    plain = [chat(question.format(topic)) for topic in TOPICS for question in QUESTIONS]
    functions = [f"def {name}({', '.join(parameters)})" for name, parameters, _ in FUNCTIONS]
    others = ["print('a')", "x = [i**2 for i in range(9)]", "SELECT 1;", "2 + 2", "Äpfel und Öl", "東京 🙂"]
    return plain + [chat(text, system=SYSTEM) for text in functions + others]


def batched_answers(model: Any, prompts: list[list[int]], ends: list[int]) -> list[list[int]]:
    """Transformers' answers to prompts padded on the left, without the end token and what stands behind it."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[ends[0]] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
    answers = []
    for row in out[:, longest:].tolist():
        end = next((i for i, token in enumerate(row) if token in ends), len(row))
        answers.append(row[:end])
    return answers


@pytest.mark.parametrize("subject", ["tied", "grouped_wide", "smollm2"], indirect=True)
def test_fifty_greedy_answers_equal_those_of_transformers(subject: Subject) -> None:
    from luthier import _core
    from luthier.models import load
    from luthier.models.conversations import to_record

    model = load(subject.path, dtype="float32")
    prompts = model.encoder.encode_prompts([to_record(prompt) for prompt in fifty_prompts()])
    assert len(prompts) == 50
    ends = sorted(model.encoder.end_ids)
    ours = _core.generate(model.decoder, prompts, NEW_TOKENS, ends)
    theirs = batched_answers(subject.peer(), prompts, ends)
    different = [index for index in range(50) if ours[index] != theirs[index]]
    assert different == []
    assert len({tuple(answer) for answer in ours}) > 25, "the prompts should have different answers"
