"""What is asked of each figure, and whether it was reached.

Speed against other software is asked for at a roof of 2 TFLOP/s or more. Below, what is asked shrinks in proportion to
the run's median roof, to no less than 0.4 of the figure, because the other side gains little from a higher roof.
Memory, the share of the roof, and what Luthier is compared with itself for do not shrink. Where the processor has no
bf16 products both sides compute in fp32, the roof is given as None, and all that is asked of speed is to be faster.
"""

from __future__ import annotations

from dataclasses import dataclass

FULL_ROOF = 2e12
LEAST_SHARE = 0.4


@dataclass(frozen=True)
class Target:
    """A figure to reach, at least or at most; "x" is a ratio, "%" a share, anything else a unit."""

    label: str
    figure: float
    at_most: bool = False
    shrinks: bool = False
    unit: str = "x"

    def asked(self, roof: float | None) -> float:
        """What is asked at this roof (FLOP/s)."""
        if not self.shrinks:
            return self.figure
        if roof is None:
            return 1.0
        share = min(1.0, max(LEAST_SHARE, roof / FULL_ROOF))
        return self.figure / share if self.at_most else self.figure * share

    def reached(self, value: float, roof: float | None) -> bool:
        """Whether the value is at least, or at most, what is asked at this roof."""
        asked = self.asked(roof)
        return value <= asked if self.at_most else value >= asked

    def text(self, value: float) -> str:
        """A value with its unit: "2.40x", "62.0 %", "135,865 rows a minute"."""
        if self.unit == "%":
            return f"{value:.1%}".replace("%", " %")
        return f"{value:.2f}x" if self.unit == "x" else f"{value:,.0f} {self.unit}"

    def limit(self, roof: float | None) -> str:
        """What is asked as text: "at least 2.40x"."""
        return f"at {'most' if self.at_most else 'least'} {self.text(self.asked(roof))}"


def _faster(label: str, figure: float) -> Target:
    return Target(label, figure, shrinks=True)


TARGETS = {
    "a.tokens_per_second": _faster("(a) tokens/s against TRL + PEFT", 6.0),
    "a.compiled": _faster("(a) tokens/s against the compiled loop", 4.5),
    "a.peak_bytes": Target("(a) peak memory against TRL + PEFT", 0.2, at_most=True),
    "a.roof_share": Target("(a) share of the roof", 0.5, unit="%"),
    "b.rows_per_second": _faster("(b) rows/s against TRL + PEFT", 16.0),
    "b.peak_bytes": Target("(b) peak memory against TRL + PEFT", 0.2, at_most=True),
    "c.rows_per_second": _faster("(c) rows/s against TRL + PEFT", 9.0),
    "c.peak_bytes": Target("(c) peak memory against TRL + PEFT", 0.2, at_most=True),
    "d.tokens_per_second": _faster("(d) tokens/s against TRL", 4.0),
    "e.prompts_per_second": _faster("(e) prompts/s against Transformers' generate", 15.0),
    "f.prompts_per_second": _faster("(f) prompts/s against Transformers' generate", 8.0),
    "launch.seconds": Target("seconds of a launch against TRL's script", 0.25, at_most=True, shrinks=True),
    "ranks.speed": Target("steps/s of two processes against one, a thread each", 1.7),
    "models.product": Target("tokens/s x parameters: the largest over the smallest, less 1", 0.25, True, unit="%"),
    "tokens.line": Target("memory over tokens a step: farthest from a line", 0.05, True, unit="%"),
    "length.line": Target("memory over the length of a row: farthest from a line", 0.05, True, unit="%"),
    "rows.rate": Target("rows read, checked, tokenised and packed", 20_000.0, unit="rows a minute"),
} | {
    f"plan.{key}.{what}": Target(f"({key}) planned {what} beside the real", share, True, unit="%")
    for key in "abc"
    for what, share in (("memory", 0.1), ("time", 0.3))
}


@dataclass(frozen=True)
class Finding:
    """The measured value of a target; `key` is the target's."""

    key: str
    value: float

    @property
    def target(self) -> Target:
        """What is asked of it."""
        return TARGETS[self.key]

    def cells(self, roof: float | None) -> str:
        """The last two columns of a table: asked at this roof, and reached or not."""
        return f"{self.target.limit(roof)} | {self.answer(roof)}"

    def answer(self, roof: float | None) -> str:
        """ "yes" or "no"."""
        return "yes" if self.target.reached(self.value, roof) else "no"


def cells(findings: list[Finding], key: str, roof: float | None) -> str:
    """The last two columns of a table's line: empty where nothing is asked of it."""
    return next((finding.cells(roof) for finding in findings if finding.key == key), " | ").strip(" ")


def summary(findings: list[Finding], roof: float | None) -> str:
    """All figures with a target as one table."""
    here = "in fp32" if roof is None else f"at {roof / 1e12:.2f} TFLOP/s"
    lines = [
        f"| figure | asked at {FULL_ROOF / 1e12:.0f} TFLOP/s | {here} | measured | reached |",
        "|---|---|---|---|---|",
    ]
    for finding in findings:
        target = finding.target
        lines.append(
            f"| {target.label} | {target.limit(FULL_ROOF)} | {target.limit(roof)} | {target.text(finding.value)} | "
            f"{finding.answer(roof)} |"
        )
    return "\n".join(lines) + "\n"
