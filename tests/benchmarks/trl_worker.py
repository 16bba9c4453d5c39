"""The other side, in a fresh process: TRL's SFTTrainer with PEFT on the same model, rows, tokens and settings.

python trl_worker.py SPECIFICATION.json

What is not set here is TRL's own default. The rows come tokenised, after the check that Transformers' own tokenisation
of the chats gives the same ids: TRL alone would also supervise the line end that SmolLM2's template writes after the
end-of-turn token, and its loss would then be another quantity.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]


class StepClock(TrainerCallback):
    """Seconds of each step: forward, backward, clipping and the update, without the reading of the batch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begin = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Notes when the step began."""
        self._begin = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Notes how long it took."""
        self.seconds.append(time.perf_counter() - self._begin)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the steps; per step seconds, tokens and loss, per row the tokens it was trained on."""
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    tokens = _lines(job["tokens"])
    if job.get("check_tokens", True):
        _check_tokens(tokenizer, _lines(job["rows"]), tokens)
    clock = StepClock()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, job["dtype"])),
        args=SFTConfig(
            output_dir=job["out"],
            max_steps=job["steps"],
            per_device_train_batch_size=job["rows_per_step"],
            max_length=job["max_length"],
            learning_rate=job["learning_rate"],
            lr_scheduler_type="constant",
            train_sampling_strategy="sequential",
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=job["dtype"] == "bfloat16",
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(tokens),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=job["rank"],
            lora_alpha=job["alpha"],
            target_modules="all-linear",
            lora_dropout=0.0,
            task_type="CAUSAL_LM",
        )
        if job["method"] == "lora"
        else None,
        callbacks=[clock],
    )
    batches: list[int] = []
    collate = trainer.data_collator

    def counting(batch: list[dict[str, Any]]) -> Any:
        batches.append(sum(len(row["input_ids"]) for row in batch))
        return collate(batch)

    trainer.data_collator = counting
    trainer.train()
    finished = time.time()
    trained: Any = trainer.train_dataset
    return {
        "seconds": clock.seconds,
        "finished": finished,
        "tokens": batches[: job["steps"]],
        "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
        "row_tokens": [len(ids) for ids in trained["input_ids"]],
        "row_supervised": [sum(label != -100 for label in labels) for labels in trained["labels"]],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def _check_tokens(tokenizer: Any, rows: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> None:
    for number, (row, given) in enumerate(zip(rows, tokens, strict=True)):
        ids = tokenizer.apply_chat_template(row["messages"], return_dict=False)
        if ids != given["input_ids"]:
            raise SystemExit(f"row {number}: Transformers gives {len(ids)} tokens that are not Luthier's")


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
