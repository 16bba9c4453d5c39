"""The results as a page to read and as values to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench import Bench, Part
from machine import Machine
from measurement import WARM_UP
from targets import FULL_ROOF, LEAST_SHARE, summary

_PAGE = """# {cpu}

{state}Luthier beside TRL's SFTTrainer with PEFT. {model}, LoRA rank {rank} on all linear layers, {dtype},
{threads} threads, no gradient checkpointing, constant learning rate 2e-4 (2e-5 in (d)), loss on the answers. Both read
the same model folder and the same rows in the same order; the rest is TRL's own defaults. Fresh processes,
interleaved, {rounds} rounds of {steps} steps each, the first {warm_up} not counted. Medians over the rounds, with the
smallest and the largest in brackets; ratios are taken within a round. Tokens are those of the rows, before any sharing.
Memory is the peak of the whole process.

## What is asked, and what was reached

Speed against other software is asked for at a roof of {full:.0f} TFLOP/s or more, and below in proportion to the run's
median roof ({roof:.2f} TFLOP/s), to no less than {least} of the figure; in fp32, to be faster at all. Memory, the share
of the roof and what Luthier is compared with itself for do not shrink.

{targets}
The roof is the best rate of a 2048 x 2048 x 2048 {dtype} product, measured beside each figure. Its share counts the
operations that a step needs (4 for each non-embedding parameter and token, 6 in (d); causal attention; the head at
supervised tokens).

{sections}
## The machine

- {cpu}, {cores} cores, {memory:.0f} GB; {flags}
- {system}
- {versions}
"""


def page(machine: Machine, bench: Bench, run: dict[str, Any], parts: Sequence[Part], failures: dict[str, str]) -> str:
    """The results in Markdown. `run` has rounds and steps; `failures` says for a part why there is no more of it."""
    measured = [part for part in parts if part.measured]
    missing = [part.name for part in parts if not part.measured and part.name not in failures]
    roof, asking = bench.median_roof, bench.asking_roof
    sections = [part.section(asking) for part in measured]
    sections += [f"## {name}: failed\n\n```\n{message}\n```\n" for name, message in failures.items()]
    return _PAGE.format(
        state=f"**Unfinished; not measured yet: {', '.join(missing)}.**\n\n" if missing else "",
        cpu=machine.cpu,
        cores=machine.cores,
        memory=machine.memory_bytes / 1e9,
        flags=" ".join(machine.telling_flags) or "no vector instructions that matter",
        system=machine.system,
        versions=", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        rank=bench.settings["rank"],
        threads=bench.settings["threads"],
        dtype={"bfloat16": "bf16", "float32": "fp32"}[bench.settings["dtype"]],
        warm_up=WARM_UP,
        full=FULL_ROOF / 1e12,
        least=LEAST_SHARE,
        roof=roof / 1e12,
        targets=summary([finding for part in measured for finding in part.findings()], asking),
        sections="\n".join(sections),
        **run,
    )


def record(
    machine: Machine, bench: Bench, run: dict[str, Any], parts: Sequence[Part], failures: dict[str, str]
) -> dict[str, Any]:
    """Everything that was measured, and what follows for the targets."""
    asking = bench.asking_roof
    measured = [part for part in parts if part.measured]
    findings = [finding for part in measured for finding in part.findings()]
    return {
        "machine": asdict(machine),
        "settings": bench.settings | run,
        "roofs": bench.roofs,
        "median_roof": bench.median_roof,
        "targets": {
            finding.key: {
                "figure": finding.target.figure,
                "asked": finding.target.asked(asking),
                "measured": finding.value,
                "reached": finding.target.reached(finding.value, asking),
            }
            for finding in findings
        },
        "parts": {part.name: part.record() for part in measured},
        "failures": failures,
    }
