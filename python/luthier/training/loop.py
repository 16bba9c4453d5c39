"""The fit, from rows to a result, read from top to bottom."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.training import fit_model, output_folder, run_record
from luthier.training.checkpoint import Best, Checkpoints, RunState
from luthier.training.continuation import check_inputs
from luthier.training.fit_data import FitRows, encode_records, read_records
from luthier.training.interrupts import Interrupted, StopRequest, stop_on_signals
from luthier.training.ledger_file import ledger_lines, summarise, write_ledger
from luthier.training.metrics_log import MetricsLog, StepMetrics
from luthier.training.plan import StepPlan, plan_steps
from luthier.training.progress import Progress
from luthier.training.result import write_result
from luthier.training.run_record import finish, new_record, write_record
from luthier.training.settings import FitSettings, Lora, flatten
from luthier.training.validation import validation_loss

if TYPE_CHECKING:
    from luthier._core import Sampler, Trainer
    from luthier.records.record import Record

LEDGER_FILE = "ledger.jsonl"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoints"


def fit_to_folder(
    settings: FitSettings,
    progress: Progress,
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
) -> Path:
    """Fits a model as the settings say and returns the output folder, which then holds the whole run.

    Rows are read from the settings' files unless they are given. Raises InputError for anything wrong with the input,
    Interrupted after a checkpoint when the user stopped the run, and LuthierError when training or saving failed; what was
    saved before stays valid.
    """
    from luthier import _core
    from luthier.models.load import load_decoder, load_tokenizer
    from luthier.models.locate import locate

    out = Path(settings.run.out)
    data, adapter = settings.data, settings.adapter
    output_folder.check_output(out, settings.start, _input_paths(settings))
    if settings.run.threads is not None:
        _core.set_threads(settings.run.threads)

    source = locate(settings.model)
    tokenizer = load_tokenizer(source)
    if train_records is None:
        if data.train is None:
            raise InputError("no training rows: give a file, such as luthier fit train.jsonl --model MODEL --out runs/a")
        train_records = read_records(data.train, data)
    if valid_records is None and data.valid is not None:
        valid_records = read_records(data.valid, data)
    train = encode_records(train_records, tokenizer, data.max_length)
    valid = encode_records(valid_records, tokenizer, data.max_length) if valid_records is not None else None
    _note_rows(progress, train, data.max_length)

    hashes = _input_hashes(settings, train, valid, fit_model.model_sha256(source))
    if settings.start.resume:
        check_inputs(run_record.read_record(out), hashes, out)

    decoder = load_decoder(source, settings.run.dtype)
    shape = fit_model.attach(decoder, adapter, settings.run.seed) if isinstance(adapter, Lora) else None
    optimizer = settings.optimizer
    trainer = _core.Trainer(decoder, settings.method, settings.run.micro_tokens, optimizer.clip, optimizer.weight_decay)
    sampler = _core.Sampler(len(train.dataset), optimizer.batch_size, settings.run.seed, data.order == "shuffled")
    plan = plan_steps(sampler.steps_per_epoch, optimizer, settings.run, valid is not None)

    with output_folder.locked(out):
        checkpoints = Checkpoints(out / CHECKPOINTS)
        checkpoints.clean()
        state = None
        if settings.start.resume:
            record = {**run_record.read_record(out), "status": "running"}
            if steps := checkpoints.steps():
                state = checkpoints.load_state(steps[-1])
                trainer.restore(checkpoints.load_tensors(steps[-1]))
                sampler.restore(state.sampler)
                progress.note(f"continuing after step {state.step} of {plan.total_steps}")
        else:
            output_folder.clear_run(out)
            recorded = flatten(settings) | (fit_model.recorded_shape(shape) if shape is not None else {})
            record = new_record(recorded, hashes, _core.threads())
        write_record(out, record)
        write_ledger(out / LEDGER_FILE, _ledger(train, state))

        job = Job(settings, plan, trainer, sampler, train, valid, checkpoints, progress)
        try:
            with stop_on_signals() as stop:
                state = run_steps(job, state, out / METRICS_FILE, stop)
            if state.best is not None and state.best.step != state.step:
                trainer.restore(checkpoints.load_tensors(state.best.step))
            result = write_result(out, decoder, tokenizer, source, shape)
            ledger = _ledger(train, state)
            write_ledger(out / LEDGER_FILE, ledger)
        except Interrupted:
            write_record(out, finish(record, "interrupted"))
            raise
        except BaseException as error:
            _note_failure(out, record, error)
            raise
        outcome = {"steps": state.step, "loss": state.metrics["loss"], "best": _best(state.best), "ledger": summarise(ledger)}
        write_record(out, finish({**record, "sha256": {**record["sha256"], **result}}, "done", **outcome))
    return out


@dataclass(frozen=True)
class Job:
    """What the steps of a run work with."""

    settings: FitSettings
    plan: StepPlan
    trainer: Trainer
    sampler: Sampler
    train: FitRows
    valid: FitRows | None
    checkpoints: Checkpoints
    progress: Progress


def run_steps(job: Job, state: RunState | None, metrics_path: Path, stop: StopRequest) -> RunState:
    """Runs the steps that `state` (None: none yet) leaves to be done; gives the state after the last.

    Raises Interrupted, with a checkpoint saved, when a stop is asked for.
    """
    done = state.step if state is not None else 0
    unfinished = state if state is not None and not state.validated else None
    log = MetricsLog(metrics_path, keep_steps=done - 1 if unfinished else done)
    job.progress.start(done + 1, job.plan.total_steps)
    try:
        if unfinished is not None:
            state = _after_step(job, unfinished.metrics, unfinished, log, stop)
        for step in range(done + 1, job.plan.total_steps + 1):
            metrics = run_step(job, step)
            state = _after_step(job, metrics, state, log, stop)
    finally:
        log.close()
        job.progress.close()
    assert state is not None
    return state


def run_step(job: Job, step: int) -> StepMetrics:
    """One optimiser step. Raises LuthierError naming file and line of a row whose loss or gradient is not finite."""
    rate = job.plan.learning_rate(step)
    examples = job.sampler.next()
    begin = time.perf_counter()
    try:
        result = job.trainer.step(job.train.dataset, examples, rate)
    except InputError:
        raise
    except LuthierError as error:
        raise _with_place(error, step, job.train.places) from error
    return {
        "step": step,
        "loss": result.loss,
        "learning_rate": rate,
        "grad_norm": result.grad_norm,
        "rows": result.rows,
        "tokens": result.tokens,
        "computed_tokens": result.computed_tokens,
        "supervised_tokens": result.supervised_tokens,
        "seconds": time.perf_counter() - begin,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _after_step(job: Job, metrics: StepMetrics, state: RunState | None, log: MetricsLog, stop: StopRequest) -> RunState:
    """Validates, logs and saves what is due after a step."""
    step = metrics["step"]
    best = state.best if state is not None else None
    due = job.plan.validates_after(step)
    loss = validation_loss(job.trainer, job.valid.dataset, stop) if due and job.valid is not None else None
    improved = loss is not None and (best is None or loss < best.valid_loss)
    if loss is not None and improved:
        best = Best(step, loss)
    log.append(metrics, loss)
    job.progress.step(metrics, loss)
    cut_short = due and loss is None
    after = RunState(step, job.sampler.state(), metrics, validated=not cut_short, best=best, seen_before=_seen_before(state))
    if stop or improved or job.plan.saves_after(step):
        log.sync()
        seen = _times_seen(job.train, after)
        job.checkpoints.save(replace(after, times_seen=seen), _finite(job.trainer.state(), step))
    if stop and (step < job.plan.total_steps or cut_short):
        out = job.settings.run.out
        raise Interrupted(f"stopped after step {step}; continue with: luthier fit --resume --out {out}")
    return after
