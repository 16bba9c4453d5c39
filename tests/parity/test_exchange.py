"""PEFT and Transformers read what a fit leaves, and we read what PEFT saves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peers import relative_error
from subjects import FUNCTIONS, Subject, function_row
from tiny_model import chat

TOLERANCE = 1e-4
NEW_TOKENS = 16


def conversations(subject: Subject) -> list[list[dict[str, str]]]:
    if subject.tiny:
        return [chat(f"read the file at {i}", f"the mail of {i}") for i in range(8)]
    return [function_row(*function)[1:] for function in FUNCTIONS]


def prompts(subject: Subject) -> list[list[dict[str, str]]]:
    return [row[:-1] for row in conversations(subject)][:3]


def fit(subject: Subject, folder: Path) -> Any:
    """A short fp32 fit that changes the answers."""
    import luthier as lu

    rows = folder / "train.jsonl"
    rows.write_text("".join(json.dumps({"messages": row}) + "\n" for row in conversations(subject)), encoding="utf-8")
    return lu.fit(
        rows,
        model=subject.path,
        out=folder / "run",
        dtype="float32",
        steps=6,
        batch_size=4,
        learning_rate=1e-2 if subject.tiny else 1e-3,
        warmup=0.0,
        rank=6,
        quiet=True,
    )


def greedy(model: Any, prompt: list[int], ends: list[int]) -> list[int]:
    """Transformers' greedy answer, without the end token."""
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[0],
    )[0, len(prompt) :].tolist()
    return out[:-1] if out and out[-1] in ends else out


@pytest.mark.parametrize("subject", ["tied", "untied_biases", "smollm2"], indirect=True)
def test_peft_and_transformers_read_what_a_fit_leaves(subject: Subject, tmp_path: Path) -> None:
    from luthier import _core
    from luthier.models import load
    from luthier.models.conversations import to_record
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    run = fit(subject, tmp_path)
    model = run.model("float32")
    plain = load(subject.path, dtype="float32")
    encoded = model.encoder.encode_prompts([to_record(prompt) for prompt in prompts(subject)])
    ends = sorted(model.encoder.end_ids)
    answers = _core.generate(model.decoder, encoded, NEW_TOKENS, ends)
    assert answers != _core.generate(plain.decoder, encoded, NEW_TOKENS, ends), "the fit should change the answers"

    theirs = PeftModel.from_pretrained(subject.peer(), run.adapter).eval()
    merged = AutoModelForCausalLM.from_pretrained(run.export(tmp_path / "merged", dtype="float32").folder).eval()
    for prompt, answer in zip(encoded, answers, strict=True):
        with torch.no_grad():
            wanted = theirs(input_ids=torch.tensor([prompt])).logits[0]
        assert relative_error(model.logits(prompt), wanted) <= TOLERANCE
        assert greedy(theirs, prompt, ends) == answer
        assert greedy(merged, prompt, ends) == answer
    assert relative_error(plain.logits(encoded[0]), model.logits(encoded[0])) > 1e-3


@pytest.mark.parametrize("subject", ["grouped_wide", "smollm2"], indirect=True)
def test_we_read_what_peft_saves(subject: Subject, tmp_path: Path) -> None:
    from luthier.models import load
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=5, lora_alpha=11, target_modules=["k_proj", "o_proj", "up_proj"], use_rslora=True, task_type="CAUSAL_LM"
    )
    theirs = get_peft_model(subject.peer(), config).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
        wanted = theirs(input_ids=torch.tensor([subject.tokens])).logits[0]
    theirs.save_pretrained(tmp_path)
    model = load(subject.path, tmp_path, dtype="float32")
    assert relative_error(model.logits(subject.tokens), wanted) <= TOLERANCE
    assert relative_error(load(subject.path, dtype="float32").logits(subject.tokens), wanted) > 1e-3
