"""Luthier's side, in a fresh process: `luthier.fit` as its users call it, and what it logged of its steps.

python luthier_worker.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import luthier as lu


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the steps; per step seconds, tokens, computed tokens and loss, per row the tokens it was trained on."""
    run = lu.fit(
        job["rows"],
        model=job["model"],
        adapter=lu.Lora(rank=job["rank"], alpha=job["alpha"]) if job["method"] == "lora" else "full",
        out=job["out"],
        quiet=True,
        order="file",
        steps=job["steps"],
        batch_size=job["rows_per_step"],
        max_length=job["max_length"],
        learning_rate=job["learning_rate"],
        schedule="constant",
        warmup=0.0,
        dtype=job["dtype"],
        threads=job["threads"],
    )
    metrics = run.metrics
    return {
        "seconds": [line["seconds"] for line in metrics],
        "tokens": [line["tokens"] for line in metrics],
        "computed_tokens": [line["computed_tokens"] for line in metrics],
        "losses": [line["loss"] for line in metrics],
        "row_tokens": [line["tokens"] for line in run.ledger],
        "row_supervised": [line["supervised_tokens"] for line in run.ledger],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
