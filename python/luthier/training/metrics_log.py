"""metrics.jsonl: one line per optimiser step, written as it happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, TypedDict

from luthier.errors import InputError


class StepMetrics(TypedDict):
    """What is logged of a step. `tokens` are those of the rows, `computed_tokens` those left after sharing of prefixes.

    `loss` is the mean over the supervised weight of the step, `seconds` the time of this step alone, `peak_rss_bytes`
    the largest resident memory of the process so far.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    rows: int
    tokens: int
    computed_tokens: int
    supervised_tokens: float
    seconds: float
    peak_rss_bytes: int


class MetricsLog:
    """Appends lines to metrics.jsonl; each is flushed, so that a reader sees every finished step."""

    def __init__(self, path: Path, keep_steps: int = 0) -> None:
        """Opens the log and cuts it after step `keep_steps`, so that a continued run has no step twice.

        Raises InputError when the file lacks one of the steps 1..keep_steps.
        """
        kept = read_metrics(path)[:keep_steps] if keep_steps else []
        if [line["step"] for line in kept] != list(range(1, keep_steps + 1)):
            raise InputError(
                f"{path}: steps are missing before step {keep_steps}, where the run would continue; "
                "start anew with --overwrite"
            )
        if keep_steps:
            size = _size_of_lines(path, keep_steps)
            os.truncate(path, size)
        self._stream: IO[str] = path.open("a" if keep_steps else "w", encoding="utf-8")

    def append(self, metrics: StepMetrics, valid_loss: float | None = None) -> None:
        """Adds the line of one step. Raises OSError."""
        line = dict(metrics) if valid_loss is None else {**metrics, "valid_loss": valid_loss}
        self._stream.write(json.dumps(line, allow_nan=False) + "\n")
        self._stream.flush()

    def sync(self) -> None:
        """Makes the lines so far durable. Raises OSError."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a metrics.jsonl in order; a last line that was cut off by a crash is left out. Raises OSError."""
    lines: list[dict[str, float]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except (ValueError, RecursionError):
            break
    return lines


def _size_of_lines(path: Path, count: int) -> int:
    with path.open("rb") as stream:
        for _ in range(count):
            stream.readline()
        return stream.tell()
