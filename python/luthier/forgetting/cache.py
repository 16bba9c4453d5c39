"""The figures of a base model, kept in the cache folder: they are the same for every run of that model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from luthier import durable
from luthier.errors import InputError
from luthier.forgetting.figures import FORMAT, GeneralFigures
from luthier.forgetting.material import material_sha256
from luthier.forgetting.measure import MAX_NEW_TOKENS, Keep, keep_records, measure_general, records_sha256
from luthier.models.registry import cache_folder

if TYPE_CHECKING:
    from luthier.models.model import Model


def cached_general(
    model_sha256: Mapping[str, str],
    dtype: str,
    load_model: Callable[[], Model],
    keep: Keep | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> GeneralFigures:
    """The figures of a base model from the cache folder; where they are not, of `load_model()`, and kept there.

    `model_sha256` are the hashes of the model's files (in run.json under sha256, model). The key is made of them, the
    dtype, the material and the rows to keep; without hashes nothing is kept. A cache that cannot be read or written is
    passed over. Raises what `measure_general` and `load_model` raise.
    """
    records = keep_records(keep)
    if not model_sha256:
        return measure_general(load_model(), keep if records is None else records, on_progress)
    path = figures_path(model_sha256, dtype, None if records is None else records_sha256(records))
    with suppress(OSError, ValueError, InputError):
        return GeneralFigures.from_json(json.loads(path.read_text(encoding="utf-8")))
    figures = measure_general(load_model(), keep if records is None else records, on_progress)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_json(path, figures.to_json())
    return figures


def figures_path(model_sha256: Mapping[str, str], dtype: str, keep_sha256: str | None) -> Path:
    """Where the cache keeps the figures of a base model; the file may not be there."""
    parts = [FORMAT, sorted(model_sha256.items()), dtype, material_sha256(), keep_sha256, MAX_NEW_TOKENS]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return cache_folder() / "general" / f"{key[:32]}.json"
