"""`luthier check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options

EXIT_ERRORS = 3

Schema = Annotated[Path | None, typer.Option("--schema", help="JSON Schema (2020-12) that the answers must keep.")]
TestFile = Annotated[Path | None, typer.Option("--test", help="Held-out rows that must not stand in DATA.")]
ValidFile = Annotated[Path | None, typer.Option("--valid", help="More held-out rows, as --test.")]
MaxLength = Annotated[int, typer.Option("--max-length", min=2, help="Tokens of a row that a fit keeps.")]
TokenizerModel = Annotated[str | None, typer.Option("--model", help="Model whose tokenizer and template count tokens.")]


def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to check: JSONL or CSV.")],
    test: TestFile = None,
    valid: ValidFile = None,
    schema: Schema = None,
    model: TokenizerModel = None,
    max_length: MaxLength = 1024,
    only: Annotated[str | None, typer.Option("--only", help="Check only these, as in --only leakage,conflict.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows shown of each finding; 0 shows all.")] = 3,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 where there is an error.")] = False,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    json_output: options.Json = False,
) -> None:
    """Look for what is wrong with the rows of a file before a model is fitted to them.

    Example: luthier check train.jsonl --test test.jsonl --model smollm2-135m-instruct
    """
    from luthier.checks import check
    from luthier.checks.show import report_lines

    report = check(
        data,
        test=test,
        valid=valid,
        schema=schema,
        model=model,
        max_length=max_length,
        text=text,
        label=label,
        system=system,
        only=[code.strip() for code in only.split(",")] if only is not None else (),
    )
    if json_output:
        print(report.json_text())
    else:
        for line in report_lines(report, shown=rows):
            _print(line)
    if strict and report.errors:
        raise typer.Exit(EXIT_ERRORS)


def _print(line: str) -> None:
    """Prints a line, its mark in colour on a terminal, and what the terminal cannot write as an escape."""
    colour = {"✔": "32", "⚠": "33", "✘": "31"}.get(line[:1])
    if colour is not None and sys.stdout.isatty():
        line = f"\033[{colour}m{line[0]}\033[0m{line[1:]}"
    encoding = sys.stdout.encoding or "ascii"
    print(line.encode(encoding, "backslashreplace").decode(encoding))
