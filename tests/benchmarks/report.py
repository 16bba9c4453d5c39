"""The comparison as a page to read and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import Machine
from measurement import WARM_UP, Comparison

_PAGE = """# {cpu}

Luthier beside TRL's SFTTrainer with PEFT. {model}, LoRA rank {rank} on all linear layers, bf16, {threads} threads, no
gradient checkpointing, constant learning rate 2e-4 (2e-5 in (d)), loss on the answers. Both read the same model folder
and the same rows in the same order; the rest is TRL's own defaults. Fresh processes, interleaved, {rounds} rounds of
{steps} steps each, the first {warm_up} not counted. Medians over the rounds, with the smallest and the largest in
brackets; ratios are taken within a round. Tokens are those of the rows, before any sharing. Memory is the peak of the
whole process.

{tables}
The roof is the best rate of a 2048 x 2048 x 2048 bf16 product in the same round. Its share counts the operations that
a step needs (4 for each non-embedding parameter and token, 6 in (d); causal attention; the head at supervised tokens).

## Losses, step by step (first round)

{losses}
## The machine

- {cpu}, {cores} cores, {memory:.0f} GB; {flags}; torch uses {capability}
- {system}
- {versions}
"""


def page(machine: Machine, settings: dict[str, Any], comparisons: Sequence[Comparison], more: str) -> str:
    """The results in Markdown; `more` stands behind the tables of the workloads."""
    return _PAGE.format(
        cpu=machine.cpu,
        cores=machine.cores,
        memory=machine.memory_bytes / 1e9,
        flags=" ".join(machine.telling_flags) or "no vector instructions that matter",
        capability=comparisons[0].rounds[0].roof["capability"],
        system=machine.system,
        versions=", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        model=settings["model"],
        rank=settings["rank"],
        threads=settings["threads"],
        rounds=len(comparisons[0].rounds),
        steps=comparisons[0].steps,
        warm_up=WARM_UP,
        tables="".join(_table(comparison) for comparison in comparisons) + more,
        losses="".join(_losses(comparison) for comparison in comparisons),
    )


def record(machine: Machine, settings: dict[str, Any], comparisons: Sequence[Comparison], more: dict[str, Any]) -> str:
    """Everything that was measured, and the figures that follow, as JSON."""
    value = {
        "machine": asdict(machine),
        "settings": settings,
        "warm_up_steps": WARM_UP,
        **more,
        "workloads": [asdict(comparison) | {"summary": _summary(comparison)} for comparison in comparisons],
    }
    return json.dumps(value, indent=1) + "\n"


def write(folder: Path, name: str, text: str, values: str) -> list[Path]:
    """Writes <name>.md and <name>.json; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.md", folder / f"{name}.json"]
    for path, content in zip(paths, (text, values)):
        path.write_text(content, encoding="utf-8")
    return paths


_FIGURES = (
    ("rows/s", "rows_per_second", 1, 2),
    ("tokens/s", "tokens_per_second", 1, 0),
    ("peak GB", "peak_bytes", 1e9, 2),
)


def _table(comparison: Comparison) -> str:
    lines = [
        f"## ({comparison.key}) {comparison.name}\n",
        f"{comparison.rows_per_step} rows a step from {comparison.source}; all rows begin with the same "
        f"{comparison.shared_prefix} tokens. {_tokens(comparison)}\n",
        "| | Luthier | TRL + PEFT | ratio |",
        "|---|---|---|---|",
    ]
    for label, figure, scale, digits in _FIGURES:
        cells = [comparison.spread(side, figure).text(scale, digits) for side in ("luthier", "trl")]
        lines.append(f"| {label} | {cells[0]} | {cells[1]} | {comparison.ratio(figure).text(digits=2, unit='x')} |")
    shares = [comparison.roof_share(side) for side in ("luthier", "trl")]
    if shares[0] is not None and shares[1] is not None:
        cells = [share.text(0.01, 1, " %") for share in shares if share is not None]
        lines.append(f"| share of the roof | {cells[0]} | {cells[1]} | |")
    roof = comparison.roof().text(1e12, 2, " TFLOP/s")
    return "\n".join(lines) + f"\n\nRoof: {roof}; by round {_by_round(comparison)}.\n\n"


def _by_round(comparison: Comparison) -> str:
    return ", ".join(f"{item.roof['best'] / 1e12:.2f}" for item in comparison.rounds)


def _tokens(comparison: Comparison) -> str:
    measured = comparison.rounds[0].luthier
    tokens, rows = sum(measured.row_tokens), len(measured.row_tokens)
    computed = sum(measured.computed_tokens or measured.tokens) / sum(measured.tokens)
    supervised = sum(measured.row_supervised) / rows
    return (
        f"A row has {tokens / rows:.0f} tokens on average, {supervised:.0f} of them supervised; "
        f"Luthier computes {computed:.0%} of the tokens."
    )


def _losses(comparison: Comparison) -> str:
    first = comparison.rounds[0]
    numbers = " | ".join(str(step + 1) for step in range(comparison.steps))
    lines = [f"| ({comparison.key}) step | {numbers} |", "|---" * (comparison.steps + 1) + "|"]
    for label, measured in (("Luthier", first.luthier), ("TRL + PEFT", first.trl)):
        lines.append(f"| {label} | " + " | ".join(f"{loss:.4f}" for loss in measured.losses) + " |")
    return "\n".join(lines) + "\n\n"


def _summary(comparison: Comparison) -> dict[str, Any]:
    figures: dict[str, Any] = {"roof": asdict(comparison.roof())}
    for _, figure, _, _ in _FIGURES:
        figures[figure] = {side: asdict(comparison.spread(side, figure)) for side in ("luthier", "trl")}
        figures[figure]["ratio"] = asdict(comparison.ratio(figure))
    if (share := comparison.roof_share("luthier")) is not None:
        figures["roof_share"] = asdict(share)
    return figures
