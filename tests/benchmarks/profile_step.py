"""Where a step of Luthier spends its time: samples of perf on a running fit, by operation.

python tests/benchmarks/profile_step.py [--only abc] [--steps 3] [--data DIR] [--symbols 20]

Needs Linux's perf (Debian: apt-get install linux-perf) and the right to sample one's own processes. The share is of the
processor time of all threads; time that a thread waits for the other one is shown as such. The matrix products are the
kernels that oneDNN generates, which do not say who called them: the tiles of attention and of the head are among them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from measurement import WARM_UP
from workloads import MAX_LENGTH, WORKLOADS, Workload, build_rows

MODEL = "smollm2-135m-instruct"
_SAMPLES_PER_SECOND = 499
_ATTACH_SECONDS = 1.0
_PERFMAP = "2"  # oneDNN writes /tmp/perf-PID.map, so that the kernels it generates have names

# The first that matches "object symbol" names the operation.
_OPERATIONS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("waiting for the other thread", r"libgomp|libomp"),
        ("matrix products: packing operands", r"jit_.*copy|jit_.*reorder|jit_uni_|jit_.*trans"),
        ("matrix products", r"\[JIT\]|jit_|dnnl|[Bb]rgemm|mkl|gemm"),
        ("head: log-probabilities", r"token_logprob|logits_tile|backward_part|forward_block"),
        ("gated activation", r"Activation\)|gated"),
        ("norms", r"rms_norm"),
        ("rotary positions", r"rope"),
        ("optimiser", r"adamw|squared_norm"),
        ("embedding", r"embedding"),
        ("attention, without its products", r"ttention|share_units|ScoreTile|transpose|pair_rows|_columns<|softmax"),
        ("adapters, without their products", r"few_rows|Product::|add_tile|luthier::.*([Ll]inear|lora)"),
        ("packing for the head and the adapters", r"pack_rows"),
        ("batch and the rest of the core", r"luthier::"),
        ("copies and allocation", r"mem(move|cpy|set)|malloc|free|operator (new|delete)|page|clear_"),
        ("other ATen code", r"libtorch|libc10|at::|c10::"),
        ("kernel", r"\[k|kernel"),
        ("Python", r"python"),
    )
)


def main() -> None:
    """Profiles the chosen workloads and prints a table for each."""
    options = _options()
    if shutil.which("perf") is None:
        sys.exit("perf is not installed; on Debian: apt-get install linux-perf")
    os.environ["ONEDNN_JIT_PROFILE"] = _PERFMAP  # read when torch is loaded
    try:
        for workload in WORKLOADS:
            if workload.key in options.only:
                symbols, seconds = profile(workload, options)
                _print(workload, symbols, seconds, options)
    finally:
        Path(f"/tmp/perf-{os.getpid()}.map").unlink(missing_ok=True)


def profile(workload: Workload, options: argparse.Namespace) -> tuple[Counter[str], list[float]]:
    """Samples by "object symbol" over the steps after the warm-up, and the seconds of these steps."""
    import luthier as lu
    from luthier import _core
    from luthier.models.conversations import training_records
    from luthier.training.fit_data import encode_records

    _core.set_threads(options.threads)
    model = lu.load(options.model, dtype="bfloat16")

    def length(row: dict[str, Any]) -> int:
        return len(model.encoder.encode_row(training_records([row["messages"]])[0]).tokens)

    count = workload.rows_per_step * (WARM_UP + options.steps)
    rows, _ = build_rows(workload, options.data, count, length)
    dataset = encode_records(training_records([row["messages"] for row in rows]), model.tokenizer, MAX_LENGTH).dataset
    model.decoder.attach_lora(16, 32.0, ["all-linear"], False, 0)
    trainer = _core.Trainer(model.decoder, "lora", 4096, 1.0, 0.0)
    sampler = _core.Sampler(len(dataset), workload.rows_per_step, 0, False)

    def step() -> float:
        begin = time.perf_counter()
        trainer.step(dataset, sampler.next(), 2e-4)
        return time.perf_counter() - begin

    for _ in range(WARM_UP):
        step()
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "perf.data"
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_SAMPLES_PER_SECOND), "-o", str(samples)]
        recorder = subprocess.Popen([*command, "-p", str(os.getpid())])
        try:
            time.sleep(_ATTACH_SECONDS)
            seconds = [step() for _ in range(options.steps)]
        finally:
            recorder.send_signal(signal.SIGINT)
            recorder.wait()
        return _symbols(samples), seconds


def _symbols(samples: Path) -> Counter[str]:
    script = ["perf", "script", "-i", str(samples), "-F", "ip,sym,dso"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        if match := re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)\s*$", line):
            counts[f"{_object(match[2])} {match[1]}"] += 1
    return counts


def _object(path: str) -> str:
    return "[JIT]" if re.search(r"perf-\d+\.map", path) else path.rpartition("/")[2]


def operation(symbol: str) -> str:
    """The operation that "object symbol" belongs to."""
    return next((name for name, pattern in _OPERATIONS if pattern.search(symbol)), "other")


def _print(workload: Workload, symbols: Counter[str], seconds: list[float], options: argparse.Namespace) -> None:
    total = symbols.total()
    by_operation: Counter[str] = Counter()
    for symbol, samples in symbols.items():
        by_operation[operation(symbol)] += samples
    print(f"\n## ({workload.key}) {workload.name}\n")
    print(f"{sum(seconds) / len(seconds):.3f} s a step of {workload.rows_per_step} rows; {total:,} samples\n")
    print("| operation | share of the processor time |\n|---|---|")
    for name, samples in by_operation.most_common():
        print(f"| {name} | {samples / max(total, 1):.1%} |")
    if options.symbols:
        print("\n| symbol | operation | share |\n|---|---|---|")
        for symbol, samples in symbols.most_common(options.symbols):
            print(f"| `{symbol[:140]}` | {operation(symbol)} | {samples / max(total, 1):.1%} |")
    if options.json is not None:
        with options.json.open("a", encoding="utf-8") as stream:
            shares = {name: samples / max(total, 1) for name, samples in by_operation.most_common()}
            stream.write(json.dumps({"workload": workload.key, "seconds": seconds, "shares": shares}) + "\n")


def _options() -> argparse.Namespace:
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="abc", help="the workloads (abc)")
    parser.add_argument("--steps", type=int, default=3, help="profiled steps, after the warm-up (3)")
    parser.add_argument("--symbols", type=int, default=0, help="also print the functions with the most samples")
    parser.add_argument("--data", type=Path, default=shared if shared.is_dir() else None, help="folder with the rows")
    parser.add_argument("--model", default=MODEL, help=f"the model ({MODEL})")
    parser.add_argument("--threads", type=int, default=2, help="processor threads (2)")
    parser.add_argument("--json", type=Path, default=None, help="file to which a line for each workload is added")
    return parser.parse_args()


if __name__ == "__main__":
    main()
