"""`luthier evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from luthier.cli import options


def command(
    run: options.RunArgument = None,
    test: Annotated[Path, typer.Option("--test", help="Rows with the right answers: JSONL, CSV, Parquet, ....")] = ...,  # type: ignore[assignment]
    model: options.ModelOption = None,
    adapter: options.AdapterFolder = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for evaluation.json and predictions.jsonl [default: the run, else here]"),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Longest answer [default: from the longest right answer]"),
    ] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="JSON Schema that the answers should keep.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first rows.")] = None,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Answer the rows of a test file and compare with the right answers.

    Example: luthier evaluate runs/a --test test.jsonl

    Prints a table, and writes evaluation.json and predictions.jsonl.
    """
    from luthier.generation.progress import answer_progress

    options.check_choice(run, model, adapter)
    options.set_threads(threads)
    given: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "text": text,
        "label": label,
        "system": system,
        "format": format,
    }
    given |= {"skip_bad": skip_bad, "limit": limit, "schema": _read_schema(schema) if schema is not None else None}
    with answer_progress("answers") as progress:
        given["on_progress"] = progress
        if run is not None:
            result = options.open_run(run, dtype).evaluate(test, out=out, **given)
        else:
            from luthier.evaluation import evaluate
            from luthier.splits import open_sealed

            open_sealed(test, by="evaluate")
            result = evaluate(options.load_model(str(model), adapter, dtype), test, out=out or Path(), **given)

    def show() -> None:
        from rich.console import Console

        Console().print(result)

    options.print_result(result.to_json(), json_output, show)


def _read_schema(path: Path) -> Any:
    import json

    from luthier.errors import InputError

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: the schema cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: the schema is not JSON: {error}") from None
