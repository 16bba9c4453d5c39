"""What `luthier plan` foretells beside what the fit then does."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import Bench
from targets import Finding
from training import Training

_EPOCHS = 3


@dataclass(frozen=True)
class Foretold:
    """Bytes and seconds as planned and as they were. The real seconds are those of the whole command; what its steps
    alone took stands beside.
    """

    steps: int
    planned_bytes: int
    real_bytes: int
    planned_seconds: float
    real_seconds: float
    planned_training: float
    real_training: float

    @property
    def memory_off(self) -> float:
        """How far the planned peak is from the real one, as a share of it."""
        return abs(self.planned_bytes / self.real_bytes - 1.0)

    @property
    def time_off(self) -> float:
        """How far the planned time is from the real one, as a share of it."""
        return abs(self.planned_seconds / self.real_seconds - 1.0)


class Plans:
    """A part of the bench (see bench.Part): plan and fit of each workload, one after the other. The round whose time is
    the median one off stands for the workload.
    """

    name = "plan"
    repeated = True

    def __init__(self, workloads: list[Training]) -> None:
        """Nothing is measured yet."""
        self.minutes = 1.2 * len(workloads)
        self.workloads = workloads
        self.rounds: dict[str, list[Foretold]] = {}

    @property
    def found(self) -> dict[str, Foretold]:
        """What stands for each workload."""
        return {
            key: sorted(rounds, key=lambda one: one.time_off)[len(rounds) // 2] for key, rounds in self.rounds.items()
        }

    @property
    def measured(self) -> bool:
        """Whether there is a plan with its fit."""
        return bool(self.rounds)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """The two commands with the same options."""
        for training in self.workloads:
            key = training.workload.key
            found = _plan_and_fit(bench, training)
            self.rounds.setdefault(key, []).append(found)
            yield f"({key}) memory off by {found.memory_off:.1%}, time by {found.time_off:.1%}"

    def findings(self) -> list[Finding]:
        """Memory and time of each workload."""
        return [
            finding
            for key, found in self.found.items()
            for finding in (
                Finding(f"plan.{key}.memory", found.memory_off),
                Finding(f"plan.{key}.time", found.time_off),
            )
        ]

    def section(self, roof: float | None) -> str:
        """One table."""
        lines = [
            "## What a plan foretells\n",
            f"`luthier plan`, then `luthier fit` with the same options for {_EPOCHS} epochs; the real time is that of "
            "the whole command.\n",
            "| | planned | real | off by | asked | reached |",
            "|---|---|---|---|---|---|",
        ]
        cells = {finding.key: finding.cells(roof) for finding in self.findings()}
        for key, found in self.found.items():
            memory = f"{found.planned_bytes / 1e9:.2f} | {found.real_bytes / 1e9:.2f} | {found.memory_off:.1%}"
            seconds = f"{found.planned_seconds:.1f} | {found.real_seconds:.1f} | {found.time_off:.1%}"
            lines.append(f"| ({key}) peak GB | {memory} | {cells[f'plan.{key}.memory']} |")
            lines.append(f"| ({key}) seconds, {found.steps} steps | {seconds} | {cells[f'plan.{key}.time']} |")
            training = f"{found.planned_training:.1f} | {found.real_training:.1f} | "
            training += f"{abs(found.planned_training / found.real_training - 1.0):.1%}"
            lines.append(f"| ({key}) seconds of the steps alone | {training} | | |")
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """All figures by workload and round."""
        return {key: [asdict(found) for found in rounds] for key, rounds in self.rounds.items()}


def _plan_and_fit(bench: Bench, training: Training) -> Foretold:
    workload = training.workload
    rows = str(bench.folder / f"{workload.key}.rows.jsonl")
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        options = {
            "model": bench.model,
            "out": f"{folder}/run",
            "batch_size": training.rows_per_step,
            "epochs": _EPOCHS,
            "order": "file",
            "threads": bench.settings["threads"],
            "dtype": bench.settings["dtype"],
        }
        planned = json.loads(bench.run([*bench.luthier("plan", rows, **options), "--json"]))
        begin = time.monotonic()
        bench.run(bench.luthier("fit", rows, **options))
        seconds = time.monotonic() - begin
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    memory, times = planned["memory"], planned["time"]
    return Foretold(
        len(steps),
        memory["peak"],
        steps[-1]["peak_rss_bytes"],
        times["total"],
        seconds,
        times["training"],
        sum(step["seconds"] for step in steps),
    )
