"""The compiled loop, in a fresh process: Transformers and PEFT under torch.compile, without a trainer.

python compiled_worker.py SPECIFICATION.json

As TRL trains: bf16 weights, adapters in fp32, autocast to bf16 (or all in fp32), AdamW, clipping, the head at
supervised tokens only. All rows of a workload have the same length, so that the decoder is compiled for one shape;
the number of supervised tokens differs, so that head and loss are compiled for any. The rows of the first two steps
are gone over before the clock starts, which compiles both ways and changes no weight.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

IGNORED = -100


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the steps; per step seconds, tokens and loss, and the seconds of compiling."""
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, job["dtype"]))
    lora = LoraConfig(
        r=job["rank"], lora_alpha=job["alpha"], target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    peft = get_peft_model(model, lora).train()
    parameters = [parameter for parameter in peft.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=job["learning_rate"], weight_decay=0.0, fused=True)
    batches = _batches(job)
    decoder = torch.compile(model.model, dynamic=False)
    head = torch.compile(_head_loss, dynamic=True)

    def loss_of(ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=job["dtype"] == "bfloat16"):
            hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state
            targets = labels[:, 1:]
            supervised = targets != IGNORED
            loss: torch.Tensor = head(hidden[:, :-1][supervised], model.lm_head.weight, targets[supervised])
            return loss

    begin = time.perf_counter()
    for ids, labels in batches[:2]:  # the second has another number of supervised tokens
        loss_of(ids, labels).backward()
        optimizer.zero_grad()
    compiling = time.perf_counter() - begin

    seconds, losses = [], []
    for ids, labels in batches:
        begin = time.perf_counter()
        loss = loss_of(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - begin)
    return {
        "seconds": seconds,
        "tokens": [ids.numel() for ids, _ in batches],
        "losses": losses,
        "row_tokens": [len(row) for ids, _ in batches for row in ids],
        "row_supervised": [int((row != IGNORED).sum()) for _, labels in batches for row in labels],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "compile_seconds": compiling,
    }


def _head_loss(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean loss of the supervised tokens."""
    logits = torch.nn.functional.linear(hidden, weight)
    return torch.nn.functional.cross_entropy(logits.float(), targets)


def _batches(job: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    lines = Path(job["tokens"]).read_text(encoding="utf-8").splitlines()[: job["steps"] * job["rows_per_step"]]
    rows = [json.loads(line) for line in lines]
    size = job["rows_per_step"]
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [
        (torch.tensor([row["input_ids"] for row in group]), torch.tensor([row["labels"] for row in group]))
        for group in groups
    ]


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
