"""Where the measured processes find what they are given, how they are started, and what a part of the bench is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any, Protocol

from targets import Finding

HERE = Path(__file__).resolve().parent
_LAST_LINES = 30


class Failed(Exception):
    """A measurement that did not come about, or was not fair; the message says why."""


class Part(Protocol):
    """Something that is measured, under the name that --only knows.

    `minutes` is about what one measurement takes on two quiet cores; `repeated` parts are measured in every round.
    """

    name: str
    minutes: float
    repeated: bool

    @property
    def measured(self) -> bool:
        """Whether there is anything to show yet."""

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """Measures round `number`, and yields a line to print whenever there is something to keep. Raises Failed."""

    def section(self, roof: float | None) -> str:
        """The part of the page, in Markdown; `roof` is what decides what is asked (FLOP/s, see targets.py)."""

    def record(self) -> dict[str, Any]:
        """What is kept in the JSON."""

    def findings(self) -> list[Finding]:
        """The figures that have a target."""


@dataclass
class Bench:
    """The folder with the model and the rows (see prepare.py), settings that all processes share, and all roofs."""

    folder: Path
    settings: dict[str, Any]
    prepared: dict[str, Any] = field(default_factory=dict)
    roofs: list[float] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The model folder that both sides read."""
        return str(self.folder / "model")

    @property
    def median_roof(self) -> float:
        """The median of all roofs measured so far (FLOP/s)."""
        return median(self.roofs)

    @property
    def asking_roof(self) -> float | None:
        """The median roof where it is of bf16 products, None where both sides compute in fp32 (see targets.py)."""
        return self.median_roof if self.settings["dtype"] == "bfloat16" else None

    def call(self, script: str, limit: float | None = None, **values: Any) -> dict[str, Any]:
        """Runs a script beside this file in a process of its own; returns the JSON it writes. `limit` is in seconds.

        Raises Failed when it fails or takes longer.
        """
        specification, result = self.folder / "specification.json", self.folder / "result.json"
        result.unlink(missing_ok=True)
        job = {**self.settings, "model": self.model, **values, "result": str(result)}
        specification.write_text(json.dumps(job), encoding="utf-8")
        self.run([sys.executable, str(HERE / script), str(specification)], limit, job["threads"])
        if not result.exists():
            raise Failed(f"{script} wrote no result")
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value

    def run(self, command: Sequence[str], limit: float | None = None, threads: int | None = None) -> str:
        """Runs a command; returns what it wrote to stdout. Raises Failed when it fails or takes longer."""
        out, log = self.folder / "stdout.log", self.folder / "stderr.log"
        with out.open("w", encoding="utf-8") as output, log.open("w", encoding="utf-8") as errors:
            status = _run(command, self.environment(threads), limit, output, errors)
        name = " ".join(Path(word).name for word in command[1:3])
        if status is None:
            raise Failed(f"{name} was not done within {(limit or 0) / 60:.0f} minutes")
        text = out.read_text(encoding="utf-8", errors="replace")
        if status != 0:
            lines = (text + log.read_text(encoding="utf-8", errors="replace")).splitlines()[-_LAST_LINES:]
            raise Failed(f"{name} ended with status {status}:\n" + "\n".join(lines))
        return text

    def roof(self, threads: int | None = None) -> dict[str, Any]:
        """The machine's roof at this moment (see roof.py); with all threads it counts for the run's median."""
        found = self.call("roof.py", threads=threads or self.settings["threads"])
        if threads is None:
            self.roofs.append(found["best"])
        return found

    def luthier(self, *words: str, **options: Any) -> list[str]:
        """A command line of Luthier: `words`, then options such as batch_size=8."""
        script = Path(sys.executable).with_name("luthier")
        start = [str(script)] if script.is_file() else [sys.executable, "-m", "luthier"]
        return start + list(words) + flags(options)

    def environment(self, threads: int | None = None) -> dict[str, str]:
        """The environment of the measured processes."""
        count = str(threads or self.settings["threads"])
        own = {
            "OMP_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.folder / "huggingface"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.folder / "inductor"),
            "TOKENIZERS_PARALLELISM": "false",
        }
        return {**os.environ, **own}


def flags(options: dict[str, Any]) -> list[str]:
    """Options of a command line: batch_size=8 is --batch-size 8."""
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _run(
    command: Sequence[str], environment: dict[str, str], limit: float | None, output: IO[str], errors: IO[str]
) -> int | None:
    """The exit status, None after the limit. Whatever the command has started ends with it."""
    process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment, start_new_session=True)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
