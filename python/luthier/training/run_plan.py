"""`luthier.plan`: what a fit will compute, hold and take, before it is run."""

from __future__ import annotations

import html
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.drift.reference import build_reference
from luthier.errors import InputError
from luthier.training import fit_model
from luthier.training.disk_plan import DiskPlan, check_disk, plan_disk
from luthier.training.fit_data import FitRows, load_rows
from luthier.training.memory_plan import MemoryPlan, check_memory, gigabytes, plan_memory, ways_to_fit
from luthier.training.progress import duration
from luthier.training.row_order import row_order
from luthier.training.settings import FitSettings, Full, Lora, compose
from luthier.training.step_plan import StepPlan, plan_steps
from luthier.training.survey import Survey, survey_steps, survey_validation
from luthier.training.time_plan import TimePlan, measure_pace, plan_time

if TYPE_CHECKING:
    from rich.table import Table

    from luthier._core import Decoder
    from luthier.records.record import Record


@dataclass(frozen=True)
class RunPlan:
    """What a fit will do. Tokens are those of one epoch; `advice` holds changes that would make it fit, if it does not.

    `time` is None where the fit does not fit into memory, so that nothing could be measured.
    """

    model: str
    adapter: str
    parameters: int
    trained_parameters: int
    rows: int
    tokens: int
    computed_tokens: int
    supervised_tokens: int
    largest_forest: int
    steps: int
    surveyed_steps: int
    memory: MemoryPlan
    disk: DiskPlan
    time: TimePlan | None
    advice: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether memory and disk suffice."""
        return self.memory.fits and self.disk.fits

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values; sizes in bytes, times in seconds."""
        memory, disk = self.memory, self.disk
        values = asdict(self) | {"fits": self.fits, "advice": list(self.advice)}
        values["memory"] |= {"needed": memory.needed, "peak": memory.peak, "fits": memory.fits}
        values["disk"] |= {"needed": disk.needed, "fits": disk.fits}
        if self.time is not None:
            values["time"]["total"] = self.time.total
        return values

    def facts(self) -> list[tuple[str, str]]:
        """What is printed, line by line."""
        memory, disk = self.memory, self.disk
        kind = "adapter" if self.adapter != "full" else "model"
        share = 1 - self.computed_tokens / self.tokens
        surveyed = "" if self.surveyed_steps == self.steps else f" (from {self.surveyed_steps:,} of them)"
        return [
            ("model", f"{self.model}, {self.parameters:,} parameters"),
            ("trained", f"{self.adapter}, {self.trained_parameters:,} parameters"),
            (kind, f"{disk.result:,} bytes"),
            ("rows", f"{self.rows:,}"),
            ("tokens of an epoch", f"{self.tokens:,}"),
            ("  computed", f"{self.computed_tokens:,} ({share:.0%} less: shared prefixes, rows' ends)"),
            ("  supervised", f"{self.supervised_tokens:,}"),
            ("steps", f"{self.steps:,}{surveyed}, forests of up to {self.largest_forest:,} tokens"),
            ("peak memory", f"{gigabytes(memory.peak)}; {gigabytes(memory.available)} more are available"),
            ("  resident now", gigabytes(memory.process + memory.weights)),
            ("  optimiser", gigabytes(memory.trainer)),
            ("  activations", gigabytes(memory.activations + memory.validation)),
            ("  scratch", gigabytes(memory.scratch + memory.allowance)),
            ("disk", f"{gigabytes(disk.needed)}; {gigabytes(disk.available)} are free"),
            ("time", self._time()),
            ("verdict", self._verdict()),
        ]

    def _time(self) -> str:
        if self.time is None:
            return "not measured, since the fit does not fit into memory"
        parts = f"training {duration(self.time.training)}"
        if self.time.validation > 0:
            parts += f", validation {duration(self.time.validation)}"
        rests = f"from a step of {self.time.pace.measured_tokens:,} tokens measured now"
        runs = "" if self.disk.runs == 1 else f" for each of {self.disk.runs} seeds"
        return f"{duration(self.time.total)}{runs} ({parts}; {rests})"

    def _verdict(self) -> str:
        if self.memory.fits and self.disk.fits:
            return "fits"
        if not self.memory.fits:
            return "not enough memory; " + (
                f"would fit with {' or '.join(self.advice)}" if self.advice else "no remedy"
            )
        return "not enough room on the disk"

    def __repr__(self) -> str:
        return "\n".join(f"{name:<20} {value}" for name, value in self.facts())

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(show_header=False)
        for name, value in self.facts():
            table.add_row(name, value)
        return table

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in self.facts()
        )
        return f"<table>{cells}</table>"


