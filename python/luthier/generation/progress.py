"""Progress of answering many prompts: a bar on a terminal, about ten plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

_LINES = 10


@contextmanager
def answer_progress(label: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to call with (rows finished, rows); the bar is closed at the end of the block."""
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with _bar(label) as report:
            yield report
    else:
        yield _lines(label)


class Stages:
    """Progress of several things one after another, each with a bar or lines of its own; close it at the end."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._label = ""
        self._open = ExitStack()
        self._report: Callable[[int, int], None] | None = None

    def start(self, label: str) -> None:
        """The next thing has this name."""
        self.close()
        self._label = label
        if not self._quiet:
            print(f"{label} ...", file=sys.stderr, flush=True)

    def report(self, done: int, total: int) -> None:
        """Rows finished, and rows."""
        if self._report is None:
            self._report = self._open.enter_context(answer_progress(self._label, self._quiet))
        self._report(done, total)

    def close(self) -> None:
        """Ends the bar that is shown."""
        self._report = None
        self._open.close()

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def _bar(label: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label, markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(label: str) -> Callable[[int, int], None]:
    start = time.perf_counter()
    printed = 0

    def report(done: int, total: int) -> None:
        nonlocal printed
        tenth = done * _LINES // max(total, 1)
        if tenth > printed:
            printed = tenth
            left = (time.perf_counter() - start) * (total - done) / max(done, 1)
            print(f"{label}: {done:,}/{total:,} rows, {left:.0f} s left", file=sys.stderr, flush=True)

    return report
