"""What the model of a run has forgotten, from the run's own record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from luthier.forgetting.cache import cached_general
from luthier.forgetting.compare import LIMIT, Forgetting, compare_general
from luthier.forgetting.measure import Keep, keep_records, measure_general

if TYPE_CHECKING:
    from luthier.training.run import Run


def run_forgetting(
    run: Run, keep: Keep | None = None, limit: float = LIMIT, on_progress: Callable[[int, int], None] | None = None
) -> Forgetting:
    """Measures the model of a finished run on general material and compares it with its base model.

    The base model's figures come from the cache folder, or go there. Raises InputError when the run is not finished, or
    its base model is gone and was not measured before.
    """
    from luthier.models import load

    records = keep_records(keep)
    record = run.record
    after_model = run.model()
    dtype = after_model.decoder.dtype
    base = str(record["settings"]["model"])
    hashes = record["sha256"].get("model") or {}
    before = cached_general(hashes, dtype, lambda: load(base, dtype=dtype), records, on_progress)
    return compare_general(before, measure_general(after_model, records, on_progress), limit)
