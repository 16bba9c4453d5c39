"""Speed and memory of Luthier beside TRL + PEFT, in fresh, interleaved processes: `make bench`.

python tests/benchmarks/run.py [--rounds 3] [--steps 2] [--only abcdef] [--data DIR] [--quick]

Writes results/<cpu>.md and .json beside this file, with --only results/<cpu>.<only>.md and .json. --quick only shows
that everything runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import decoding
import launch
import report
from decoding import TASKS, Answered
from flops import step_flops
from machine import this_machine
from measurement import WARM_UP, Comparison, Measured, Round, check_same_work, first_losses_agree
from workloads import MAX_LENGTH, WORKLOADS, Workload

HERE = Path(__file__).resolve().parent
MODEL = "smollm2-135m-instruct"
EVERYTHING = "abcdef"
SETTINGS = {"rank": 16, "alpha": 32, "max_length": MAX_LENGTH}


@dataclass(frozen=True)
class Bench:
    """Where the measured processes find what they are given, and what they all share."""

    folder: Path
    settings: dict[str, Any]

    def call(self, script: str, **values: Any) -> dict[str, Any]:
        """Runs a script beside this file in a process of its own; returns the JSON it writes. Exits when it fails."""
        specification, result = self.folder / "specification.json", self.folder / "result.json"
        result.unlink(missing_ok=True)
        specification.write_text(json.dumps({**self.settings, **values, "result": str(result)}), encoding="utf-8")
        log = self.folder / f"{script}.log"
        with log.open("w", encoding="utf-8") as output:
            command = [sys.executable, str(HERE / script), str(specification)]
            status = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, env=self.environment(), check=False
            ).returncode
        if status != 0 or not result.exists():
            sys.exit(f"{script} ended with status {status}:\n" + "\n".join(log.read_text("utf-8").splitlines()[-30:]))
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value

    def environment(self) -> dict[str, str]:
        """The environment of the measured processes."""
        threads = str(self.settings["threads"])
        own = {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.folder / "huggingface"),
            "TOKENIZERS_PARALLELISM": "false",
        }
        return {**os.environ, **own}


def main() -> None:
    """Measures, prints and writes."""
    options = _options()
    chosen = [workload for workload in WORKLOADS if workload.key in options.only]
    tasks = [] if options.data is None or options.quick else [task for task in TASKS if task.key in options.only]
    measure_launch = not options.quick and any(workload.key == "a" for workload in chosen)
    rounds, counted = (1, 1) if options.quick else (options.rounds, options.steps)
    steps = WARM_UP + counted
    size = {workload.key: max(workload.rows_per_step // (4 if options.quick else 1), 1) for workload in chosen}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="luthier-bench-") as temporary:
        settings = {**SETTINGS, "model": options.model, "threads": options.threads}
        bench = Bench(Path(temporary), settings)
        print(f"preparing {options.model} and the rows", flush=True)
        data = str(options.data.resolve()) if options.data is not None else None
        rows = {key: steps * rows_per_step for key, rows_per_step in size.items()}
        prompts = {task.key: [task.folder, task.prompts] for task in tasks}
        prepared = bench.call("prepare.py", folder=temporary, data=data, rows=rows, prompts=prompts)
        measured: dict[str, list[Round]] = {workload.key: [] for workload in chosen}
        answered: dict[str, list[tuple[Answered, Answered]]] = {task.key: [] for task in tasks}
        launched: list[tuple[float, float]] = []
        for number in range(rounds):
            ours_first = number % 2 == 0
            for workload in chosen:
                done = _round(bench, workload, size[workload.key], steps, ours_first)
                _checked(workload, prepared[workload.key], steps, size[workload.key], done)
                measured[workload.key].append(done)
                print(f"round {number + 1} of {rounds}, ({workload.key}): {_line(done)}", flush=True)
            for task in tasks:
                answered[task.key].append(decoding.measure(bench, task, ours_first))
                ratio = decoding.Decoding(task, answered[task.key][-1:]).ratio().median
                print(f"round {number + 1} of {rounds}, ({task.key}): {ratio:.1f}x Transformers", flush=True)
            if measure_launch:
                launched.append(launch.measure(bench, ours_first))
                print(
                    "round {} of {}, launch: {:.1f} s, TRL {:.1f} s".format(number + 1, rounds, *launched[-1]),
                    flush=True,
                )
        config = json.loads((Path(temporary) / "model" / "config.json").read_text(encoding="utf-8"))
    comparisons = [
        _comparison(workload, prepared[workload.key], size[workload.key], steps, measured[workload.key], config)
        for workload in chosen
    ]
    parts = [decoding.Decoding(task, answered[task.key]) for task in tasks]
    more = "".join(map(decoding.table, parts))
    kept: dict[str, Any] = {"decoding": [decoding.record(part) for part in parts]}
    if measure_launch:
        times = launch.Launch(*(list(side) for side in zip(*launched)))
        more += launch.table(times)
        kept["launch"] = launch.record(times)
    machine = this_machine()
    text = report.page(machine, settings, comparisons, more)
    print(f"\n{text}\nmeasured in {(time.monotonic() - begin) / 60:.1f} minutes")
    if options.quick:
        print("nothing is written: --quick only shows that everything runs")
        _check_losses(comparisons)
        return
    name = machine.slug + (
        "" if options.only == EVERYTHING else f".{options.only}"
    )  # a part does not replace the whole
    values = report.record(machine, settings, comparisons, kept)
    for path in report.write(options.out, name, text, values):
        print(f"written: {path}")
    _check_losses(comparisons)


def _options() -> argparse.Namespace:
    shared = HERE.parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=_positive, default=3, help="rounds of every workload (3)")
    parser.add_argument("--steps", type=_positive, default=2, help=f"counted steps of a process, after {WARM_UP} (2)")
    parser.add_argument("--only", default=EVERYTHING, help="the workloads to measure (abcdef)")
    parser.add_argument("--quick", action="store_true", help="one round, one step, a quarter of the rows; not written")
    parser.add_argument("--data", type=Path, default=shared if shared.is_dir() else None, help="folder with the rows")
    parser.add_argument("--model", default=MODEL, help=f"the model both sides train ({MODEL})")
    parser.add_argument("--threads", type=_positive, default=2, help="processor threads of both sides (2)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    options = parser.parse_args()
    if not any(workload.key in options.only for workload in WORKLOADS):
        parser.error("--only names no workload; they are a, b, c and d (e and f, decoding, go with one of them)")
    return options


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def _round(bench: Bench, workload: Workload, rows_per_step: int, steps: int, luthier_first: bool) -> Round:
    """The roof, then both sides, in alternating order from round to round."""
    roof = bench.call("roof.py")
    sides = ("luthier", "trl") if luthier_first else ("trl", "luthier")
    done = {side: _side(bench, side, workload, rows_per_step, steps) for side in sides}
    return Round(roof, **done)


def _side(bench: Bench, side: str, workload: Workload, rows_per_step: int, steps: int) -> Measured:
    with tempfile.TemporaryDirectory(dir=bench.folder) as out:
        begin = time.monotonic()
        result = bench.call(
            f"{side}_worker.py",
            model=str(bench.folder / "model"),
            rows=str(bench.folder / f"{workload.key}.rows.jsonl"),
            tokens=str(bench.folder / f"{workload.key}.tokens.jsonl"),
            out=f"{out}/run",
            steps=steps,
            rows_per_step=rows_per_step,
            method=workload.method,
            learning_rate=workload.learning_rate,
        )
        return Measured(**result, rows_per_step=rows_per_step, wall_seconds=time.monotonic() - begin)


def _checked(workload: Workload, expected: dict[str, Any], steps: int, rows_per_step: int, done: Round) -> None:
    try:
        check_same_work(workload.name, expected, steps, rows_per_step, done)
    except ValueError as error:
        sys.exit(f"not a fair comparison: {error}")


def _check_losses(comparisons: list[Comparison]) -> None:
    """Exits with status 1, after everything is written, where the sides did not begin at the same loss."""
    apart = [item.key for item in comparisons if not all(map(first_losses_agree, item.rounds))]
    if apart:
        sys.exit(f"not a fair comparison: the losses of the first step differ by more than 3 % in {', '.join(apart)}")


def _comparison(
    workload: Workload,
    expected: dict[str, Any],
    rows_per_step: int,
    steps: int,
    rounds: list[Round],
    config: dict[str, Any],
) -> Comparison:
    needed = None
    if workload.folder is None:  # counted only where no row shares its work with another
        counted = slice(WARM_UP * rows_per_step, None)
        needed = step_flops(
            config, expected["tokens"][counted], expected["supervised"][counted], trained=workload.method == "full"
        ) / (steps - WARM_UP)
    return Comparison(
        workload.key,
        workload.name,
        expected["source"],
        expected["shared_prefix"],
        rows_per_step,
        steps,
        rounds,
        needed,
    )


def _line(done: Round) -> str:
    ours, theirs = done.luthier, done.trl
    return (
        f"roof {done.roof['best'] / 1e12:.2f} TFLOP/s; Luthier {ours.tokens_per_second:,.0f} tokens/s, "
        f"{ours.peak_bytes / 1e9:.2f} GB; TRL {theirs.tokens_per_second:,.0f} tokens/s, "
        f"{theirs.peak_bytes / 1e9:.2f} GB; {ours.tokens_per_second / theirs.tokens_per_second:.1f}x"
    )


if __name__ == "__main__":
    main()
