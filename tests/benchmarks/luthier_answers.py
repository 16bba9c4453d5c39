"""Luthier's side of decoding, in a fresh process.

python luthier_answers.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import luthier as lu
from luthier import _core


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Answers the first `count` prompts, all at once; the time is that of decoding."""
    _core.set_threads(job["threads"])
    model = lu.load(job["model"], dtype=job["dtype"])
    lines = Path(job["prompts"]).read_text(encoding="utf-8").splitlines()[: job["count"]]
    prompts = [json.loads(line) for line in lines]
    begin = time.perf_counter()
    answers = _core.generate(model.decoder, prompts, job["new_tokens"], sorted(model.encoder.end_ids), 0.0, 0)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "answers": answers, "peak_bytes": peak}


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(specification["result"]).write_text(json.dumps(measure(specification)), encoding="utf-8")
