"""A tiny model with rows to fit, for tests of training and of the command line.

case = make_case(tmp_path)          # case.model, case.train, case.valid; case.fit(epochs=2)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_model import chat

PYTHON_FOLDER = Path(__file__).parents[2] / "python"
COMMAND = "import sys; from luthier.cli.main import main; main()"


def need_core() -> None:
    """Skips the test where the extension is not built."""
    pytest.importorskip("luthier._core", reason="the C++ core is not built")


def write_rows(path: Path, count: int, first: int = 0) -> Path:
    """Chat rows of slightly different lengths."""
    rows = [{"messages": chat(f"the file at {i} " * (1 + i % 3), f"read {i * 7}")} for i in range(first, first + count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@dataclass(frozen=True)
class FitCase:
    """Paths of one test's model and rows, in a folder of its own."""

    folder: Path
    model: Path
    train: Path
    valid: Path

    def settings(self, out: str = "run", **changes: Any) -> dict[str, Any]:
        """Flat settings of a small fit: 13 rows in steps of 4, so the last step of an epoch is smaller."""
        values: dict[str, Any] = {
            "train": str(self.train),
            "valid": str(self.valid),
            "model": str(self.model),
            "out": str(self.folder / out),
            "rank": 4,
            "epochs": 2,
            "batch_size": 4,
            "micro_tokens": 120,
            "learning_rate": 1e-2,
            "max_length": 128,
            "threads": 1,
            "dtype": "float32",
            "save_every": 3,
        }
        return {key: value for key, value in (values | changes).items() if value is not None}

    def flags(self, out: str = "run", **changes: Any) -> list[str]:
        """The same as arguments of `luthier fit`."""
        values = self.settings(out, **changes)
        train = values.pop("train")
        return ["fit", train, *(f"--{key.replace('_', '-')}={value}" for key, value in values.items())]

    def fit(self, out: str = "run", **changes: Any) -> Any:
        """Runs a small fit in this process."""
        from luthier.training.run import run_fit

        return run_fit(self.settings(out, **changes), quiet=True)


def make_case(folder: Path, model: Path) -> FitCase:
    """Writes the rows of a case into `folder`."""
    return FitCase(
        folder, model, write_rows(folder / "train.jsonl", 13), write_rows(folder / "valid.jsonl", 5, first=50)
    )


def start_luthier(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Starts `luthier` as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_FOLDER), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], cwd=cwd, env=environment, **pipes)


def luthier(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Runs `luthier` and gives its exit status, stdout and stderr."""
    process = start_luthier(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def adapter_bytes(out: Path) -> dict[str, bytes]:
    """The files of a run's adapter."""
    return {path.name: path.read_bytes() for path in sorted((out / "adapter").iterdir())}
