"""baselines.json and baseline_predictions.jsonl in the folder of a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from luthier.baselines.result import Baselines
from luthier.errors import InputError, LuthierError
from luthier.evaluation import Prediction
from luthier.evaluation.files import json_lines, prediction

BASELINES_FILE = "baselines.json"
PREDICTIONS_FILE = "baseline_predictions.jsonl"


def write_baselines(found: Baselines, folder: Path) -> None:
    """Writes baseline_predictions.jsonl, then baselines.json. Raises LuthierError when the folder cannot be written."""
    from luthier.durable import write_json, write_text

    lines = [
        json.dumps({"baseline": result.name, **asdict(one)}, ensure_ascii=False) + "\n"
        for result in found.results
        for one in result.evaluation.predictions
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PREDICTIONS_FILE, "".join(lines))
        write_json(folder / BASELINES_FILE, found.to_json())
    except OSError as error:
        raise LuthierError(f"[baseline] cannot write to {folder}: {error.strerror or error}") from error


def read_baselines(folder: Path) -> Baselines:
    """What `write_baselines` left in a folder, with the baselines' predictions. Raises InputError where there is none,
    or where a file is damaged."""
    path = folder / BASELINES_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        predictions: dict[str, list[Prediction]] = {}
        for line in json_lines(folder / PREDICTIONS_FILE):
            predictions.setdefault(line["baseline"], []).append(prediction(line))
        return Baselines.from_json(values, predictions)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(
            f"{path}: not the baselines of this version ({type(error).__name__}: {error}); run luthier baseline again"
        ) from None
