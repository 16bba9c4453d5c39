"""`luthier fit`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli.options import print_result

if TYPE_CHECKING:
    from luthier.training.run import Run


def _option(name: str, help_text: str, panel_metavar: str | None = None) -> Any:
    return typer.Option(name, help=help_text, metavar=panel_metavar, show_default=False)


def command(
    train: Annotated[
        Path | None, typer.Argument(metavar="TRAIN", help="Rows to train on: JSONL, CSV, Parquet, ...")
    ] = None,
    model: Annotated[
        str | None, _option("--model", "Transformers folder, GGUF file, known name or hub id.", "MODEL")
    ] = None,
    out: Annotated[Path | None, _option("--out", "Folder for the run.", "FOLDER")] = None,
    valid: Annotated[
        Path | None, _option("--valid", "Rows for the validation loss; the best step becomes the result.", "FILE")
    ] = None,
    test: Annotated[Path | None, _option("--test", "Rows to evaluate the result on, once, at the end.", "FILE")] = None,
    adapter: Annotated[str | None, _option("--adapter", "What is trained [default: lora]", "lora|full")] = None,
    rank: Annotated[str | None, _option("--rank", "Rank of the adapter [default: 16]", "N")] = None,
    alpha: Annotated[str | None, _option("--alpha", "The adapter is scaled by alpha / rank [default: 32]", "X")] = None,
    add_token: Annotated[
        list[str] | None,
        _option(
            "--add-token",
            "A token that the model gets besides its own; trained with the adapter. May be given several times.",
            "TOKEN",
        ),
    ] = None,
    targets: Annotated[
        str | None, _option("--targets", "Layers with an adapter, by name [default: all-linear]", "all-linear|LIST")
    ] = None,
    rslora: Annotated[bool | None, _option("--rslora", "Scale by alpha / sqrt(rank) instead.")] = None,
    adapter_init: Annotated[Path | None, _option("--adapter-init", "Start from this PEFT adapter.", "FOLDER")] = None,
    epochs: Annotated[str | None, _option("--epochs", "Passes over the rows [default: 1]", "X")] = None,
    steps: Annotated[str | None, _option("--steps", "Optimiser steps, instead of epochs.", "N")] = None,
    batch_size: Annotated[str | None, _option("--batch-size", "Rows per optimiser step [default: 16]", "N")] = None,
    micro_tokens: Annotated[
        str | None,
        _option(
            "--micro-tokens", "Tokens computed at once; bounds the memory [default: 4096, at least max-length]", "N"
        ),
    ] = None,
    memory: Annotated[
        str | None,
        _option("--memory", "low: a fraction of the memory for a third more time [default: normal]", "normal|low"),
    ] = None,
    learning_rate: Annotated[
        str | None, _option("--learning-rate", "Peak learning rate [default: 5e-4, with adapter full 2e-5]", "X")
    ] = None,
    schedule: Annotated[
        str | None, _option("--schedule", "Learning rate after the warmup [default: cosine]", "cosine|linear|constant")
    ] = None,
    warmup: Annotated[
        str | None, _option("--warmup", "Fraction of the steps that is warmup [default: 0.03]", "X")
    ] = None,
    weight_decay: Annotated[str | None, _option("--weight-decay", "AdamW's weight decay [default: 0]", "X")] = None,
    clip: Annotated[
        str | None, _option("--clip", "Largest norm of the gradient, 0 for no limit [default: 1]", "X")
    ] = None,
    max_length: Annotated[
        str | None, _option("--max-length", "Tokens of a row that are kept [default: 1024]", "N")
    ] = None,
    order: Annotated[str | None, _option("--order", "Order of the rows [default: shuffled]", "file|shuffled")] = None,
    text: Annotated[str | None, _option("--text", "The column or key with the text.", "COLUMN")] = None,
    label: Annotated[str | None, _option("--label", "The column or key with the answer.", "COLUMN")] = None,
    system: Annotated[
        Path | None, _option("--system", "File with a system message for rows without one.", "FILE")
    ] = None,
    format: Annotated[
        str | None, _option("--format", "What the rows are, where the guess is wrong.", "csv|alpaca|csv/alpaca|...")
    ] = None,
    skip_bad: Annotated[bool | None, _option("--skip-bad", "Leave out bad rows even if more than 1 % are bad.")] = None,
    replay: Annotated[Path | None, _option("--replay", "General rows to mix in, against forgetting.", "FILE")] = None,
    replay_share: Annotated[
        str | None, _option("--replay-share", "Share of each step's rows that is theirs [default: 0.1]", "X")
    ] = None,
    dtype: Annotated[
        str | None, _option("--dtype", "Type of the frozen weights [default: bfloat16]", "bfloat16|float32")
    ] = None,
    threads: Annotated[str | None, _option("--threads", "Processor threads [default: all cores]", "N")] = None,
    seed: Annotated[str | None, _option("--seed", "Seed of the row order and the adapter [default: 0]", "N")] = None,
    seeds: Annotated[
        str | None,
        _option("--seeds", "Runs to make, with this seed and those after it, to see the spread [default: 1]", "N"),
    ] = None,
    save_every: Annotated[str | None, _option("--save-every", "Steps between checkpoints [default: 100]", "N")] = None,
    valid_every: Annotated[
        str | None,
        _option(
            "--valid-every",
            "Steps between validations [default: each epoch; with --steps also at each checkpoint]",
            "N",
        ),
    ] = None,
    resume: Annotated[bool | None, _option("--resume", "Continue the run in --out from its last checkpoint.")] = None,
    overwrite: Annotated[bool | None, _option("--overwrite", "Replace the run in --out.")] = None,
    skip_memory_check: Annotated[
        bool | None, _option("--skip-memory-check", "Start even if the memory seems not to suffice.")
    ] = None,
    no_check: Annotated[bool | None, _option("--no-check", "Do not look for faults of the rows first.")] = None,
    config: Annotated[
        Path | None, _option("--config", "YAML file with the same keys; flags win over it.", "FILE")
    ] = None,
    assignments: Annotated[
        list[str] | None, _option("--set", "Override one key; may be repeated.", "KEY=VALUE")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")] = False,
) -> None:
    """Fit a model to the rows of a file.

    Example: luthier fit train.jsonl --valid valid.jsonl --model smollm2-135m-instruct --out runs/a

    Writes adapter/ (PEFT format), metrics.jsonl, ledger.jsonl, run.json and checkpoints/ into the --out folder; with
    --seeds 3 the runs with the two next seeds go to seeds/ there, and evaluate shows the spread.
    """
    flags = given_flags(locals())

    from luthier.cli.interruption import exit_when_interrupted
    from luthier.training.ranks import is_first_process
    from luthier.training.run import run_fit
    from luthier.training.settings_sources import merge_settings

    with exit_when_interrupted():
        run = run_fit(merge_settings(flags, assignments or (), config))
    if not is_first_process():
        return
    result = _result(run)
    if len(runs := run.seed_runs) > 1:
        result["seeds"] = [{"seed": one.settings["seed"], **_result(one)} for one in runs]
    print_result(result, json_output, lambda: print(run))


def _result(run: Run) -> dict[str, Any]:
    record = run.record
    return {"out": str(run.folder), **{key: record.get(key) for key in ("status", "steps", "loss", "best", "rows")}}


def given_flags(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the arguments of a command, those that were given, as the settings take them."""
    from luthier.training.settings import KEYS

    given = {key: value for key, value in arguments.items() if key in KEYS and value not in (None, [])}
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
