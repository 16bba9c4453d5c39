"""Progress of a fit: a live bar on a terminal, plain lines elsewhere. Always on stderr; stdout is for results."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol

from luthier.training.metrics_log import StepMetrics

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_WINDOW = 20
_LINES_PER_RUN = 50


class Progress(Protocol):
    """What the loop tells while it runs."""

    def note(self, text: str) -> None:
        """A sentence about the run: what was read, what was dropped."""

    def start(self, first_step: int, total_steps: int) -> None:
        """Steps `first_step` to `total_steps` are about to run."""

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        """A step is done."""

    def close(self) -> None:
        """No more steps."""


class Speed:
    """Tokens of the rows per second over the last steps, and the time that the remaining steps will take."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque(maxlen=_WINDOW)

    def add(self, metrics: StepMetrics) -> None:
        """Takes a step into account."""
        self._recent.append((metrics["tokens"], metrics["seconds"]))

    def tokens_per_second(self) -> float:
        """0 before the first step."""
        seconds = sum(second for _, second in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds if seconds > 0 else 0.0

    def seconds_left(self, steps: int) -> float:
        """Seconds for `steps` more steps at the recent pace; 0 before the first step."""
        return steps * sum(second for _, second in self._recent) / max(1, len(self._recent))


class SilentProgress:
    """Says nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def start(self, first_step: int, total_steps: int) -> None:
        """Nothing."""

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineProgress:
    """Plain lines: the first step, about fifty over the run, every validation and the last step."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._speed = Speed()
        self._first = self._total = 0

    def note(self, text: str) -> None:
        """Prints the sentence."""
        print(text, file=self._stream, flush=True)

    def start(self, first_step: int, total_steps: int) -> None:
        """Remembers the range, which decides how many lines are printed."""
        self._first, self._total = first_step, total_steps

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        """Prints the step where a line is due."""
        self._speed.add(metrics)
        number = metrics["step"]
        due = number in (self._first, self._total) or number % max(1, self._total // _LINES_PER_RUN) == 0
        if due or valid_loss is not None:
            valid = "" if valid_loss is None else f"  valid {valid_loss:.4f}"
            left = duration(self._speed.seconds_left(self._total - number))
            pace = f"{self._speed.tokens_per_second():,.0f} tokens/s"
            self.note(f"step {number}/{self._total}  loss {metrics['loss']:.4f}{valid}  {pace}  {left} left")

    def close(self) -> None:
        """Nothing to close."""


class BarProgress:
    """A live bar for a terminal."""

    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._speed = Speed()
        self._valid = ""
        self._total = 0

    def note(self, text: str) -> None:
        """Prints the sentence above the bar."""
        from rich.console import Console

        console = self._bar.console if self._bar is not None else Console(stderr=True)
        console.print(text, markup=False, highlight=False)

    def start(self, first_step: int, total_steps: int) -> None:
        """Shows the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._total = total_steps
        columns = (TextColumn("step {task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._bar.start()
        self._task = self._bar.add_task("", total=total_steps, completed=first_step - 1)

    def step(self, metrics: StepMetrics, valid_loss: float | None) -> None:
        """Moves the bar."""
        if self._bar is None or self._task is None:
            return
        self._speed.add(metrics)
        if valid_loss is not None:
            self._valid = f"  valid {valid_loss:.4f}"
        left = duration(self._speed.seconds_left(self._total - metrics["step"]))
        pace = f"{self._speed.tokens_per_second():,.0f} tokens/s"
        text = f"loss {metrics['loss']:.4f}{self._valid}  {pace}  {left} left"
        self._bar.update(self._task, completed=metrics["step"], description=text)

    def close(self) -> None:
        """Leaves the bar as it is and gives the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def duration(seconds: float) -> str:
    """75.2 -> "1:15"; 4000 -> "1:06:40"."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def open_progress(quiet: bool = False) -> Iterator[Progress]:
    """The progress that fits stderr, closed at the end of the block."""
    progress: Progress = (
        SilentProgress() if quiet else BarProgress() if sys.stderr.isatty() else LineProgress(sys.stderr)
    )
    try:
        yield progress
    finally:
        progress.close()
