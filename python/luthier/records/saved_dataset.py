"""A folder that Hugging Face datasets wrote with `save_to_disk`: its files of rows, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from luthier.errors import InputError

__all__ = ["saved_files"]


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files of a saved dataset.

    Raises InputError for a folder that is none, naming the splits to choose from where it holds several.
    """
    splits = folder / "dataset_dict.json"
    if splits.exists():
        listed = _object(splits).get("splits")
        inside = [str(name) for name in listed] if isinstance(listed, list) else []
        shown = ", ".join(str(folder / name) for name in inside) or "none"
        raise InputError(f"{folder}: holds several splits; name one of them by its path: {shown}")
    state_file = folder / "state.json"
    if not state_file.exists():
        inside = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))[:8]
        example = next((name for name in inside if name.endswith((".jsonl", ".parquet", ".csv"))), "train.jsonl")
        raise InputError(
            f"{folder}: is a folder, and none that datasets' save_to_disk wrote (state.json is missing); "
            f"name a file of rows, such as {folder / example}"
        )
    listed = _object(state_file).get("_data_files")
    entries = listed if isinstance(listed, list) else [None]
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise InputError(f"{state_file}: does not list the files of the rows (_data_files)")
    files = [folder / str(name) for name in names]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise InputError(f"{missing}: the file is missing, though {state_file.name} lists it; save the dataset anew")
    return files


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object")
    return value
