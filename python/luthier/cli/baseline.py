"""`luthier baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows to learn from: JSONL, CSV, Parquet, ...")],
    test: Annotated[Path, typer.Option("--test", help="Rows with the right answers: JSONL, CSV, Parquet, ...")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="The untuned model: folder, GGUF file, known name or hub id [default: none]"),
    ] = None,
    k: options.Examples = 4,
    encoder: options.Encoder = None,
    predictions: options.Predictions = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for baselines.json and baseline_predictions.jsonl.")
    ] = None,
    task: options.Task = None,
    schema: options.SchemaFile = None,
    rules: options.Rules = None,
    constrain: options.Constrain = None,
    labels: options.LabelsFile = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Longest answer [default: from the longest right answer]"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length", min=1, help="Most tokens of prompt with examples and answer [default: what the model holds]"
        ),
    ] = None,
    limit: options.Limit = None,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    skip_bad: options.SkipBad = False,
    format: options.Format = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Try the cheapest things that could do the job, before or instead of fine-tuning.

    Example: luthier baseline train.jsonl --test test.jsonl --model smollm2-135m-instruct

    The most frequent answer, a bag of words, the nearest training row, the untuned model with and without examples, and
    answers from elsewhere, all judged alike on the test rows. With --constrain the model answers twice: freely, and
    constrained to the labels of the rows to learn from, or to --schema or what their answers have in common.
    """
    from luthier.baselines import baseline
    from luthier.errors import InputError
    from luthier.generation.progress import Stages
    from luthier.splits import open_sealed

    options.set_threads(threads)
    wanted = options.chosen_constraint(constrain, labels, options.read_schema(schema), has_rows=True)
    if wanted is not None and model is None:
        raise InputError("--constrain is for the answers of a model; give --model MODEL")
    if test.exists():  # a missing one is reported with the other files
        open_sealed(test, by="baseline")
    with Stages() as stages:
        found = baseline(
            data,
            test=test,
            model=model,
            k=k,
            encoder=encoder,
            predictions=options.named_files(predictions),
            out=out,
            task=task,
            schema=options.read_schema(schema),
            rules=rules or (),
            max_new_tokens=max_new_tokens,
            max_length=max_length,
            text=text,
            label=label,
            system=system,
            skip_bad=skip_bad,
            format=format,
            limit=limit,
            dtype=dtype or "bfloat16",
            constrain=wanted,
            on_start=stages.start,
            on_progress=stages.report,
        )

    def show() -> None:
        from rich.console import Console

        Console().print(found)

    options.print_result(found.to_json(), json_output, show)
