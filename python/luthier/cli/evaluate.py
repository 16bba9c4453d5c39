"""`luthier evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli import options

if TYPE_CHECKING:
    from luthier.baselines import Baselines
    from luthier.training.run import Run
    from luthier.verdict import Verdict


def command(
    run: options.RunArgument = None,
    *,
    test: Annotated[Path, typer.Option("--test", help="Rows with the right answers: JSONL, CSV, Parquet, ...")],
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
    task: options.Task = None,
    schema: options.SchemaFile = None,
    rules: options.Rules = None,
    constrain: options.Constrain = None,
    labels: options.LabelsFile = None,
    calibration_rows: Annotated[
        int, typer.Option("--calibration-rows", min=0, help="Rows for the calibration of a classification; 0: none.")
    ] = 100,
    baselines: Annotated[
        bool | None,
        typer.Option(
            "--baselines/--no-baselines",
            help="Compare with the baselines, which learn from the run's training file [default: if it is unchanged]",
        ),
    ] = None,
    baselines_from: Annotated[
        Path | None,
        typer.Option(
            "--baselines-from", help="Folder of luthier baseline --out, on the same rows: nothing is run again."
        ),
    ] = None,
    k: options.Examples = 4,
    encoder: options.Encoder = None,
    predictions: options.Predictions = None,
    forgetting: Annotated[
        bool,
        typer.Option("--forgetting/--no-forgetting", help="Measure what the model forgot, which a verdict needs."),
    ] = True,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Rows of yours that the model should not forget: JSONL or CSV.")
    ] = None,
    thresholds: options.ThresholdValues = None,
    limit: options.Limit = None,
    text: options.TextColumn = None,
    label: options.LabelColumn = None,
    system: options.SystemFile = None,
    format: options.Format = None,
    skip_bad: options.SkipBad = False,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    json_output: options.Json = False,
) -> None:
    """Answer the rows of a test file and compare with the right answers, and with what the cheapest means reach.

    Example: luthier evaluate runs/a --test test.jsonl

    Prints tables, and writes evaluation.json, predictions.jsonl and, with baselines, baselines.json. A run that is
    compared with the baselines gets a verdict, and the exit status is 0 for SHIP, 3 for HOLD, 4 for RETHINK.

    With --constrain the model answers twice: constrained to the labels of the training rows, or to --schema or what
    their answers have in common, which is what is judged, and freely. So does the untuned model. Without a run the
    labels and the schema are those of the test rows.
    """
    from luthier.baselines.encoder import load_encoder
    from luthier.errors import InputError
    from luthier.generation.progress import Stages

    options.check_choice(run, model, adapter)
    if baselines_from is not None and (predictions or encoder or constrain or baselines is False):
        raise InputError(
            "--baselines-from brings all baselines; give it without --predictions, --encoder, --constrain and "
            "--no-baselines"
        )
    if run is None and (baselines or predictions or encoder or baselines_from):
        raise InputError("baselines need rows to learn from: luthier baseline TRAIN --test TEST --model MODEL")
    options.set_threads(threads)
    if encoder and baselines is False:
        raise InputError("--encoder is for the baselines; leave out --no-baselines")
    files = options.named_files(predictions)
    limits = options.checked_thresholds(thresholds)
    given: dict[str, Any] = {"max_new_tokens": max_new_tokens, "text": text, "label": label, "system": system}
    given |= {"skip_bad": skip_bad, "format": format, "limit": limit, "schema": options.read_schema(schema)}
    given |= {"task": task, "rules": rules or ()}
    found: Baselines | None = None
    verdict: Verdict | None = None
    with Stages() as stages:
        calls: dict[str, Any] = {"on_start": stages.start, "on_progress": stages.report}
        own = given | calls | {"calibration_rows": calibration_rows}
        chosen = (constrain, labels, given["schema"])
        if run is not None:
            opened = options.open_run(run, dtype)
            own["constrain"] = options.chosen_constraint(*chosen, run=opened)
            if baselines_from is not None:  # before minutes are spent on answers
                from luthier.baselines.files import read_baselines

                read_baselines(baselines_from)
            wanted = baselines_from is not None or wants_baselines(opened, baselines, bool(files))
            vectors = load_encoder(encoder) if wanted and encoder else None  # a wrong one is said before the answers
            result = opened.evaluate(test, out=out, **own)
            if wanted:
                given |= {"max_new_tokens": result.max_new_tokens, "k": k, "predictions": files, "encoder": vectors}
                given |= {} if out is None else {"out": out}
                found = opened.baselines(result, test, earlier=baselines_from, **given, **calls)
                from luthier.verdict import give_verdict

                verdict = give_verdict(opened, test, limits, out, forgetting, keep, **calls)
        else:
            from luthier.evaluation import evaluate
            from luthier.splits import open_sealed

            own["constrain"] = options.chosen_constraint(*chosen, has_rows=True)
            open_sealed(test, by="evaluate")
            result = evaluate(options.load_model(str(model), adapter, dtype), test, out=out or Path(), **own)

    def show() -> None:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(result)
        if found is not None:
            console.print(found)
        if verdict is not None:
            console.print(verdict)

    values = result.to_json()
    if verdict is not None:
        values |= verdict.to_json()
    options.print_result(values if found is None else values | {"baselines": found.to_json()}, json_output, show)
    if verdict is not None and verdict.status:
        raise typer.Exit(verdict.status)


def wants_baselines(run: Run, wanted: bool | None, has_predictions: bool) -> bool:
    """Whether to run the baselines: as asked, else if the run's training file is as it was.

    Raises InputError where they were asked for and cannot be run.
    """
    from luthier.errors import InputError

    if wanted is False:
        if has_predictions:
            raise InputError("--predictions are compared beside the baselines; leave out --no-baselines")
        return False
    if run.training_file() is not None:
        return True
    missing = "the file that the run learned from is gone or has changed"
    if wanted or has_predictions:
        raise InputError(
            f"{run.folder}: no baselines: {missing}; use: luthier baseline TRAIN --test TEST --model MODEL"
        )
    print(f"no baselines: {missing}", file=sys.stderr)
    return False
