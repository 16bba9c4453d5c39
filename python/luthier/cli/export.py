"""`luthier export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import options


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, as fit wrote it.")],
    to: Annotated[Path, typer.Option("--to", help="New folder for the files.")],
    format: Annotated[str, typer.Option("--format", help="peft, merged, gguf or gguf-lora.")] = "merged",
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", help="float32, float16 or bfloat16 [default: merged bfloat16, gguf float16, adapters float32]"
        ),
    ] = None,
    quant: Annotated[
        str | None, typer.Option("--quant", help="For --format gguf: Q8_0, Q4_0, Q4_K, or F16, BF16, F32.")
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            "--check",
            help="Try this loader on the files too: peft, transformers, llama.cpp or vllm. May be given several times.",
        ),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="Rows to try it with [default: the run's validation rows]")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not try it; export.json says so.")] = False,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Write the result of a run for the program that is to load it, and try it first.

    Example: luthier export runs/a --to merged-folder

    Example: luthier export runs/a --to gguf-folder --format gguf --quant Q8_0

    merged: a Transformers folder with the adapter in the weights. peft: the adapter. gguf: one file for llama.cpp and
    what builds on it. gguf-lora: the adapter for llama.cpp.

    The files are loaded afresh and must answer 32 prompts of the run as the trained model does; if they do not, no
    folder is left and the numbers are said. They are in export.json beside the files.

    Exit status: 0 written, 1 it failed its verification, 2 wrong input.
    """
    from luthier.training.run import Run

    opened = Run(run)
    options.set_threads(threads)

    def stage(text: str) -> None:
        print(f"{text} ...", file=sys.stderr, flush=True)

    found = opened.export(
        to, format, dtype=dtype, quant=quant, verify=not no_verify, check=check or (), rows=rows, on_stage=stage
    )
    options.print_result({"out": str(found.folder), **found.to_json()}, json_output, lambda: print(found))
