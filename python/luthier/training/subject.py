"""A finished run as what `luthier.delivery` exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.training.result import ADAPTER, result_folder
from luthier.training.run_record import reading_options

if TYPE_CHECKING:
    from luthier.delivery import Subject

_ROWS = (("validation", "valid"), ("training", "train"))


def subject_of(folder: Path, record: dict[str, Any]) -> Subject:
    """The result of the run in `folder`, whose run.json holds `record`. Raises InputError where it has none yet."""
    from luthier.delivery import Subject

    settings, hashes = record["settings"], record.get("sha256", {})
    result = result_folder(folder, record)
    is_adapter = result.name == ADAPTER
    return Subject(
        name=str(folder),
        base=str(settings["model"]),
        result=result,
        is_adapter=is_adapter,
        # A run of all weights records those of its result under this name.
        base_sha256=dict(hashes.get("model") or {}) if is_adapter else {},
        result_sha256=dict(hashes.get(result.name) or {}),
        rows=tuple((kind, Path(settings[key])) for kind, key in _ROWS if settings.get(key) is not None),
        reading=reading_options(settings) | {"skip_bad": bool(settings.get("skip_bad"))},
        added_tokens=len(settings.get("add_token") or ()),
    )
