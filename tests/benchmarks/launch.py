"""From the command to the end of a fit of one step: imports, rows, model, step, and for Luthier the saving too."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from measurement import Spread

if TYPE_CHECKING:
    from run import Bench

ROWS = 8


@dataclass(frozen=True)
class Launch:
    """Seconds of whole processes, by round."""

    luthier: list[float]
    trl: list[float]

    def ratio(self) -> Spread:
        """Luthier's seconds over TRL's of the same round."""
        return Spread.of([ours / theirs for ours, theirs in zip(self.luthier, self.trl)])


def measure(bench: Bench, ours_first: bool) -> tuple[float, float]:
    """One round: seconds of `luthier fit --steps 1`, and of a script with TRL that does the same step."""
    done = {}
    for side in ("luthier", "trl") if ours_first else ("trl", "luthier"):
        with tempfile.TemporaryDirectory(dir=bench.folder) as out:
            begin = time.monotonic()
            _luthier(bench, out) if side == "luthier" else _trl(bench, out)
            done[side] = time.monotonic() - begin
    return done["luthier"], done["trl"]


def _luthier(bench: Bench, out: str) -> None:
    options = {"model": bench.folder / "model", "out": f"{out}/run", "steps": 1, "batch-size": ROWS, "order": "file"}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "luthier", "fit", str(bench.folder / "a.rows.jsonl"), *given]
    subprocess.run(command, check=True, capture_output=True, env=bench.environment())


def _trl(bench: Bench, out: str) -> None:
    bench.call(
        "trl_worker.py",
        model=str(bench.folder / "model"),
        rows=str(bench.folder / "a.rows.jsonl"),
        tokens=str(bench.folder / "a.tokens.jsonl"),
        out=f"{out}/run",
        steps=1,
        rows_per_step=ROWS,
        method="lora",
        learning_rate=2e-4,
    )


def table(launch: Launch) -> str:
    """The section of the page."""
    ours, theirs = (Spread.of(values).text(digits=1) for values in (launch.luthier, launch.trl))
    return (
        "## Launch: the whole process of a fit of one step on (a)\n\n"
        "Luthier's is `luthier fit --steps 1`, which also hashes the model and saves the adapter; TRL's script does "
        "not.\n\n"
        "| | Luthier | TRL + PEFT | ratio |\n|---|---|---|---|\n"
        f"| seconds | {ours} | {theirs} | {launch.ratio().text(digits=2, unit='x')} |\n\n"
    )


def record(launch: Launch) -> dict[str, Any]:
    """What is kept in the JSON."""
    return asdict(launch) | {"ratio": asdict(launch.ratio())}
