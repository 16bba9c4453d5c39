"""Two processes with one thread each, started by torchrun, beside one process with one thread."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench import Bench, flags
from measurement import WARM_UP, Spread
from targets import Finding
from training import Training

PROCESSES = 2


class Ranks:
    """A part of the bench (see bench.Part): the same steps, the same rows a step, in one process and in two."""

    name = "ranks"
    repeated = False

    def __init__(self, training: Training, rounds: int) -> None:
        """Nothing is measured yet."""
        self.minutes = 2.0 * rounds
        self.training = training
        self.count = rounds
        self.rounds: list[dict[str, Any]] = []

    @property
    def measured(self) -> bool:
        """Whether there is a round."""
        return bool(self.rounds)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """Roofs of one and of two threads, then both, in turns."""
        for index in range(self.count):
            one, two = bench.roof(threads=1)["best"], bench.roof(threads=PROCESSES)["best"]
            found: dict[str, Any] = {"roof_of_1": one, f"roof_of_{PROCESSES}": two}
            for processes in (1, PROCESSES) if index % 2 == 0 else (PROCESSES, 1):
                found[str(processes)] = _steps(bench, self.training, processes)
            self.rounds.append(found)
            yield f"{_speed(found):.2f}x; the roof of two threads is {two / one:.2f}x that of one"

    def findings(self) -> list[Finding]:
        """The ratio of steps per second."""
        return [Finding("ranks.speed", median(map(_speed, self.rounds)))]

    def section(self, roof: float | None) -> str:
        """A table of the speed and one of the losses."""
        lines = [
            f"## {PROCESSES} processes, one thread each\n",
            f"`torchrun --nproc-per-node {PROCESSES} -m luthier fit --threads 1` beside `luthier fit --threads 1` on "
            f"({self.training.workload.key}), {self.training.rows_per_step} rows a step in both; the median of "
            f"the steps after the first {WARM_UP}.\n",
            f"| | 1 process | {PROCESSES} processes | ratio | asked | reached |",
            "|---|---|---|---|---|---|",
        ]
        seconds = [Spread.of([_seconds(found, count) for found in self.rounds]).text(digits=2) for count in _COUNTS]
        speed = Spread.of([_speed(found) for found in self.rounds]).text(digits=2, unit="x")
        lines.append(f"| seconds a step | {' | '.join(seconds)} | {speed} | {self.findings()[0].cells(roof)} |")
        roofs = [[found[f"roof_of_{count}"] for found in self.rounds] for count in _COUNTS]
        rates = [Spread.of(values).text(1e12, 2) for values in roofs]
        ratio = Spread.of([two / one for one, two in zip(*roofs)]).text(digits=2, unit="x")
        lines.append(f"| roof of as many threads, TFLOP/s | {' | '.join(rates)} | {ratio} | | |")
        losses = {count: self.rounds[0][count]["losses"] for count in _COUNTS}
        lines += ["", "| step | " + " | ".join(str(step + 1) for step in range(len(losses["1"]))) + " |"]
        lines.append("|---" * (len(losses["1"]) + 1) + "|")
        for count, values in losses.items():
            name = "1 process" if count == "1" else f"{count} processes"
            lines.append(f"| loss, {name} | " + " | ".join(f"{loss:.5f}" for loss in values) + " |")
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """Seconds and losses of each step by round."""
        return {"workload": self.training.workload.key, "rounds": self.rounds}


_COUNTS = ("1", str(PROCESSES))


def _seconds(found: dict[str, Any], count: str) -> float:
    return float(median(found[count]["seconds"][WARM_UP:]))


def _speed(found: dict[str, Any]) -> float:
    """Steps per second in several processes over those in one."""
    return _seconds(found, "1") / _seconds(found, str(PROCESSES))


def _steps(bench: Bench, training: Training, processes: int) -> dict[str, list[float]]:
    workload = training.workload
    rows = str(bench.folder / f"{workload.key}.rows.jsonl")
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        options = {
            "model": bench.model,
            "out": f"{folder}/run",
            "steps": training.steps,
            "batch_size": training.rows_per_step,
            "learning_rate": workload.learning_rate,
            "order": "file",
            "threads": 1,
            "dtype": bench.settings["dtype"],
        }
        if processes == 1:
            command = bench.luthier("fit", rows, **options)
        else:
            torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            command = [*torchrun, "--nproc-per-node", str(processes), "-m", "luthier", "fit", rows, *flags(options)]
        bench.run(command, threads=1)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    return {"seconds": [step["seconds"] for step in steps], "losses": [step["loss"] for step in steps]}
