"""The folder of a run made by hand, without a model, for tests of what reads one.

made = make_run(tmp_path)                       # a classification with baselines, curves, checks and forgetting
made.folder; made.train; made.test; made.evaluate(outputs)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.baselines import baseline
from luthier.evaluation import Evaluation, judge
from luthier.evaluation.calibration import calibration
from luthier.evaluation.files import write_evaluation
from luthier.evaluation.perplexity import Perplexity
from luthier.records import read

WORDS = {
    "files": "open close path folder disk save".split(),
    "mail": "send read letter inbox reply post".split(),
    "dates": "day month year clock hour week".split(),
}
LABELS = tuple(WORDS)


def question(index: int) -> tuple[str, str]:
    """A question with two words of its label, and a number that makes it its own."""
    label = LABELS[index % 3]
    words = WORDS[label]
    return f"{words[index % 6]} the {words[(index + 2) % 6]} number {index}", label


def write_rows(path: Path, pairs: list[tuple[str, str]]) -> Path:
    """Chat rows in a file."""
    lines = [
        json.dumps({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}) + "\n"
        for asked, answer in pairs
    ]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@dataclass(frozen=True)
class MadeRun:
    """A run's folder and its files of rows."""

    folder: Path
    train: Path
    test: Path

    def evaluate(self, outputs: list[str], **facts: Any) -> Evaluation:
        """Writes the evaluation of these answers into the folder."""
        rows = list(read(self.test))
        right = [row.reference == output for row, output in zip(rows, outputs, strict=True)]
        known: dict[str, Any] = {
            "seconds": 2.5,
            "new_tokens": len(rows) * 2,
            "prompt_tokens": len(rows) * 20,
            "model": "small with a LoRA adapter",
            "max_new_tokens": 8,
            "test": str(self.test),
            "blocks": [
                Perplexity(0.31, 1.363, len(rows) * 2, len(rows)),
                *(
                    [calibration([0.9 if one else 0.6 for one in right], right)]
                    if facts.pop("calibrated", False)
                    else []
                ),
            ],
        }
        found = judge(rows, outputs, **(known | facts))
        write_evaluation(found, self.folder)
        return found

    def baselines(self, tuned: Evaluation, predictions: dict[str, list[str]] | None = None) -> None:
        """Runs the baselines that need no model, and adds outside answers."""
        files = {}
        for name, outputs in (predictions or {}).items():
            path = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:8]}.jsonl"
            path.write_text("".join(json.dumps({"output": one}) + "\n" for one in outputs), encoding="utf-8")
            files[name] = path
        baseline(self.train, test=self.test, tuned=tuned, out=self.folder, predictions=files, task=tuned.task)

    def write(self, name: str, values: Any) -> None:
        """Writes a JSON file into the folder."""
        (self.folder / name).write_text(json.dumps(values), encoding="utf-8")


def make_run(
    place: Path,
    train: list[tuple[str, str]] | None = None,
    test: list[tuple[str, str]] | None = None,
    name: str = "run",
) -> MadeRun:
    """run.json, metrics.jsonl, ledger.jsonl and an adapter folder, with files of rows beside the run."""
    folder = place / name
    (folder / "adapter").mkdir(parents=True)
    train_file = write_rows(place / "train.jsonl", train or [question(index) for index in range(120)])
    test_file = write_rows(place / "test.jsonl", test or [question(index) for index in range(1000, 1060)])
    rows = sum(1 for _ in train_file.open(encoding="utf-8"))
    made = MadeRun(folder, train_file, test_file)
    made.write(
        "run.json",
        {
            "format": 1,
            "status": "done",
            "started": "2026-01-02T03:04:05Z",
            "ended": "2026-01-02T03:14:05Z",
            "settings": {
                "model": "smollm2-135m-instruct",
                "adapter": "lora",
                "rank": 16,
                "train": str(train_file),
                "valid": None,
                "text": None,
                "label": None,
                "system": None,
                "max_length": 1024,
                "dtype": "float32",
                "epochs": 2.0,
            },
            "sha256": {
                "train_file": hashlib.sha256(train_file.read_bytes()).hexdigest(),
                "valid_file": None,
                "model": {"model.safetensors": "ab" * 32},
            },
            "versions": {"python": "3.11.2", "luthier": "0.1.0", "torch": "2.13.0"},
            "machine": {"processor": "Some Processor", "threads": 2},
            "test_opened": {
                hashlib.sha256(test_file.read_bytes()).hexdigest(): {"file": str(test_file), "times": 2},
            },
            "best": {"step": 20, "valid_loss": 0.28},
            "rows": {"rows": rows, "used": rows, "tokens": 900, "supervised_tokens": 200, "cut": 0, "dropped": {}},
        },
    )
    steps = [
        {"step": step, "loss": 2.0 / step, "learning_rate": 1e-4, "seconds": 0.5}
        | ({"valid_loss": 0.2 + 1.6 / step} if step % 5 == 0 else {})
        for step in range(1, 31)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    ledger = [
        {
            "file": str(train_file),
            "line": line,
            "tokens": 30,
            "supervised_tokens": 2,
            "end_supervised": True,
            "tokens_cut": 4 if line == 2 else 0,
            "dropped": "empty" if line == 3 else None,
            "times_seen": 2,
        }
        for line in range(1, rows + 1)
    ]
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in ledger))
    return made


def clean_check(made: MadeRun, *findings: dict[str, Any]) -> dict[str, Any]:
    """check.json with no leakage, and further findings."""
    fine = [
        {"code": code, "severity": "fine", "count": 0, "rows": [], "message": "none", "repair": ""}
        for code in ("leakage", "near-leakage")
        if code not in {one["code"] for one in findings}
    ]
    return {"train": str(made.train), "test": str(made.test), "rows": 120, "findings": [*fine, *findings]}


def forgetting(change: float = 0.012) -> dict[str, Any]:
    """forgetting.json."""
    loss = {"before": 2.5, "after": 2.5 * (1 + change), "change": change, "low": change - 0.004, "high": change + 0.004}
    return {
        "within": change <= 0.03,
        "reason": f"the loss on general text changed by {change:+.1%}",
        "before": "small",
        "after": "small with a LoRA adapter",
        "limit": 0.03,
        "general": loss,
        "prose": loss,
        "references": loss,
        "right_before": 0.41,
        "right_after": 0.4,
        "instructions": 200,
        "right_to_wrong": [{"id": "capital-1", "prompt": "Name the capital.", "before": "Paris", "after": "<b>files"}],
        "wrong_to_right": [],
        "keep": None,
    }
