"""`luthier gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run that is to be let through.")],
    suite: Annotated[Path, typer.Option("--suite", help="Rows with the right answers: JSONL or CSV.")],
    against: Annotated[Path, typer.Option("--against", help="Folder of the run that it is held against.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail on any row that is newly wrong.")] = False,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Longest answer [default: from the longest right answer]"),
    ] = None,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Hold a run against another on a suite of rows, as a check before release.

    Example: luthier gate runs/b --suite golden.jsonl --against runs/a

    It fails when a row marked "must": true is wrong, or when fewer rows are right than before and chance does not
    explain it (exact McNemar test, one-sided p below 0.05); --strict allows no newly wrong row at all. A row may carry
    a rule of its own: "check": {"kind": "contains", "value": ["refund"]}.

    Exit status: 0 passed, 3 worse, 2 wrong input.
    """
    from luthier.generation.progress import answer_progress
    from luthier.watch import gate_run

    options.set_threads(threads)
    new, old = options.open_run(run, dtype), options.open_run(against, dtype)
    given = {"text": text, "label": label, "system": system, "skip_bad": skip_bad, "format": format}
    with answer_progress("answers") as progress:
        found = gate_run(new, old, suite, strict, max_new_tokens, progress, **given)

    def show() -> None:
        from rich.console import Console

        Console(soft_wrap=True).print(found)

    options.print_result(found.to_json(), json_output, show)
    if found.status:
        raise typer.Exit(found.status)