def plan(
    rows: Any = None,
    *,
    model: str | PathLike[str] | None = None,
    adapter: Lora | Full | str | None = None,
    valid: Any = None,
    **settings: Any,
) -> RunPlan:
    """What `fit` with the same arguments would do: its tokens, steps, memory, disk and time. Writes nothing.

        lu.plan("train.jsonl", model="MODEL", adapter=lu.Lora(rank=16), batch_size=32)

    The time is that of a few steps measured on the spot. Raises InputError for wrong input or settings.
    """
    from luthier.training.run import flat_call

    values, train_rows, valid_rows = flat_call(rows, valid, adapter, {"model": model, **settings})
    return plan_run(values, train_rows, valid_rows)


def plan_run(
    values: Mapping[str, Any],
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
) -> RunPlan:
    """A plan from flat settings, as the command line gives them. Without `out` the disk is that of this folder."""
    from luthier import _core
    from luthier.models.load import load_decoder, load_tokenizer
    from luthier.models.locate import locate

    begin = time.perf_counter()
    settings = compose({"out": ".", **{key: value for key, value in values.items() if value is not None}})
    if settings.start.resume:
        raise InputError("'resume' has no meaning in a plan: a continued run is as large as it was")
    if settings.run.threads is not None:
        _core.set_threads(settings.run.threads)
    source = locate(settings.model)
    tokenizer = load_tokenizer(source).with_tokens(settings.vocabulary.add_token)
    train, valid = load_rows(settings.data, tokenizer, train_records, valid_records)
    decoder = load_decoder(source, settings.run.dtype)
    tokens = fit_model.give_rows(decoder, tokenizer, settings)
    if isinstance(settings.adapter, Lora):
        fit_model.attach(decoder, settings.adapter, settings.run.seed, source.name, tokens)
    preparation = time.perf_counter() - begin

    resources = plan_resources(decoder, settings, train, valid)
    survey, validation, memory = resources.survey, resources.validation, resources.memory
    measured = None
    if memory.fits:
        micro_tokens = settings.run.micro_tokens
        trainer = fit_model.make_trainer(decoder, settings)
        pace = measure_pace(trainer, decoder, train.dataset, survey, micro_tokens, settings.method)
        begin = time.perf_counter()
        build_reference(train.sample, tokenizer)
        finishing = time.perf_counter() - begin
        measured = plan_time(pace, preparation, finishing, survey, validation, resources.steps.validations())
    used = [line for line in train.dataset.ledger() if line["dropped"] is None]
    tokens = sum(line["tokens"] for line in used)
    adapter = settings.adapter
    return RunPlan(
        model=settings.model,
        adapter="full" if isinstance(adapter, Full) else f"lora rank {adapter.rank}",
        parameters=decoder.parameter_count,
        trained_parameters=_core.trained_count(decoder, settings.method),
        rows=len(used),
        tokens=tokens,
        computed_tokens=round(tokens * survey.computed_tokens / survey.tokens),
        supervised_tokens=sum(line["supervised_tokens"] for line in used),
        largest_forest=survey.largest_rows,
        steps=survey.steps,
        surveyed_steps=survey.surveyed,
        memory=memory,
        disk=resources.disk,
        time=measured,
        advice=tuple(() if memory.fits else ways_to_fit(memory, settings, decoder, survey, validation)),
    )


@dataclass(frozen=True)
class Resources:
    """What a fit needs of the machine, found out before its first step."""

    steps: StepPlan
    survey: Survey
    validation: Survey | None
    memory: MemoryPlan
    disk: DiskPlan


def plan_resources(
    decoder: Decoder, settings: FitSettings, train: FitRows, valid: FitRows | None, checkpoints: int = 0
) -> Resources:
    """The resources of a fit whose rows and model are loaded; `checkpoints` stand in its folder already."""
    mode, micro_tokens = settings.method, settings.run.micro_tokens
    sampler = row_order(train, settings)
    steps = plan_steps(sampler.steps_per_epoch, settings.optimizer, settings.run, valid is not None)
    survey = survey_steps(decoder, train.dataset, sampler, steps.total_steps, micro_tokens, mode)
    validation = None if valid is None else survey_validation(decoder, valid.dataset, micro_tokens, mode)
    memory = plan_memory(decoder, mode, survey, validation, recompute=settings.run.memory == "low")
    runs = 1 if settings.start.resume else settings.run.seeds  # those that are done have their room
    disk = plan_disk(decoder, mode, steps, Path(settings.run.out), checkpoints, runs)
    return Resources(steps, survey, validation, memory, disk)


def check_resources(decoder: Decoder, settings: FitSettings, resources: Resources) -> None:
    """Raises InputError, saying what is missing and what would fit, when the machine cannot carry the fit."""
    if not settings.start.skip_memory_check:
        check_memory(resources.memory, settings, decoder, resources.survey, resources.validation)
    check_disk(resources.disk, Path(settings.run.out))
