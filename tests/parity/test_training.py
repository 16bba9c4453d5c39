"""A fit follows PEFT with torch's AdamW: the same start, the same rows, the same rates, the same losses."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from our_side import Adapter, Row
from peers import train, with_adapter
from subjects import Subject, encode, function_row
from tiny_model import chat

ROWS = 20
BATCH = 4


def conversations(subject: Subject) -> list[Any]:
    """Short rows that can be learned, of different lengths."""
    if subject.tiny:
        return [chat(f"the file at {i} " * (1 + i % 3), f"read {i * 7 % 11}") for i in range(ROWS)]
    names = [
        (verb, noun) for verb in ("open", "read", "copy", "move") for noun in ("file", "mail", "date", "page", "row")
    ]
    return [
        function_row(f"{verb}_{noun}", ["path", "mode='r'"][: 1 + i % 2], f"{verb.title()} the {noun}.")[1:]
        for i, (verb, noun) in enumerate(names)
    ]


def unguessable_conversations(count: int) -> list[Any]:
    """Rows with a form to be learned and words that are drawn at random: the loss falls, and not to zero."""
    draw = random.Random(3)
    words = ["spruce", "maple", "ebony", "cedar", "willow", "rosewood", "walnut", "pear"]
    return [
        chat(f"Which wood for part {draw.randrange(100)}?", f"part: {draw.choice(words)}, or {draw.choice(words)}.")
        for _ in range(count)
    ]


def start(subject: Subject, folder: Path, rank: int) -> Adapter:
    """An adapter as PEFT initialises it, saved by PEFT to `folder`: A random, B zero."""
    from peers import HELD_LAYERS, lora_parameters
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(7)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=list(HELD_LAYERS), lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    model = get_peft_model(subject.peer(), config)
    model.save_pretrained(folder)
    tensors = {name: value.detach().clone() for name, value in lora_parameters(model).items()}
    return Adapter(tensors, rank, 2.0 * rank, ["all-linear"])


def fitted(
    subject: Subject, rows: list[Any], tmp_path: Path, dtype: str, steps: int, rate: float
) -> tuple[list[float], list[float]]:
    """The losses of our fit, and of PEFT's loop over the same rows at the same rates."""
    import luthier as lu

    adapter = start(subject, tmp_path / "start", 4)
    train_file = tmp_path / "train.jsonl"
    train_file.write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows), encoding="utf-8")
    run = lu.fit(
        train_file,
        model=subject.path,
        out=tmp_path / "run",
        adapter_init=tmp_path / "start",
        order="file",
        dtype=dtype,
        steps=steps,
        batch_size=BATCH,
        learning_rate=rate,
        max_length=256,
        quiet=True,
    )
    metrics = run.metrics
    assert len(metrics) == steps
    assert all(line["rows"] == BATCH for line in metrics)
    model = with_adapter(subject.peer(getattr(torch, dtype)), adapter)
    rates = [line["learning_rate"] for line in metrics]
    theirs = train(model, batches(encode(subject.path, rows), steps), rates, clip=1.0)
    return [line["loss"] for line in metrics], theirs


def batches(rows: list[Row], steps: int) -> list[Sequence[Row]]:
    """The rows of each step in the order of the file, epoch after epoch."""
    assert len(rows) % BATCH == 0
    return [rows[step * BATCH % len(rows) : step * BATCH % len(rows) + BATCH] for step in range(steps)]


@pytest.mark.parametrize("subject", ["tied", "untied_biases", "smollm2"], indirect=True)
def test_twenty_steps_in_fp32_have_the_losses_of_peft(subject: Subject, tmp_path: Path) -> None:
    ours, theirs = fitted(subject, conversations(subject), tmp_path, "float32", 20, 1e-2 if subject.tiny else 1e-3)
    assert ours[-1] < 0.8 * ours[0], "the model should have learned"
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("subject", ["tied", "smollm2"], indirect=True)
def test_a_hundred_steps_in_bf16_end_where_peft_ends(subject: Subject, tmp_path: Path) -> None:
    rows = conversations(subject) if subject.tiny else unguessable_conversations(100 * BATCH)
    ours, theirs = fitted(subject, rows, tmp_path, "bfloat16", 100, 2e-3 if subject.tiny else 5e-4)
    print(f"mean of the first and last 20: ours {mean(ours[:20]):.4f} {mean(ours[-20:]):.4f}")
    print(f"theirs {mean(theirs[:20]):.4f} {mean(theirs[-20:]):.4f}")
    assert mean(ours[-20:]) < 0.8 * mean(ours[:20]), "the model should have learned"
    assert mean(ours[-20:]) == pytest.approx(mean(theirs[-20:]), rel=0.03)
