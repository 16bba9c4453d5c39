"""From the command to the end of the first step: imports, rows, model, step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import Bench, Failed
from measurement import Spread
from targets import Finding


class Launch:
    """A part of the bench (see bench.Part): seconds of whole processes on the rows of (a), from a warm disk."""

    name = "launch"
    minutes = 0.7
    repeated = True

    def __init__(self, rows_per_step: int) -> None:
        """Nothing is measured yet."""
        self.rows_per_step = rows_per_step
        self.seconds: dict[str, list[float]] = {"luthier": [], "trl": []}

    @property
    def measured(self) -> bool:
        """Whether both sides were measured."""
        return all(self.seconds.values())

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """`luthier fit --steps 1`, and a script with TRL that does the same step, in turns."""
        done: dict[str, float] = {}
        for side in ("luthier", "trl") if number % 2 == 0 else ("trl", "luthier"):
            with tempfile.TemporaryDirectory(dir=bench.folder) as out:
                start = _luthier if side == "luthier" else _trl
                begin = time.time()
                done[side] = start(bench, Path(out) / "run", self.rows_per_step) - begin
        for side, seconds in done.items():
            self.seconds[side].append(seconds)
        yield f"{done['luthier']:.1f} s, TRL {done['trl']:.1f} s"

    def _ratio(self) -> Spread:
        """Luthier's seconds over TRL's of the same round."""
        return Spread.of([ours / theirs for ours, theirs in zip(*self.seconds.values())])

    def findings(self) -> list[Finding]:
        """The ratio of the seconds."""
        return [Finding("launch.seconds", self._ratio().median)]

    def section(self, roof: float | None) -> str:
        """One table."""
        ours, theirs = (Spread.of(values).text(digits=1) for values in self.seconds.values())
        return (
            "## Launch: from the command to the end of the first step on (a)\n\n"
            f"Luthier's is `luthier fit --steps 1 --batch-size {self.rows_per_step}`, which on the way also "
            "checks and tokenises the rows and hashes the model; TRL's script finds tokens.\n\n"
            "| | Luthier | TRL + PEFT | ratio | asked | reached |\n|---|---|---|---|---|---|\n"
            f"| seconds | {ours} | {theirs} | {self._ratio().text(digits=2, unit='x')} | "
            f"{self.findings()[0].cells(roof)} |\n"
        )

    def record(self) -> dict[str, Any]:
        """The seconds by round."""
        return dict(self.seconds)


def _luthier(bench: Bench, run: Path, rows_per_step: int) -> float:
    """The time (Unix) at the end of the first step, when its line was written."""
    rows = str(bench.folder / "a.rows.jsonl")
    options = {"steps": 1, "batch_size": rows_per_step, "order": "file", "dtype": bench.settings["dtype"]}
    bench.run(bench.luthier("fit", rows, model=bench.model, out=run, **options))
    if not (run / "adapter" / "adapter_model.safetensors").is_file():
        raise Failed("luthier fit --steps 1 left no adapter")
    return (run / "metrics.jsonl").stat().st_mtime


def _trl(bench: Bench, run: Path, rows_per_step: int) -> float:
    """The same of TRL's script."""
    done = bench.call(
        "trl_worker.py",
        rows=str(bench.folder / "a.rows.jsonl"),
        tokens=str(bench.folder / "a.tokens.jsonl"),
        out=str(run),
        steps=1,
        rows_per_step=rows_per_step,
        method="lora",
        learning_rate=2e-4,
        check_tokens=False,
    )
    return float(done["finished"])
