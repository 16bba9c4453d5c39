"""Luthier's share of time by operation, in a fresh process: the same specification as luthier_worker.py.

python profile_worker.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from luthier.training.profile import profile_fit
from measurement import WARM_UP


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """The figures of `luthier profile --json` for the counted steps; `shares` are by operation and add up to 1."""
    settings = {
        "train": job["rows"],
        "model": job["model"],
        "adapter": job["method"],
        "order": "file",
        "batch_size": job["rows_per_step"],
        "max_length": job["max_length"],
        "learning_rate": job["learning_rate"],
        "dtype": job["dtype"],
        "threads": job["threads"],
    }
    if job["method"] == "lora":
        settings |= {"rank": job["rank"], "alpha": job["alpha"]}
    return profile_fit(settings, steps=job["steps"] - WARM_UP, warm_up=WARM_UP).to_json()


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
