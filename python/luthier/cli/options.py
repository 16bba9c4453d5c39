"""Options that several commands share, and the choice between a run and a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from luthier.generation.constraint import Constraint
    from luthier.models.model import Model
    from luthier.training.run import Run
    from luthier.verdict import Thresholds

Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]
RunArgument = Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Folder of a run, as fit wrote it.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="A model instead of a run: folder, GGUF file, known name or hub id.")
]
AdapterFolder = Annotated[Path | None, typer.Option("--adapter", help="PEFT adapter folder for --model.")]
Dtype = Annotated[str | None, typer.Option("--dtype", help="bfloat16 or float32 [default: the run's, else bfloat16]")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads [default: all cores]")]
TextColumn = Annotated[str | None, typer.Option("--text", help="The column or key with the text.")]
LabelColumn = Annotated[str | None, typer.Option("--label", help="The column or key with the answer.")]
SystemFile = Annotated[Path | None, typer.Option("--system", help="File with a system message for rows without one.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="What the rows are, where the guess is wrong: csv, alpaca, csv/alpaca, ..."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out bad rows even if more than 1 % are bad.")]

Task = Annotated[
    str | None, typer.Option("--task", help="classify, extract, write or call [default: what the answers show]")
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        help="A rule on the form of each answer, such as max_chars=80; also min_chars=, no_newline, regex=, "
        "starts_with=, ends_with=, forbid=. May be given several times.",
    ),
]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="JSON Schema that the answers should keep.")]
Constrain = Annotated[
    str | None,
    typer.Option(
        "--constrain",
        metavar="labels|schema",
        help="Let answers be nothing but one of the labels, or JSON that keeps the schema [default: free]",
    ),
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="The labels for --constrain: a line each in a .txt file, or the answers of rows "
        "[default: those of the training rows]",
    ),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first rows of the test file.")]
Examples = Annotated[int, typer.Option("--k", min=1, help="Similar training rows in a prompt with examples.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="A sentence encoder, folder or hub id, that finds similar training rows [default: TF-IDF]",
    ),
]
Predictions = Annotated[
    list[str] | None,
    typer.Option(
        "--predictions",
        metavar="NAME=FILE",
        help="Answers of something else to the test rows: JSON lines with `output`, in their order or with `line`. May "
        "be given several times.",
    ),
]

ThresholdValues = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="NAME=VALUE",
        help="A threshold of the verdict, such as class-recall=0.7; luthier verdict lists them. May be given several "
        "times.",
    ),
]
Results = Annotated[
    Path | None, typer.Option("--results", help="Folder with the evaluation, where evaluate had --out [default: RUN]")
]


def named_files(given: list[str] | None) -> dict[str, Path]:
    """NAME=FILE options as files by name. Raises InputError."""
    from luthier.errors import InputError

    files: dict[str, Path] = {}
    for text in given or ():
        name, _, file = text.partition("=")
        if not name.strip() or not file:
            raise InputError(f"--predictions '{text}': give a name and a file, such as hosted=answers.jsonl")
        if name.strip() in files:
            raise InputError(f"--predictions: the name '{name.strip()}' is given twice")
        files[name.strip()] = Path(file)
    return files


def checked_thresholds(given: list[str] | None) -> Thresholds | None:
    """The --threshold options over the defaults; None where there are none. Raises InputError."""
    from luthier.verdict.thresholds import parse_thresholds

    return parse_thresholds(given) if given else None


def read_schema(path: Path | None) -> Any:
    """The JSON value of a schema file, or None for none. Raises InputError."""
    from luthier.errors import InputError

    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: the schema cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: the schema is not JSON: {error}") from None


def chosen_constraint(
    kind: str | None, labels: Path | None, schema: Any, run: Run | None = None, has_rows: bool = False
) -> str | Constraint | None:
    """What --constrain, --labels and --schema ask for: a constraint, or None for free answers. Without a run, where the
    command `has_rows` with answers to take it from, the kind again. Raises InputError."""
    from luthier.errors import InputError
    from luthier.evaluation.constrain import constraint_of, read_labels
    from luthier.generation.constraint import KINDS

    if labels is not None and kind != "labels":
        raise InputError("--labels goes with --constrain labels")
    if kind is None:
        return None
    if kind not in KINDS:
        raise InputError(f"--constrain {kind}: answers can be constrained to {' or '.join(KINDS)}")
    if labels is not None:
        return read_labels(labels)
    if run is not None:
        return run.constraint(kind, schema)
    if has_rows:
        return kind
    if kind == "schema" and schema is not None:
        return constraint_of(kind, [], schema)
    file = "--labels FILE" if kind == "labels" else "--schema FILE"
    raise InputError(f"--constrain {kind}: a model without a run knows of no training rows; give {file}")


def set_threads(threads: int | None) -> None:
    """Sets the threads of the core where a number was given."""
    if threads is not None:
        from luthier import _core

        _core.set_threads(threads)


def check_choice(run: Path | None, model: str | None, adapter: Path | None = None) -> None:
    """Raises InputError unless exactly one of run and model is given, and an adapter only with a model."""
    from luthier.errors import InputError

    if (run is None) == (model is None):
        raise InputError("give either the folder of a run or --model MODEL" + ("" if run is None else ", not both"))
    if adapter is not None and model is None:
        raise InputError("--adapter goes with --model; a run brings its own adapter")


def load_model(model: str, adapter: Path | None, dtype: str | None) -> Model:
    """The model that --model, --adapter and --dtype name."""
    from luthier.models import load

    return load(model, adapter=adapter, dtype=dtype or "bfloat16")


def open_run(folder: Path, dtype: str | None) -> Run:
    """The run in a folder, with its model in `dtype` where one is given."""
    from luthier.training.run import Run

    run = Run(folder)
    return run if dtype is None else run.with_dtype(dtype)


def system_message(run: Path | None, given: Path | None) -> str | None:
    """The system message in a file, else the one that a run was fitted with; None where there is neither.

    Raises InputError where the file cannot be read.
    """
    from luthier.records.reader import system_text
    from luthier.training.run import Run

    if given is not None:
        return system_text(given)
    of_run = Run(run).settings.get("system") if run is not None else None
    return None if of_run is None else system_text(Path(of_run))


def print_result(value: Any, as_json: bool, plain: Callable[[], None]) -> None:
    """Prints `value` as JSON on stdout, or lets `plain` print it for people."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False))
    else:
        plain()
