"""`luthier split`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows: JSONL, CSV, Parquet, a datasets folder, ...")],
    out: Annotated[Path, typer.Option("--out", help="Folder for train.jsonl, valid.jsonl, test.jsonl, split.json.")],
    test: Annotated[float, typer.Option("--test", help="Share of the rows to report on.")] = 0.15,
    valid: Annotated[float, typer.Option("--valid", help="Share of the rows to choose by; 0 for none.")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="The same seed and rows give the same files.")] = 0,
    group: Annotated[
        str | None, typer.Option("--group", help="Key whose equal values stay on one side, such as a customer.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="Key with numbers or ISO dates; the latest rows are test.")
    ] = None,
    near_duplicates: Annotated[
        float, typer.Option("--near-duplicates", help="Jaccard similarity from which rows stay together; 0: never.")
    ] = 0.8,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a split that is there.")] = False,
    json_output: options.Json = False,
) -> None:
    """Cut rows into train, valid and test files, keep what belongs together on one side, and seal the test file.

    Example: luthier split rows.jsonl --test 0.15 --valid 0.1 --out data

    Rows are written unchanged. Classes are cut by the shares; near-duplicates are never parted.
    """
    from luthier.splits import split

    found = split(
        data,
        out,
        test=test,
        valid=valid,
        seed=seed,
        group=group,
        time=time,
        near_duplicates=near_duplicates,
        text=text,
        label=label,
        skip_bad=skip_bad,
        format=format,
        overwrite=overwrite,
    )

    def show() -> None:
        from rich.console import Console

        Console().print(found)

    options.print_result(found.to_json(), json_output, show)
