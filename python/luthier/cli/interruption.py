"""How a stop by the user ends a command that trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Prints how to continue and exits with 130 when training was stopped after a checkpoint."""
    from luthier.training.interrupts import EXIT_INTERRUPTED, Interrupted

    try:
        yield
    except Interrupted as error:
        print(f"luthier: {error}", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
