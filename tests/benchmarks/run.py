"""Speed and memory of Luthier beside TRL + PEFT and others, in fresh, interleaved processes: `make bench`.

python tests/benchmarks/run.py [--rounds 3] [--steps 4] [--only a,b,growth] [--dtype float32] [--quick]

a, b, c, d   training beside TRL + PEFT; (a) also beside a compiled loop (workloads.py, training.py)
e, f         greedy decoding beside Transformers (decoding.py)
launch       a whole command of one step (launch.py)
profile      where our time goes, by operation (shares.py)
plan         what a plan foretells beside the fit (plans.py)
ranks        two processes beside one (ranks.py)
models, tokens, length, rows   how speed and memory grow (growth.py); `growth` is all four

Writes results/<cpu>.md and .json beside this file, with --only results/<cpu>.<parts>.*. Until all is measured the name
has `.unfinished`, and holds what there is. Both sides compute in bf16 where the processor has instructions for it, else
in fp32: without them torch's bf16 products take minutes. --quick only shows that everything runs, and writes only where
--out says.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import report
from bench import HERE, Bench, Failed, Part
from decoding import TASKS, Decoding, Task
from growth import FULL, QUICK, growth_parts
from launch import Launch
from machine import this_machine
from measurement import WARM_UP
from plans import Plans
from ranks import Ranks
from results import Results
from shares import Shares
from training import Training
from workloads import MAX_LENGTH, WORKLOADS

MODEL = "smollm2-135m-instruct"
SETTINGS = {"rank": 16, "alpha": 32, "max_length": MAX_LENGTH}
GROWTH = ("models", "tokens", "length", "rows")
EVERYTHING = ("a", "b", "c", "d", "e", "f", "launch", "profile", "plan", "ranks", *GROWTH)
_COMPILING = 11.0


def main() -> None:
    """Measures, prints and writes; ends with status 1 when a part failed or was not fair."""
    options = _options()
    trainings = _trainings(options)
    parts = _parts(options, trainings)
    if not parts:
        sys.exit("nothing to measure: e and f need --data, a folder with the prompts")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended too
    begin = time.monotonic()
    machine = this_machine()
    run = {"rounds": options.rounds, "steps": WARM_UP + options.steps, "model": options.model}
    results = None if options.out is None else Results(options.out, ".".join([machine.slug, *_suffixes(options)]))
    print(_announcement(machine.cpu, options, parts), flush=True)
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="luthier-bench-") as temporary:
        bench = Bench(Path(temporary), {**SETTINGS, "threads": options.threads, "dtype": options.dtype})

        def save() -> str:
            text = report.page(machine, bench, run, parts, failures)
            if results is not None:
                results.save(text, report.record(machine, bench, run, parts, failures))
            return text

        try:
            _prepare(bench, options, trainings, parts)
            for number in range(options.rounds):
                for part in parts:
                    if part.repeated and part.name not in failures:
                        _measure(part, bench, number, f"round {number + 1} of {options.rounds}, ", failures, save)
            for part in parts:
                if not part.repeated:
                    _measure(part, bench, 0, "", failures, save)
            text = save()
        except Failed as error:
            sys.exit(f"nothing was measured: {error}")
        except KeyboardInterrupt:
            print("\nstopped" + ("" if results is None else f"; what there is: {results.unfinished}"), file=sys.stderr)
            sys.exit(130)
    print(f"\n{text}\nmeasured in {(time.monotonic() - begin) / 60:.1f} minutes")
    for path in results.finish() if results is not None else ():
        print(f"written: {path}")
    problems = [f"({item.name}) {problem}" for item in trainings.values() for problem in item.problems]
    for problem in problems + [f"{name}: {message}" for name, message in failures.items()]:
        print(f"failed: {problem}", file=sys.stderr)
    sys.exit(1 if problems or failures else 0)


def _measure(
    part: Part, bench: Bench, number: int, when: str, failures: dict[str, str], save: Callable[[], object]
) -> None:
    label = f"({part.name})" if len(part.name) == 1 else part.name
    begin = time.monotonic()
    try:
        for line in part.measure(bench, number):
            print(f"{when}{label}: {line} [{time.monotonic() - begin:.0f} s]", flush=True)
            save()
    except Failed as error:
        failures[part.name] = str(error)
        print(f"{when}{label} failed: {error}", file=sys.stderr, flush=True)
        save()


def _options() -> argparse.Namespace:
    shared = HERE.parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="\n".join((__doc__ or "").splitlines()[4:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=_positive, default=None, help="rounds of what is measured in rounds (3)")
    parser.add_argument(
        "--steps", type=_positive, default=None, help=f"counted steps of a process, after {WARM_UP} (4)"
    )
    parser.add_argument("--compiled-rounds", type=int, default=None, help="rounds with the compiled loop in (a) (1)")
    parser.add_argument("--only", type=_part_names, default=EVERYTHING, help="parts to measure, with commas between")
    parser.add_argument("--quick", action="store_true", help="everything in its smallest size")
    parser.add_argument("--data", type=Path, default=shared if shared.is_dir() else None, help="folder with the rows")
    parser.add_argument("--model", default=MODEL, help=f"the model both sides train ({MODEL})")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default=None, help="what both sides compute in")
    parser.add_argument("--threads", type=_positive, default=2, help="processor threads of both sides (2)")
    parser.add_argument("--out", type=Path, default=None, help="folder of the results (results, beside this file)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.steps = options.steps or (1 if options.quick else 4)
    options.dtype = options.dtype or ("bfloat16" if this_machine().has_bfloat16 else "float32")
    if options.compiled_rounds is None:
        options.compiled_rounds = 0 if options.quick else 1
    if options.out is None and not options.quick:
        options.out = HERE / "results"
    return options


def _part_names(text: str) -> tuple[str, ...]:
    names = [name for word in text.split(",") for name in (GROWTH if word == "growth" else (word,))]
    if unknown := [name for name in names if name not in EVERYTHING]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: the parts are {', '.join(EVERYTHING)} and growth")
    return tuple(name for name in EVERYTHING if name in names)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def _suffixes(options: argparse.Namespace) -> list[str]:
    """What keeps another file's name apart from the whole run's: its parts, and its model."""
    parts = [] if options.only == EVERYTHING else ["-".join(options.only)]
    parts += [] if options.model == MODEL else [Path(options.model).name]
    return parts + (["fp32"] if options.dtype == "float32" else []) + (["quick"] if options.quick else [])


def _trainings(options: argparse.Namespace) -> dict[str, Training]:
    """All workloads, whether they are measured beside TRL or only used by other parts."""
    compiled = range(options.rounds - options.compiled_rounds, options.rounds)
    return {
        workload.key: Training(
            workload,
            max(workload.rows_per_step // (4 if options.quick else 1), 1),
            WARM_UP + options.steps,
            compiled if workload.key == "a" else range(0),
        )
        for workload in WORKLOADS
    }


def _parts(options: argparse.Namespace, trainings: dict[str, Training]) -> list[Part]:
    tasks: tuple[Task, ...] = TASKS if options.data is not None else ()
    if options.quick:
        tasks = tuple(replace(task, prompts=4, peer_prompts=2, new_tokens=8) for task in tasks)
    everything: list[Part] = [
        *trainings.values(),
        *map(Decoding, tasks),
        Launch(trainings["a"].rows_per_step),
        Shares(list(trainings.values())),
        Plans([trainings[key] for key in "abc"]),
        Ranks(trainings["a"], rounds=1 if options.quick else 2),
        *growth_parts(QUICK if options.quick else FULL),
    ]
    return [part for part in everything if part.name in options.only]


def _prepare(bench: Bench, options: argparse.Namespace, trainings: dict[str, Training], parts: list[Part]) -> None:
    """Writes the model and the rows, and measures the first roof."""
    print(f"preparing {options.model} and the rows", flush=True)
    tasks = [part.task for part in parts if isinstance(part, Decoding)]
    bench.prepared = bench.call(
        "prepare.py",
        model=options.model,
        folder=str(bench.folder),
        data=str(options.data.resolve()) if options.data is not None else None,
        rows={key: item.steps * item.rows_per_step for key, item in trainings.items()},
        prompts={task.key: [task.folder, task.prompts] for task in tasks},
    )
    bench.roof()


def _announcement(cpu: str, options: argparse.Namespace, parts: list[Part]) -> str:
    """What is measured, and about how long it takes."""
    lines, minutes = [f"{cpu}: about these minutes on two quiet cores"], 0.0
    for part in parts:
        times = options.rounds if part.repeated else 1
        lines.append(f"  {part.name:<8} {times} x {part.minutes:.1f}")
        minutes += times * part.minutes
    if options.compiled_rounds and any(part.name == "a" for part in parts):
        lines.append(f"  compiled {options.compiled_rounds} x {_COMPILING:.1f}, beside (a)")
        minutes += options.compiled_rounds * _COMPILING
    if options.quick:
        return lines[0].partition(":")[0] + ": everything in its smallest size"
    return "\n".join([*lines, f"  together {minutes:.0f}; what is there is kept from line to line"])


if __name__ == "__main__":
    main()
