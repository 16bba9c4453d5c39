"""Baselines that were run before a fit, compared with the model that it gave: they are not run again for each fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from luthier.baselines.files import read_baselines, write_baselines
from luthier.baselines.result import Baselines
from luthier.errors import InputError
from luthier.evaluation import Evaluation, Prediction, compare


def compare_earlier(
    folder: str | PathLike[str],
    tuned: Evaluation,
    *,
    train_sha256: str | None = None,
    model: str | None = None,
    out: str | PathLike[str] | None = None,
) -> Baselines:
    """What `luthier baseline --out FOLDER` left in `folder`, compared with `tuned`, an evaluation on the same rows.

    `train_sha256` is the SHA-256 of the file that the tuned model learned from, `model` the name of its base: the
    baselines must have learned from the same rows and asked the same model. `out` is a folder for the result, as in
    `luthier.baseline`. Raises InputError where they are of other rows, or the folder holds none.
    """
    place = Path(folder)
    found = read_baselines(place)
    again = "run luthier baseline again, or leave --baselines-from out"
    for result in found.results:
        if _rows(result.evaluation.predictions) != _rows(tuned.predictions):
            raise InputError(
                f"{place}: the baselines are of {found.n:,} rows of {found.test}, the evaluation of {tuned.n:,} rows "
                f"of {tuned.test}; name the same file in the same way and with the same --limit, or {again}"
            )
        if result.evaluation.task != tuned.task:
            raise InputError(
                f"{place}: the baselines are judged as {result.evaluation.task}, the tuned model as {tuned.task}; "
                "give both the same --task"
            )
        if model is not None and result.kind in ("prompt", "few_shot") and result.evaluation.model != model:
            raise InputError(
                f"{place}: the baselines ask {result.evaluation.model}, the run was fitted to {model}; {again}"
            )
    if any(one.constraint is not None for one in (tuned, *(result.evaluation for result in found.results))):
        raise InputError(
            f"{place}: --baselines-from compares free answers only; leave it out where they are constrained"
        )
    if train_sha256 is not None and found.train_sha256 != train_sha256:
        raise InputError(
            f"{place}: the baselines learned from {found.train}, which is not what the run learned from; {again}"
        )
    compared = replace(
        found, tuned=tuned, comparisons=[compare(tuned, one.evaluation, "tuned", one.name) for one in found.results]
    )
    if out is not None:
        write_baselines(compared, Path(out))
    return compared


def _rows(predictions: Sequence[Prediction]) -> list[tuple[str, int, str]]:
    return [(one.file, one.line, one.expected) for one in predictions]
