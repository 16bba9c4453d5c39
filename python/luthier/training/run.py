"""`luthier.fit` and the `Run` it returns: a fit in three lines of Python."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError
from luthier.training import run_record
from luthier.training.ledger_file import LedgerLine, read_ledger
from luthier.training.loop import LEDGER_FILE, METRICS_FILE
from luthier.training.metrics_log import read_metrics
from luthier.training.progress import open_progress
from luthier.training.ranks import open_ranks
from luthier.training.result import ADAPTER, result_folder
from luthier.training.seed_figures import with_seeds
from luthier.training.seeds import done_seeds, fit_seeds
from luthier.training.settings import Full, Lora, adapter_values, canonical_key, compose

if TYPE_CHECKING:
    from luthier.baselines import Baselines
    from luthier.delivery import Export
    from luthier.evaluation import Evaluation
    from luthier.generation.constraint import Constraint
    from luthier.generation.file import GenerationStats
    from luthier.models.model import Model
    from luthier.records.record import Record

_PATHS = ("model", "out", "valid", "test", "system", "adapter_init", "replay")


def fit(
    rows: Any = None,
    *,
    model: str | PathLike[str] | None = None,
    out: str | PathLike[str],
    adapter: Lora | Full | str | None = None,
    valid: Any = None,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Fits a model to rows and returns the finished run.

        run = lu.fit(lu.read("train.jsonl"), model="MODEL", adapter=lu.Lora(rank=16), out="runs/a", epochs=2)

    `rows` and `valid` are files, Records, or lists of conversations that end with an answer. `settings` are the flags
    of `luthier fit` with underscores (epochs, steps, batch_size, learning_rate, max_length, dtype, seed, seeds, resume,
    ...). With `seeds` the run of the first seed is returned; its `seed_runs` are all of them.
    Raises InputError for wrong input or settings, KeyboardInterrupt (with a checkpoint saved) when interrupted.
    """
    values, train_rows, valid_rows = flat_call(rows, valid, adapter, {"model": model, "out": out, **settings})
    return run_fit(values, train_rows, valid_rows, quiet=quiet)


def flat_call(
    rows: Any, valid: Any, adapter: Lora | Full | str | None, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Sequence[Record] | None, Sequence[Record] | None]:
    """The arguments of a call as flat settings, and the training and validation rows that were given in memory."""
    values: dict[str, Any] = {canonical_key(key, "fit"): value for key, value in settings.items()}
    if isinstance(adapter, Lora | Full):
        values |= adapter_values(adapter)
    elif adapter is not None:
        values["adapter"] = adapter
    train_rows, values["train"] = _rows(rows)
    valid_rows, values["valid"] = _rows(valid)
    for key in _PATHS:
        if values.get(key) is not None:
            values[key] = str(values[key])
    return values, train_rows, valid_rows


def run_fit(
    values: Mapping[str, Any],
    train_rows: Sequence[Record] | None = None,
    valid_rows: Sequence[Record] | None = None,
    *,
    quiet: bool = False,
) -> Run:
    """A fit from flat settings, as the command line gives them; `test` rows are evaluated at the end.

    Under torchrun the processes train together; see `luthier.training.ranks` for what they raise.
    """
    from luthier.training.continuation import continued_settings

    with open_ranks() as ranks:
        settings = continued_settings(values) if values.get("resume") else compose(values)
        with open_progress(quiet or not ranks.first) as progress:
            out = fit_seeds(settings, progress, train_rows, valid_rows, ranks)
    run = Run(out)
    if settings.data.test is not None and ranks.first:
        run.evaluate(settings.data.test, opened_by="fit")
    return run


