"""Progress of a demo, which leaves nothing behind on a terminal and prints a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from luthier.training.metrics_log import StepMetrics
from luthier.training.progress import duration

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LINES = 4


class LiveProgress:
    """Hears the stages of answering (`calls`), and the steps of a fit, for which it is a `training.progress.Progress`.

    Always on stderr. On a terminal a bar that vanishes when the stage is over, elsewhere a line for each stage that
    takes a while and four for a fit; nothing if `quiet`.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = not quiet and sys.stderr.isatty()
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._said = ""
        self._begin = 0.0
        self._first = self._total = 0

    def calls(self) -> dict[str, Any]:
        """The keywords of functions that tell their progress."""
        return {"on_start": self.begin, "on_progress": self.report}

    def begin(self, label: str) -> None:
        """The next thing has this name."""
        self.close()
        self._label = label
        self._said = ""

    def report(self, done: int, total: int) -> None:
        """Rows finished, and rows."""
        if self._live:
            self._show(self._label, done, total)
        elif self._said != self._label:
            self._said = self._label
            self._print(f"{self._label} ...")

    def note(self, text: str) -> None:
        """What a fit says of its rows; `luthier check` has said more."""

    def start(self, first_step: int, total_steps: int) -> None:
        """Steps are about to run."""
        self.close()
        self._begin, self._first, self._total = time.perf_counter(), first_step, total_steps
        if self._live:
            self._show("fit", first_step - 1, total_steps)

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        """A step is done."""
        number = metrics["step"]
        took = time.perf_counter() - self._begin
        left = took * (self._total - number) / max(1, number - self._first + 1)
        if self._live:
            self._show(f"fit: loss {metrics['loss']:.3f}", number, self._total)
        elif number * _LINES // self._total > (number - 1) * _LINES // self._total:
            self._print(f"step {number}/{self._total}  loss {metrics['loss']:.3f}  {duration(left)} left")

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _show(self, label: str, done: int, total: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            words = TextColumn("  {task.description}", markup=False)
            columns = (words, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(label, total=total)
        if self._task is not None:
            self._bar.update(self._task, description=label, completed=done, total=total)

    def _print(self, text: str) -> None:
        if not self._quiet:
            print(f"  {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> LiveProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
