"""The evidence that lies in the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.baselines import BaselineResult, Baselines
from luthier.baselines.files import BASELINES_FILE, read_baselines
from luthier.errors import InputError
from luthier.evaluation import Comparison, Evaluation, SeedFigures, read_evaluation
from luthier.evaluation.perplexity import Perplexity
from luthier.training.metrics_log import read_metrics
from luthier.training.run_record import read_record
from luthier.verdict.evidence import CheckFinding, Evidence, Forgot, Losses, LossRise, Rival, TestUse
from luthier.verdict.files import CHECK_FILE, FORGETTING_FILE, optional_values
from luthier.verdict.seal import sealed_test

_TRAIN_STEPS = 20
"""Steps of training over which the loss is averaged: those up to the checkpoint that was kept."""


def gather(folder: Path, results: Path | None = None) -> Evidence:
    """What is known about the run in `folder`, whose evaluation lies in `results` (default: there too).

    Reads run.json, metrics.jsonl, evaluation.json with its predictions and, where they are there, baselines.json,
    check.json and forgetting.json. Baselines of other rows are left out. Raises InputError where the run was not
    evaluated, or where a file is damaged.
    """
    place = results or folder
    record = read_record(folder)
    tuned = read_evaluation(place)
    found = matching_baselines(place, tuned)
    check = optional_values(place / CHECK_FILE)
    if check is not None and check.get("test") not in (None, tuned.test):
        check = None  # of another test file
    seeds = tuned.block(SeedFigures) or SeedFigures(tuned.metric, {})
    try:
        forgetting = optional_values(place / FORGETTING_FILE) or optional_values(folder / FORGETTING_FILE)
        return Evidence(
            tuned=tuned,
            rivals=() if found is None else rivals(found),
            skipped=() if found is None else tuple((one.name, one.reason) for one in found.skipped),
            leaked=None if check is None else leaked_rows(check, "leakage", tuned),
            nearly_leaked=None if check is None else leaked_rows(check, "near-leakage", tuned),
            misspelt=0 if check is None else misspelt_rows(check, tuned),
            findings=findings(check, record),
            train_rows=training_rows(check, record),
            forgot=None if forgetting is None else forgot(forgetting),
            losses=losses(folder, record, tuned),
            test_use=use_of_test(record, tuned),
            seeds=tuple(seeds.runs.values()),
            missing_seeds=seeds.missing,
            free=None if found is None else free_answers(found),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{place}: the files of the run do not fit together ({type(error).__name__}: {error}); evaluate it again"
        ) from None


def matching_baselines(folder: Path, tuned: Evaluation) -> Baselines | None:
    """The baselines in a folder, if there are any and they were compared with this evaluation. Raises InputError."""
    if not (folder / BASELINES_FILE).exists():
        return None
    found = read_baselines(folder)
    same = found.tuned is not None and found.tuned.to_json() == tuned.to_json()
    return found if same and len(found.comparisons) == len(found.results) else None


def rivals(found: Baselines) -> tuple[Rival, ...]:
    """The baselines as what a verdict is given by."""
    return tuple(_rival(result, compared) for result, compared in found.rivals)


def free_answers(found: Baselines) -> Rival | None:
    """The tuned model with free answers, where its answers were constrained."""
    return None if found.free is None else _rival(*found.free)


def _rival(result: BaselineResult, compared: Comparison) -> Rival:
    constraint = result.evaluation.constraint
    return Rival(
        result.name,
        result.kind,
        compared.primary.second,
        compared.primary.interval,
        result.milliseconds_per_request,
        None if constraint is None else constraint.kind,
    )


def leaked_rows(check: Mapping[str, Any], code: str, tuned: Evaluation) -> int | None:
    """How many of the evaluated rows a finding about leakage names; None where the check did not look."""
    finding = next((one for one in check["findings"] if one["code"] == code), None)
    if finding is None:
        return None
    evaluated = {(one.file, one.line) for one in tuned.predictions}
    named = {(row["other"]["file"], row["other"]["line"]) for row in finding["rows"] if row.get("other")}
    count = len(evaluated & named)
    return count if count or not finding["count"] or named else min(int(finding["count"]), tuned.n)


def misspelt_rows(check: Mapping[str, Any], tuned: Evaluation) -> int:
    """How many of the evaluated rows have a label in another spelling than the usual one of the training rows."""
    evaluated = {(one.file, one.line) for one in tuned.predictions}
    rows = [row for one in check["findings"] if one["code"] == "label-variant" for row in one["rows"]]
    return len(evaluated & {(row["file"], row["line"]) for row in rows})


def findings(check: Mapping[str, Any] | None, record: Mapping[str, Any]) -> tuple[CheckFinding, ...]:
    """The findings of check.json, else the counts that the fit left in run.json."""
    if check is not None:
        return tuple(
            CheckFinding(one["code"], one["severity"], int(one["count"]), one.get("message", ""), one.get("repair", ""))
            for one in check["findings"]
        )
    counted = record.get("check") or {}
    return tuple(CheckFinding(code, one["severity"], int(one["count"])) for code, one in counted.items())


def training_rows(check: Mapping[str, Any] | None, record: Mapping[str, Any]) -> int | None:
    """How many rows the findings are about: those of the training file, without the general rows of a replay."""
    if check is not None and "rows" in check:
        return int(check["rows"])
    rows = record.get("rows")
    return None if rows is None else int(rows["rows"]) - int(rows.get("replay", 0))


def forgot(values: Mapping[str, Any]) -> Forgot:
    """From the content of forgetting.json, as `luthier.forgetting.Forgetting.to_json` gives it."""
    rises = [LossRise("general text", **_change(values["general"]))]
    if values.get("keep") is not None:
        rises.append(LossRise("the rows to keep", **_change(values["keep"])))
    return Forgot(tuple(rises), values.get("right_before"), values.get("right_after"))


def losses(folder: Path, record: Mapping[str, Any], tuned: Evaluation) -> Losses:
    """Training, validation and test loss side by side."""
    steps = _steps(folder)
    best = record.get("best") or {}
    kept = [line["loss"] for line in steps if line["step"] <= best.get("step", line["step"])][-_TRAIN_STEPS:]
    valid: Sequence[float] = [line["valid_loss"] for line in steps if "valid_loss" in line]
    answers = tuned.block(Perplexity)
    return Losses(
        train=sum(kept) / len(kept) if kept else None,
        valid=best.get("valid_loss"),
        test=None if answers is None else answers.mean_nll,
        last_valid=valid[-1] if valid else None,
    )


def use_of_test(record: Mapping[str, Any], tuned: Evaluation) -> TestUse:
    """How the test file was used, from run.json and the seal beside the file."""
    opened = [
        (digest, one)
        for digest, one in (record.get("test_opened") or {}).items()
        if tuned.test in (one["file"], *one.get("also", ()))
    ]
    seal = sealed_test(tuned.test)
    if not opened:
        return TestUse(None if seal is None else len(seal.openings), seal is not None)
    digest, entry = opened[-1]
    hashes = record.get("sha256") or {}
    others = {"train_file": "the training rows", "valid_file": "the validation rows"}
    reused = next((words for key, words in others.items() if hashes.get(key) == digest), None)
    # The seal counts the openings of all runs.
    times = max(int(entry["times"]), 0 if seal is None else len(seal.openings))
    return TestUse(times, seal is not None, reused)


def _steps(folder: Path) -> list[dict[str, float]]:
    path = folder / "metrics.jsonl"
    return read_metrics(path) if path.exists() else []


def _change(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(values[name]) for name in ("before", "after", "change", "low", "high")}