class Run:
    """A run in its output folder: opened by `fit`, or by path to look at it later."""

    def __init__(self, folder: str | PathLike[str]) -> None:
        """Raises InputError when the folder holds no run."""
        self.folder = Path(folder)
        self._models: dict[str, Model] = {}
        self._dtype: str | None = None
        run_record.read_record(self.folder)

    @property
    def record(self) -> dict[str, Any]:
        """The content of run.json as it is now: settings, versions, sha256, status, losses."""
        return run_record.read_record(self.folder)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run under their flat names."""
        settings: dict[str, Any] = self.record["settings"]
        return settings

    @property
    def status(self) -> str:
        """running, done, interrupted or failed."""
        return str(self.record["status"])

    @property
    def metrics(self) -> list[dict[str, float]]:
        """One dictionary per step: loss, learning_rate, tokens, seconds, ...; valid_loss where it was measured."""
        path = self.folder / METRICS_FILE
        return read_metrics(path) if path.exists() else []

    @property
    def ledger(self) -> list[LedgerLine]:
        """What became of every row of the input."""
        path = self.folder / LEDGER_FILE
        return read_ledger(path) if path.exists() else []

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder; None after full fine-tuning, which leaves a model instead."""
        return self.folder / ADAPTER if self.settings["adapter"] == "lora" else None

    def model(self, dtype: str | None = None) -> Model:
        """The tuned model, loaded once per dtype (default: that of the fit).

        Raises InputError when the run is not finished or its base model is gone.
        """
        from luthier.models import load

        record = self.record
        settings = record["settings"]
        result = result_folder(self.folder, record)
        kind = dtype or self._dtype or str(settings["dtype"])
        if kind not in self._models:
            base, adapter = (settings["model"], result) if result.name == ADAPTER else (str(result), None)
            self._models[kind] = load(base, adapter=adapter, dtype=kind)
        return self._models[kind]

    def with_dtype(self, dtype: str) -> Run:
        """The same run, whose model is loaded in `dtype` from now on."""
        other = Run(self.folder)
        other._dtype = dtype
        return other

    @property
    def seed_runs(self) -> list[Run]:
        """After `fit --seeds` the runs that differ in the seed alone, this one first, then the others that are done;
        else only this one."""
        done, _ = done_seeds(self.folder, self.record)
        return [self, *(Run(folder) for folder in done.values())]

    def evaluate(
        self, test: Any, out: str | PathLike[str] | None = None, *, opened_by: str = "evaluate", **options: Any
    ) -> Evaluation:
        """Answers the rows of a test file and compares; writes evaluation.json and predictions.jsonl into the run's
        folder. After `fit --seeds` the runs with other seeds answer them, too, and their figures are beside the run's
        own: `evaluation.block(SeedFigures)`.

        Column names and the system message are those of the run unless given. Every opening of a test file is counted
        in run.json, and in the seal beside the file where `luthier split` made it, as one by `opened_by`. `options` are
        those of `luthier.evaluation.evaluate`.
        """
        from luthier.evaluation import evaluate
        from luthier.splits import open_sealed

        if isinstance(options.get("constrain"), str):
            options["constrain"] = self.constraint(options["constrain"], options.get("schema"))
        model = self.model()
        if isinstance(test, str | PathLike):
            options = self.reading(**options)
            open_sealed(test, by=opened_by, run=self.folder)
            run_record.count_test_opening(self.folder, Path(test))
        place = Path(out) if out is not None else self.folder
        found = evaluate(model, test, out=place, **options)
        return with_seeds(self, found, test, place, options, self._dtype)

    def training_file(self) -> Path | None:
        """The file that the run learned from, if it is still there with the same content."""
        record = self.record
        train, digest = record["settings"].get("train"), record.get("sha256", {}).get("train_file")
        if train is None or digest is None:
            return None
        try:
            return Path(train) if durable.file_sha256(Path(train)) == digest else None
        except OSError:
            return None

    def constraint(self, kind: str, schema: Mapping[str, Any] | None = None) -> Constraint:
        """What answers are constrained to: the answers of the training rows (`labels`), or `schema` or else what they
        have in common (`schema`). Raises InputError, as where the training file is gone or has changed."""
        from luthier.evaluation.constrain import constraint_of
        from luthier.records import read

        train = self.training_file()
        if train is None:
            if kind == "schema" and schema is not None:
                return constraint_of(kind, [], schema)
            option = "--labels FILE" if kind == "labels" else "--schema FILE"
            raise InputError(f"{self.folder}: the file that the run learned from is gone or has changed; give {option}")
        answers = [row.reference for row in read(train, **self.reading(skip_bad=True))]
        return constraint_of(kind, [answer for answer in answers if answer is not None], schema, str(train))

    def baselines(
        self,
        tuned: Evaluation,
        test: Any,
        train: Any = None,
        earlier: str | PathLike[str] | None = None,
        **options: Any,
    ) -> Baselines:
        """Runs the baselines on the rows of `test`, on which `tuned` is the run's evaluation, and compares.

        They learn from the run's training file, or from `train`; the untuned model is the run's base. `earlier` is a
        folder in which `luthier.baseline` has left its results on the same rows: they are compared, and nothing is run.
        Writes baselines.json and baseline_predictions.jsonl into the run's folder, or to `out`. `options` are those of
        `luthier.baseline`; answers are constrained as those of `tuned` are. Raises InputError where the training file
        is gone or has changed, or where the earlier baselines are of other rows.
        """
        from luthier.baselines import baseline, compare_earlier

        if earlier is not None:
            record = self.record
            digest, base = record["sha256"].get("train_file"), record["settings"]["model"]
            return compare_earlier(
                earlier, tuned, train_sha256=digest, model=base, out=options.get("out") or self.folder
            )

        train = train if train is not None else self.training_file()
        if train is None:
            raise InputError(
                f"{self.folder}: the file that the run learned from is gone or has changed; name the rows that the "
                "baselines may learn from"
            )
        settings = self.settings
        own: dict[str, Any] = {
            "model": settings["model"],
            "dtype": self._dtype or str(settings["dtype"]),
            "out": self.folder,
        }
        return baseline(train, test=test, tuned=tuned, **(own | self.reading(**options)))

    def generate(
        self,
        prompts: Any,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        constraint: Constraint | None = None,
    ) -> Any:
        """The tuned model's answer to a text or a list of messages, or its answers to a list of these."""
        return self.model().generate(prompts, max_new_tokens, temperature, seed, constraint)

    def generate_file(
        self, source: str | PathLike[str], destination: str | PathLike[str], **options: Any
    ) -> GenerationStats:
        """Answers the rows of a file and writes them with `output`; options as in `luthier.generation.file`."""
        from luthier.generation.file import generate_file

        return generate_file(self.model(), source, destination, **self.reading(**options))

    def export(
        self,
        to: str | PathLike[str],
        format: str = "merged",
        *,
        dtype: str | None = None,
        quant: str | None = None,
        verify: bool = True,
        check: Sequence[str] = (),
        rows: str | PathLike[str] | None = None,
        on_stage: Callable[[str], None] = lambda stage: None,
    ) -> Export:
        """Writes the result into the new folder `to`, tries it with the run's own rows, and gives what was measured.

            run.export("folder"); run.export("gguf", "gguf", quant="Q8_0"); run.export("lora", "gguf-lora")

        `format` is peft, merged, gguf or gguf-lora; `dtype` float32, float16 or bfloat16; `quant`, for gguf, Q8_0, Q4_0
        or Q4_K. `check` names loaders to try as well, `rows` a file of rows to try instead of the run's. Raises
        InputError for what cannot be exported, LuthierError with the numbers for what does not answer as the run does;
        nothing is left then.
        """
        from luthier.delivery import choose, deliver
        from luthier.training.subject import subject_of

        choice = choose(format, dtype, quant, [check] if isinstance(check, str) else check, verify)
        return deliver(subject_of(self.folder, self.record), to, choice, rows, on_stage)

    def reading(self, **options: Any) -> dict[str, Any]:
        """Options for `luthier.read`, and what takes them: the run's columns, system message and format where `options`
        gives none."""
        return run_record.reading_options(self.settings) | {
            key: value for key, value in options.items() if value is not None
        }

    def _facts(self) -> list[tuple[str, str]]:
        record = self.record
        settings = record["settings"]
        facts = [("status", record["status"]), ("model", settings["model"])]
        kind = f"lora rank {settings['rank']}" if settings["adapter"] == "lora" else "full"
        facts.append(("adapter", kind))
        if added := settings.get("add_token"):
            facts.append(("added tokens", f"{len(added):,}"))
        if metrics := self.metrics:
            facts += [("steps", str(len(metrics))), ("loss", f"{metrics[0]['loss']:.4f} to {metrics[-1]['loss']:.4f}")]
        if best := record.get("best"):
            facts.append(("valid loss", f"{best['valid_loss']:.4f} after step {best['step']}"))
        if len(runs := self.seed_runs) > 1:
            losses = [best["valid_loss"] for run in runs if (best := run.record.get("best"))]
            spread = f"; valid loss {min(losses):.4f} to {max(losses):.4f}" if losses else ""
            facts.append(("seeds", f"{', '.join(str(run.settings['seed']) for run in runs)}{spread}"))
        if rows := record.get("rows"):
            facts.append(("rows", f"{rows['used']:,} of {rows['rows']:,} used"))
        return facts

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self._facts())
        return f"Run({str(self.folder)!r}: {facts})"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self._facts()
        )
        return f"<table><caption>{html.escape(str(self.folder))}</caption>{cells}</table>"


def _rows(given: Any) -> tuple[Sequence[Record] | None, str | None]:
    """(rows in memory, path): one of them is None, or both are."""
    if given is None or isinstance(given, str | PathLike):
        return None, None if given is None else str(given)
    from luthier.models.conversations import training_records
    from luthier.records import Records

    return given if isinstance(given, Records) else training_records(given), None
