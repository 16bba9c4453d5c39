"""`luthier generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from luthier.cli import options


def command(
    run: options.RunArgument = None,
    *,
    source: Annotated[Path, typer.Option("--in", help="Chat or prompt rows: JSONL, CSV, Parquet, ...")],
    destination: Annotated[Path, typer.Option("--out", help="File for the same rows with 'output'.")],
    model: options.ModelOption = None,
    adapter: options.AdapterFolder = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="Longest answer in tokens.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sampling.")] = 0,
    constrain: options.Constrain = None,
    labels: options.LabelsFile = None,
    schema: options.SchemaFile = None,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Answer the rows of a file.

    Example: luthier generate runs/a --in prompts.jsonl --out answers.jsonl

    With --constrain labels every answer is one of those in the run's training rows, or in --labels; with --constrain
    schema it is JSON that keeps --schema, or what the training rows' answers have in common.
    """
    from luthier.errors import InputError
    from luthier.generation.progress import answer_progress

    options.check_choice(run, model, adapter)
    options.set_threads(threads)
    if schema is not None and constrain != "schema":
        raise InputError("--schema goes with --constrain schema")
    given: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
    given |= {"text": text, "label": label, "system": system, "format": format, "skip_bad": skip_bad}
    opened = None if run is None else options.open_run(run, dtype)
    given["constraint"] = options.chosen_constraint(constrain, labels, options.read_schema(schema), opened)
    with answer_progress("answers") as progress:
        given["on_progress"] = progress
        if opened is not None:
            stats = opened.generate_file(source, destination, **given)
        else:
            from luthier.generation.file import generate_file

            stats = generate_file(options.load_model(str(model), adapter, dtype), source, destination, **given)

    def show() -> None:
        print(f"{destination}: {stats.rows:,} rows, {stats.new_tokens:,} new tokens in {stats.seconds:.1f} s")

    options.print_result({"out": str(destination), **stats.to_json()}, json_output, show)
