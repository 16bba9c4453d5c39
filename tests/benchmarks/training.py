"""Training beside TRL + PEFT, and beside a compiled loop: one workload over the rounds."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench import Bench, Failed
from flops import step_flops
from measurement import SIDES, WARM_UP, Comparison, Measured, Round, check_same_work, first_losses_agree
from targets import Finding, cells
from workloads import Workload

COMPILE_LIMIT = 25 * 60.0
_FIGURES = (
    ("rows/s", "rows_per_second", 1, 2),
    ("tokens/s", "tokens_per_second", 1, 0),
    ("peak GB", "peak_bytes", 1e9, 2),
)


class Training:
    """A part of the bench (see bench.Part): `workload` with `steps` steps of `rows_per_step` rows.

    The rounds numbered in `compiled` have the compiled loop too.
    """

    repeated = True

    def __init__(self, workload: Workload, rows_per_step: int, steps: int, compiled: range = range(0)) -> None:
        """Nothing is measured yet."""
        self.name = workload.key
        self.minutes = 1.8
        self.workload = workload
        self.rows_per_step = rows_per_step
        self.steps = steps
        self.compiled = compiled
        self.comparison = Comparison([], None)
        self.problems: list[str] = []
        self._source: dict[str, Any] = {}

    @property
    def measured(self) -> bool:
        """Whether there is a round."""
        return bool(self.comparison.rounds)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """The roof and the sides. The compiled loop comes first: its steps are the end of a process of minutes, and
        roof, Luthier and TRL follow at once. Elsewhere Luthier and TRL take turns to be first.
        """
        self._source = bench.prepared[self.workload.key]
        self.comparison = Comparison(self.comparison.rounds, self._step_flops(bench))
        sides: dict[str, Measured] = {}
        if number in self.compiled:
            try:
                sides["compiled"] = self._side(bench, "compiled", COMPILE_LIMIT)
            except Failed as error:
                self.problems.append(f"The compiled loop: {error}")
        roof = bench.roof()
        for side in ("luthier", "trl") if number in self.compiled or number % 2 == 0 else ("trl", "luthier"):
            sides[side] = self._side(bench, side)
        done = Round(roof, {side: sides[side] for side in SIDES if side in sides})
        if not first_losses_agree(done.sides):
            self.problems.append(f"Not a fair comparison: the first losses of round {number + 1} differ by over 3 %")
        self.comparison.rounds.append(done)
        yield self._line(done)

    def _side(self, bench: Bench, side: str, limit: float | None = None) -> Measured:
        with tempfile.TemporaryDirectory(dir=bench.folder) as out:
            begin = time.monotonic()
            result = bench.call(f"{side}_worker.py", limit, **job(bench, self, f"{out}/run"))
            seconds = time.monotonic() - begin
        measured = Measured(**result, rows_per_step=self.rows_per_step, wall_seconds=seconds)
        try:
            check_same_work(side, self._source, self.steps, self.rows_per_step, measured)
        except ValueError as error:
            raise Failed(f"not a fair comparison: {error}") from None
        return measured

    def _step_flops(self, bench: Bench) -> float | None:
        """Counted only where no row shares its work with another."""
        if self.workload.folder is not None:
            return None
        config = json.loads((bench.folder / "model" / "config.json").read_text(encoding="utf-8"))
        counted = slice(WARM_UP * self.rows_per_step, None)
        tokens, supervised = self._source["tokens"][counted], self._source["supervised"][counted]
        return step_flops(config, tokens, supervised, self.workload.method == "full") / (self.steps - WARM_UP)

    def _line(self, done: Round) -> str:
        found = [
            f"{SIDES[side]} {measured.tokens_per_second:,.0f} tokens/s, {measured.peak_bytes / 1e9:.2f} GB"
            for side, measured in done.sides.items()
        ]
        ratio = done.sides["luthier"].tokens_per_second / done.sides["trl"].tokens_per_second
        return f"roof {done.roof['best'] / 1e12:.2f} TFLOP/s; {'; '.join(found)}; {ratio:.1f}x TRL"

    def findings(self) -> list[Finding]:
        """Speed, memory and share of the roof."""
        key, comparison = self.workload.key, self.comparison
        speed = "rows_per_second" if key in "bc" else "tokens_per_second"
        found = [Finding(f"{key}.{speed}", comparison.ratio("trl", speed).median)]
        if self._with("compiled"):
            ratio = comparison.beside("compiled").ratio("compiled", "tokens_per_second")
            found.append(Finding(f"{key}.compiled", ratio.median))
        if key in "abc":
            found.append(Finding(f"{key}.peak_bytes", comparison.ratio("trl", "peak_bytes").median))
        if key == "a" and (share := comparison.roof_share("luthier")) is not None:
            found.append(Finding("a.roof_share", share.median))
        return found

    def _with(self, side: str) -> bool:
        return any(side in item.sides for item in self.comparison.rounds)

    def section(self, roof: float | None) -> str:
        """Tables against each side, and the losses."""
        source = self._source
        parts = [
            f"## ({self.workload.key}) {self.workload.name}\n\n{self.rows_per_step} rows a step from "
            f"{source['source']}; all rows begin with the same {source['shared_prefix']} tokens. {self._tokens()}\n",
            self._table("trl", roof),
        ]
        if self._with("compiled"):
            compiled = self.comparison.beside("compiled")
            seconds = [item.sides["compiled"].compile_seconds or 0.0 for item in compiled.rounds]
            parts.append(
                "Against the compiled loop, in the rounds that it took part in; it compiled for "
                f"{', '.join(f'{value:,.0f}' for value in seconds)} s before its first step, and its peak includes "
                f"that:\n\n{self._table('compiled', roof)}"
            )
        by_round = ", ".join(f"{item.roof['best'] / 1e12:.2f}" for item in self.comparison.rounds)
        parts.append(f"Roof: {self.comparison.roof().text(1e12, 2, ' TFLOP/s')}; by round {by_round}.\n")
        parts += [f"{problem}\n" for problem in self.problems]
        return "\n".join(parts) + f"\nLosses, step by step:\n\n{self._losses()}\n"

    def _table(self, side: str, roof: float | None) -> str:
        key, found, compared = self.workload.key, self.findings(), self.comparison.beside(side)
        lines = [f"| | Luthier | {SIDES[side]} | ratio | asked | reached |", "|---|---|---|---|---|---|"]
        for label, figure, scale, digits in _FIGURES:
            values = [compared.spread(each, figure).text(scale, digits) for each in ("luthier", side)]
            target = f"{key}.{figure}"
            if side == "compiled":
                target = f"{key}.compiled" if figure == "tokens_per_second" else ""
            ratio = compared.ratio(side, figure).text(digits=2, unit="x")
            lines.append(f"| {label} | {' | '.join(values)} | {ratio} | {cells(found, target, roof)} |")
        shares = [compared.roof_share(each) for each in ("luthier", side)]
        if None not in shares:
            values = [share.text(0.01, 1, " %") for share in shares if share is not None]
            target = f"{key}.roof_share" if side == "trl" else ""
            lines.append(f"| share of the roof | {' | '.join(values)} | | {cells(found, target, roof)} |")
        return "\n".join(lines) + "\n"

    def _tokens(self) -> str:
        measured = self.comparison.rounds[0].sides["luthier"]
        tokens, rows = sum(measured.row_tokens), len(measured.row_tokens)
        computed = sum(measured.computed_tokens or measured.tokens) / sum(measured.tokens)
        supervised = sum(measured.row_supervised) / rows
        return (
            f"A row has {tokens / rows:.0f} tokens on average, {supervised:.0f} of them supervised; "
            f"Luthier computes {computed:.0%} of the tokens."
        )

    def _losses(self) -> str:
        sides = {side: found for item in reversed(self.comparison.rounds) for side, found in item.sides.items()}
        numbers = " | ".join(str(step + 1) for step in range(self.steps))
        lines = [f"| step | {numbers} |", "|---" * (self.steps + 1) + "|"]
        for side in (side for side in SIDES if side in sides):
            lines.append(f"| {SIDES[side]} | " + " | ".join(f"{loss:.4f}" for loss in sides[side].losses) + " |")
        return "\n".join(lines) + "\n"

    def record(self) -> dict[str, Any]:
        """Everything that was measured, and the figures that follow."""
        comparison = self.comparison
        return asdict(self.workload) | {
            "rows_per_step": self.rows_per_step,
            "steps": self.steps,
            "warm_up_steps": WARM_UP,
            "source": self._source.get("source"),
            "shared_prefix": self._source.get("shared_prefix"),
            "problems": self.problems,
            "summary": {side: self._summary(side) for side in SIDES if side != "luthier" and self._with(side)},
            **asdict(comparison),
        }

    def _summary(self, side: str) -> dict[str, Any]:
        compared = self.comparison.beside(side)
        figures: dict[str, Any] = {"roof": asdict(compared.roof())}
        for _, figure, _, _ in _FIGURES:
            figures[figure] = {each: asdict(compared.spread(each, figure)) for each in ("luthier", side)}
            figures[figure]["ratio"] = asdict(compared.ratio(side, figure))
        if (share := compared.roof_share("luthier")) is not None:
            figures["roof_share"] = asdict(share)
        return figures


def job(bench: Bench, training: Training, out: str) -> dict[str, Any]:
    """The specification of a process that trains on a workload."""
    workload = training.workload
    return {
        "rows": str(bench.folder / f"{workload.key}.rows.jsonl"),
        "tokens": str(bench.folder / f"{workload.key}.tokens.jsonl"),
        "out": out,
        "steps": training.steps,
        "rows_per_step": training.rows_per_step,
        "method": workload.method,
        "learning_rate": workload.learning_rate,
    }
