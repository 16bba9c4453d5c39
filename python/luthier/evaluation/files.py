"""evaluation.json and predictions.jsonl in the folder of a run."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from luthier.errors import InputError, LuthierError
from luthier.evaluation.result import Evaluation, Prediction

EVALUATION_FILE = "evaluation.json"
PREDICTIONS_FILE = "predictions.jsonl"
FREE_PREDICTIONS_FILE = "free_predictions.jsonl"
"""Those of the same model with free answers, where the evaluation's were constrained."""

_PREDICTION_KEYS = tuple(item.name for item in fields(Prediction))


def check_folder(folder: Path) -> None:
    """Raises LuthierError when `folder` cannot be made or written to, before hours are spent on what is to go there."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise LuthierError(f"[evaluate] cannot write to {folder}: {place} is no folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise LuthierError(f"[evaluate] cannot write to {folder}: no permission in {place}")


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Writes predictions.jsonl, free_predictions.jsonl where there are such (and else removes one of before), then
    evaluation.json. Raises LuthierError when the folder cannot be written."""
    from luthier.durable import write_text

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PREDICTIONS_FILE, evaluation.predictions_jsonl())
        if evaluation.free is not None:
            write_text(folder / FREE_PREDICTIONS_FILE, evaluation.free.predictions_jsonl())
        else:
            (folder / FREE_PREDICTIONS_FILE).unlink(missing_ok=True)
        text = json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(folder / EVALUATION_FILE, text + "\n")
    except OSError as error:
        raise LuthierError(f"[evaluate] cannot write to {folder}: {error.strerror or error}") from error


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation with its predictions that `write_evaluation` left in a folder. Raises InputError where there is
    none, or where a file is damaged."""
    path = folder / EVALUATION_FILE
    try:
        values = json.loads(_text(path))
        found = [prediction(item) for item in json_lines(folder / PREDICTIONS_FILE)]
        has_free = values.get("free") is not None
        free = [prediction(item) for item in json_lines(folder / FREE_PREDICTIONS_FILE)] if has_free else []
        return Evaluation.from_json(values, found, free)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: not the result of an evaluation by this version ({_short(error)})") from None


def prediction(values: dict[str, Any]) -> Prediction:
    """A prediction from a line of predictions.jsonl. Raises KeyError or TypeError."""
    return Prediction(**{name: values[name] for name in _PREDICTION_KEYS if name != "score" or name in values})


def json_lines(path: Path) -> list[Any]:
    """The values of a file of JSON lines that Luthier wrote. Raises InputError, ValueError."""
    return [json.loads(line) for line in _text(path).split("\n") if line.strip()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; run: luthier evaluate {path.parent} --test FILE") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
