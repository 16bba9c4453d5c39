"""Transformers' side of decoding, in a fresh process: `generate` in batches, padded on the left.

python transformers_answers.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from decoding import PEER_BATCH
from transformers import AutoModelForCausalLM, GenerationConfig


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Answers the first `count` prompts in batches of similar length; the time is that of `generate`."""
    torch.set_num_threads(job["threads"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, job["dtype"]))
    lines = Path(job["prompts"]).read_text(encoding="utf-8").splitlines()[: job["count"]]
    prompts: list[list[int]] = [json.loads(line) for line in lines]
    ends = _end_tokens(Path(job["model"]))
    config = GenerationConfig(
        do_sample=False, max_new_tokens=job["new_tokens"], eos_token_id=ends, pad_token_id=ends[0]
    )
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    begin = time.perf_counter()
    for start in range(0, len(order), PEER_BATCH):
        batch = order[start : start + PEER_BATCH]
        length = max(len(prompts[i]) for i in batch)
        ids = torch.tensor([[ends[0]] * (length - len(prompts[i])) + prompts[i] for i in batch])
        mask = torch.tensor([[0] * (length - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        for i, row in zip(batch, out[:, length:].tolist()):
            stop = next((at for at, token in enumerate(row) if token in ends), len(row))
            answers[i] = row[:stop]
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "answers": answers, "peak_bytes": peak}


def _end_tokens(folder: Path) -> list[int]:
    config = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    ends = config["eos_token_id"]
    return list(ends) if isinstance(ends, list) else [ends]


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
