"""The verdict in evaluation.json, and the files beside it that evidence is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luthier.errors import InputError, LuthierError
from luthier.evaluation.files import EVALUATION_FILE
from luthier.verdict.result import Verdict
from luthier.verdict.thresholds import Thresholds, thresholds_of

CHECK_FILE = "check.json"
FORGETTING_FILE = "forgetting.json"


def write_verdict(verdict: Verdict, folder: Path) -> None:
    """Adds the verdict to the evaluation.json of a folder. Raises InputError where there is none, LuthierError where it
    cannot be written."""
    write_values(folder / EVALUATION_FILE, read_values(folder / EVALUATION_FILE, "evaluation") | verdict.to_json())


def stored_thresholds(folder: Path) -> Thresholds:
    """The thresholds of the verdict in a folder's evaluation.json; the defaults where there is none. Raises
    InputError."""
    path = folder / EVALUATION_FILE
    values = read_values(path, "evaluation").get("thresholds")
    return Thresholds() if values is None else thresholds_of(_object(values, path), str(path))


def read_values(path: Path, what: str) -> dict[str, Any]:
    """The object in a JSON file that Luthier wrote. Raises InputError where there is none."""
    try:
        return _object(json.loads(path.read_text(encoding="utf-8")), path)
    except FileNotFoundError:
        todo = f"luthier evaluate {path.parent} --test FILE"
        raise InputError(f"{path}: there is no {what} yet; run: {todo}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); evaluate the run again") from None


def optional_values(path: Path) -> dict[str, Any] | None:
    """The same, or None where there is no such file. Raises InputError for a damaged one."""
    return read_values(path, path.stem) if path.exists() else None


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a JSON file in one step. Raises LuthierError."""
    from luthier.durable import write_json

    try:
        write_json(path, dict(values))
    except OSError as error:
        raise LuthierError(f"{path}: cannot be written: {error.strerror or error}") from error


def _object(values: Any, path: Path) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no JSON object; evaluate the run again")
    return values
