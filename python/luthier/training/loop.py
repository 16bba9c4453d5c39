"""The fit, from rows to a result, read from top to bottom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.drift import REFERENCE_FILE, build_reference
from luthier.errors import InputError, LuthierError
from luthier.training import fit_model, output_folder, run_record
from luthier.training.check_rows import check_rows
from luthier.training.checkpoint import Checkpoints, RunState
from luthier.training.continuation import check_inputs, check_processes
from luthier.training.fit_data import FitRows, load_rows, read_rows
from luthier.training.interrupts import Interrupted, stop_on_signals
from luthier.training.ledger_file import LedgerLine, ledger_lines, summarise, write_ledger
from luthier.training.progress import Progress
from luthier.training.ranks import Ranks
from luthier.training.result import write_result
from luthier.training.row_order import row_order
from luthier.training.run_plan import check_resources, plan_resources
from luthier.training.settings import FitSettings, Lora, flatten
from luthier.training.shared_step import shared_ledger
from luthier.training.steps import Job, run_steps

if TYPE_CHECKING:
    from luthier.records.record import Record

LEDGER_FILE = "ledger.jsonl"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoints"


def fit_to_folder(
    settings: FitSettings,
    progress: Progress,
    train_records: Sequence[Record] | None = None,
    valid_records: Sequence[Record] | None = None,
    ranks: Ranks | None = None,
) -> Path:
    """Fits a model as the settings say and returns the output folder, which then holds the whole run. Of several
    `ranks` all compute, and only the first writes.

    Rows are read from the settings' files unless they are given. Raises InputError for anything wrong with the input,
    Interrupted after a checkpoint when the user stopped the run, and LuthierError when training or saving failed; what
    was saved before stays valid.
    """
    from luthier.models.locate import locate

    out = Path(settings.run.out)
    data, resume = settings.data, settings.start.resume
    ranks = ranks or Ranks()
    if ranks.first:
        output_folder.check_output(out, settings.start, _input_paths(settings))
    ranks.sum()
    if resume and run_record.read_record(out)["status"] == "done":
        rest = "; there is nothing to continue" if settings.run.seeds == 1 else f" with seed {settings.run.seed}"
        progress.note(f"{out}: the run is done{rest}")
        return out
    # The files of the model are hashed while libraries and rows are loaded.
    source = locate(settings.model)
    model_sha256 = fit_model.start_model_sha256(source)

    from luthier import _core
    from luthier.models.load import load_decoder, load_tokenizer

    if (threads := settings.run.threads or ranks.threads) is not None:
        _core.set_threads(threads)

    # Rows to tokens: the data sets hold what is trained on and count what becomes of every row.
    tokenizer = load_tokenizer(source).with_tokens(settings.vocabulary.add_token)
    train_records, valid_records = read_rows(data, train_records, valid_records)
    looks = ranks.first and not resume and not settings.start.no_check
    faults = check_rows(data, train_records, valid_records, progress) if looks else None
    train, valid = load_rows(data, tokenizer, train_records, valid_records)
    _note_rows(progress, train, data.max_length)

    hashes: dict[str, Any] = {
        "train_rows": train.sha256,
        "valid_rows": valid.sha256 if valid is not None else None,
        "model": model_sha256(),
        "adapter_init": fit_model.adapter_init_sha256(settings),
    }
    if train.replay_sha256 is not None:
        hashes["replay_rows"] = train.replay_sha256
    ranks.check_same("the rows, the model or the settings", json.dumps([hashes, flatten(settings)], default=str))
    if resume:
        check_inputs(run_record.read_record(out), hashes, out)
        check_processes(run_record.read_record(out), ranks.count, out)

    # The model, what is trained of it, and the order of the rows.
    decoder = load_decoder(source, settings.run.dtype)
    lora = settings.adapter if isinstance(settings.adapter, Lora) else None
    tokens = fit_model.give_rows(decoder, tokenizer, settings)
    if tokens:
        plural = "" if len(tokens) == 1 else "s"
        progress.note(f"{len(tokens):,} token{plural} added, from id {tokens.start} on")
    adapter = fit_model.attach(decoder, lora, settings.run.seed, source.name, tokens) if lora is not None else None
    checkpoints = Checkpoints(out / CHECKPOINTS)
    resources = plan_resources(decoder, settings, train, valid, len(checkpoints.steps()))
    check_resources(decoder, settings, resources)
    trainer = fit_model.make_trainer(decoder, settings)
    sampler = row_order(train, settings)
    plan = resources.steps

    with output_folder.locked(out) if ranks.first else nullcontext():
        if ranks.first:
            checkpoints.clean()
        state: RunState | None = None
        if resume:
            record = {**run_record.read_record(out), "status": "running"}
            if steps := checkpoints.steps():
                state = checkpoints.load_state(steps[-1])
                trainer.restore(checkpoints.load_tensors(steps[-1]))
                sampler.restore(state.sampler)
            progress.note(f"continuing after step {state.step if state else 0} of {plan.total_steps}")
        else:
            recorded = flatten(settings) | _absolute_paths(settings, train, valid) | {"model": source.name}
            if lora is not None and lora.init is not None and adapter is not None:
                recorded |= fit_model.recorded_values(adapter)
            record = run_record.new_record(recorded, hashes | _file_hashes(settings), _core.threads())
            record["machine"]["processes"] = ranks.count
            if faults is not None:
                record["check"] = faults
            _write(ranks, out, lambda: output_folder.clear_run(out))
        _write(ranks, out, lambda: run_record.write_record(out, record))
        seen_before = state.times_seen if state is not None else []
        job = Job(out, plan, trainer, sampler, train, valid, checkpoints, progress, seen_before, ranks)
        ledger = _ledger(job)
        _write(ranks, out, lambda: write_ledger(out / LEDGER_FILE, ledger))

        try:
            with stop_on_signals(quiet=not ranks.first) as stop:
                state = run_steps(job, state, out / METRICS_FILE, stop)
            ledger = _ledger(job)
            if not ranks.first:
                return out
            if state.best is not None and state.best.step != state.step:
                trainer.restore(checkpoints.load_tensors(state.best.step))
            trainer.release()
            result = write_result(out, decoder, tokenizer, source, adapter)
            write_ledger(out / LEDGER_FILE, ledger)
            _write(ranks, out, lambda: build_reference(train.sample, tokenizer).save(out / REFERENCE_FILE))
        except BaseException as error:
            if ranks.first:
                _note_end(out, record, error)
            raise
        outcome = {
            "steps": state.step,
            "loss": state.metrics["loss"],
            "best": asdict(state.best) if state.best is not None else None,
            "rows": summarise(ledger),
        }
        record["sha256"] = record["sha256"] | result
        _write(
            ranks, out, lambda: run_record.write_record(out, run_record.finish(record, "done", error=None, **outcome))
        )
    return out


def _input_paths(settings: FitSettings) -> list[str | None]:
    data, adapter = settings.data, settings.adapter
    init = adapter.init if isinstance(adapter, Lora) else None
    return [
        data.train,
        data.valid,
        data.test,
        data.system,
        data.replay,
        init,
        settings.model if Path(settings.model).exists() else None,
    ]


def _absolute_paths(settings: FitSettings, train: FitRows, valid: FitRows | None) -> dict[str, str | None]:
    """The paths of the inputs as run.json records them, so that a run can be continued from another folder."""
    data, adapter = settings.data, settings.adapter
    given: dict[str, str | None] = {
        "train": data.train or train.path,
        "valid": data.valid or (valid.path if valid is not None else None),
        "test": data.test,
        "system": data.system,
        "replay": data.replay,
    }
    if isinstance(adapter, Lora):
        given["adapter_init"] = adapter.init
    return {key: str(Path(path).resolve()) if path is not None else None for key, path in given.items()}


def _file_hashes(settings: FitSettings) -> dict[str, str | None]:
    """SHA-256 of the data files, for people to compare with `sha256sum`."""
    data = settings.data
    paths = {"train_file": data.train, "valid_file": data.valid, "test_file": data.test}
    if data.replay is not None:
        paths["replay_file"] = data.replay
    try:
        return {name: durable.path_sha256(Path(path)) if path is not None else None for name, path in paths.items()}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror or error}") from None


def _note_rows(progress: Progress, train: FitRows, max_length: int) -> None:
    ledger = train.dataset.ledger()
    used = [line for line in ledger if line["dropped"] is None]
    tokens = sum(line["tokens"] for line in used)
    replays = f", {train.replays:,} of them general rows to replay" if train.replays else ""
    progress.note(f"{train.name}: {len(used):,} rows{replays}, {tokens:,} tokens")
    for reason, count in train.dropped().items():
        progress.note(f"  not used: {count:,} rows ({reason})")
    if cut := sum(1 for line in used if line["tokens_cut"]):
        progress.note(f"  cut to {max_length} tokens: {cut:,} rows; --max-length sets the limit")


def _ledger(job: Job) -> list[LedgerLine]:
    train = job.train
    entries = shared_ledger(job.ranks, train.dataset)
    return ledger_lines(entries, train.places, train.bad, job.seen_before or None, train.first_replay)


def _write(ranks: Ranks, out: Path, action: Any) -> None:
    if not ranks.first:
        return
    try:
        action()
    except OSError as error:
        raise LuthierError(
            f"cannot write to {out}: {error.strerror or error}; free space or choose another --out"
        ) from error


def _note_end(out: Path, record: dict[str, Any], error: BaseException) -> None:
    """Notes in run.json how a run ended; a disk that is full must not hide the error itself."""
    status: run_record.Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    text = None if isinstance(error, Interrupted) else (str(error) or type(error).__name__)
    with suppress(OSError):
        run_record.write_record(out, run_record.finish(record, status, error=text))
