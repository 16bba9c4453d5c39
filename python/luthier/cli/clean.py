"""`luthier clean`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options
from luthier.cli.check import MaxLength, Schema, TestFile, TokenizerModel, ValidFile


def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to clean: JSONL or CSV; never changed.")],
    out: Annotated[Path, typer.Option("--out", help="File for the cleaned rows; OUT.log.jsonl has each change.")],
    drop: Annotated[
        str | None, typer.Option("--drop", help="Findings whose rows are left out, as in duplicates,conflicts.")
    ] = None,
    mask: Annotated[
        str | None, typer.Option("--mask", help="pii, secrets or both: replaced by words such as [EMAIL].")
    ] = None,
    merge_labels: Annotated[
        bool, typer.Option("--merge-labels", help="Write each label in its most frequent spelling.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Only convert DATA from this encoding to UTF-8, such as cp1252.")
    ] = None,
    test: TestFile = None,
    valid: ValidFile = None,
    schema: Schema = None,
    model: TokenizerModel = None,
    max_length: MaxLength = 1024,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    json_output: options.Json = False,
) -> None:
    """Write a copy of a file with exactly the repairs asked for, and a log of each change.

    Example: luthier clean train.jsonl --out clean.jsonl --drop duplicates
    """
    from luthier.checks import clean

    report = clean(
        data,
        out,
        drop=_names(drop),
        mask=_names(mask),
        merge_labels=merge_labels,
        encoding=encoding,
        test=test,
        valid=valid,
        schema=schema,
        model=model,
        max_length=max_length,
        text=text,
        label=label,
        system=system,
    )
    options.print_result(report.to_json(), json_output, lambda: print(report))


def _names(given: str | None) -> list[str]:
    return [name for name in (given or "").split(",") if name.strip()]
