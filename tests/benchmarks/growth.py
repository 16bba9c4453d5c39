"""How speed and memory grow with the model, the tokens of a step and the length of a row; how fast rows are packed.

models   tokens/s x parameters, from 135 M to 1.1 B parameters, random weights of the Llama shape
tokens   peak memory over the tokens that are computed at once
length   one row of 1,024 to 8,192 tokens
rows     10,000 chat rows read, checked, tokenised and cut into forests
Each measurement is a process of its own, with random weights of the shapes below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench import Bench, Part
from targets import Finding, cells

Measurement = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """What is measured. A shape is (hidden, intermediate, layers, heads, key heads)."""

    shapes: dict[str, tuple[int, ...]]
    rows: int
    row_tokens: int
    counts: tuple[int, ...]
    file_rows: int
    vocabulary: int = 32_000
    seconds: float = 12.0  # of steps for each model: a shared machine's speed moves within seconds


FULL = Sizes(
    # SmolLM2-135M, SmolLM2-360M, TinyLlama-1.1B
    {"135 M": (576, 1536, 30, 9, 3), "360 M": (960, 2560, 32, 15, 5), "1.1 B": (2048, 5632, 22, 32, 4)},
    rows=2,
    row_tokens=512,
    counts=(1024, 2048, 4096, 8192),
    file_rows=10_000,
)
QUICK = Sizes(
    {"tiny": (64, 128, 2, 2, 1), "small": (128, 256, 2, 4, 2)},
    2,
    128,
    (1024, 2048, 4096),
    file_rows=200,
    vocabulary=512,
    seconds=1.0,
)


class Growth:
    """A part of the bench (see bench.Part): measurements by size, and what is shown of them."""

    repeated = False

    def __init__(
        self,
        name: str,
        minutes: float,
        jobs: dict[str, dict[str, Any]],
        show: Callable[[dict[str, Measurement], list[Finding], float], str],
        judge: Callable[[Sequence[Measurement]], Finding],
        times: int = 1,
    ) -> None:
        """`jobs` are specifications of growth_worker.py by size; `show` makes the section, `judge` the finding. Each
        size is measured so many `times`, in turn with the others, and the median by tokens/s stands for it."""
        self.name = name
        self.minutes = minutes
        self.jobs = jobs
        self.found: dict[str, Measurement] = {}
        self._show = show
        self._judge = judge
        self._times = times
        self._all: dict[str, list[Measurement]] = {}

    @property
    def measured(self) -> bool:
        """Whether there is a size."""
        return bool(self.found)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """The roof and a process for each size."""
        for size, job in [item for _ in range(self._times) for item in self.jobs.items()]:
            given = {"folder": str(bench.folder), **job}
            if "shape" in job:
                weights = bench.folder / f"random-{job['shape'][0]}"
                given["weights"] = str(weights)
                if not weights.exists():  # in a process of its own, since the next one's memory is measured
                    bench.call("growth_worker.py", **given | {"task": "make"})
            roof = bench.roof()["best"]
            done = self._all.setdefault(size, [])
            done.append(bench.call("growth_worker.py", **given) | {"roof": roof})
            self.found[size] = sorted(done, key=lambda one: one.get("tokens_per_second", 0.0))[len(done) // 2]
            yield size

    def findings(self) -> list[Finding]:
        """One, once all sizes are measured."""
        return [self._judge(list(self.found.values()))] if len(self.found) == len(self.jobs) else []

    def section(self, roof: float | None) -> str:
        """One table."""
        return self._show(self.found, self.findings(), roof)

    def record(self) -> dict[str, Any]:
        """All measurements by size."""
        return {size: found | {"all": self._all[size]} for size, found in self.found.items()}


def growth_parts(sizes: Sizes) -> list[Part]:
    """The four parts."""
    shape, vocabulary = next(iter(sizes.shapes.values())), sizes.vocabulary
    uncut = {"task": "train", "shape": shape, "vocabulary": vocabulary, "micro_tokens": 1 << 20}
    models = {
        name: {
            "task": "train",
            "shape": each,
            "rows": sizes.rows,
            "row_tokens": sizes.row_tokens,
            "supervised": sizes.row_tokens // 8,
            "micro_tokens": 4096,
            "vocabulary": vocabulary,
            "seconds": sizes.seconds,
        }
        for name, each in sizes.shapes.items()
    }
    # One shared prompt of 512 tokens, so that the forest is not cut, and more and more answers of 128.
    tokens = {
        f"{count:,}": {**uncut, "rows": count // 128 - 4, "row_tokens": 640, "shared": 512, "supervised": 16}
        for count in sizes.counts
    }
    length = {f"{count:,}": {**uncut, "rows": 1, "row_tokens": count, "supervised": 64} for count in sizes.counts}
    return [
        Growth("models", 7.0, models, _models, _same_product, times=5 if sizes is FULL else 1),
        Growth("tokens", 2.0, tokens, _tokens, lambda found: Finding("tokens.line", off_line(_points(found)))),
        Growth("length", 2.5, length, _length, lambda found: Finding("length.line", off_line(_points(found)))),
        Growth("rows", 0.5, {"rows": {"task": "rows", "file_rows": sizes.file_rows}}, _rows, _row_rate),
    ]


def off_line(points: Sequence[tuple[float, float]]) -> float:
    """How far the values are at most from the least-squares line through the points (x, y), as a share of the value."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return max(abs(mean_y + slope * (x - mean_x) - y) / y for x, y in points)


def _points(found: Sequence[Measurement]) -> list[tuple[float, float]]:
    return [(done["computed"], done["peak_bytes"]) for done in found]


def _product(done: Measurement) -> float:
    """Tokens per second times parameters."""
    return float(done["tokens_per_second"] * done["parameters"])


def _same_product(found: Sequence[Measurement]) -> Finding:
    products = [_product(done) for done in found]
    return Finding("models.product", max(products) / min(products) - 1.0)


def _row_rate(found: Sequence[Measurement]) -> Finding:
    (done,) = found
    seconds = done["read"] + done["encode"] + done["pack"]
    return Finding("rows.rate", 60.0 * done["file_rows"] / seconds)


def _models(found: dict[str, Measurement], findings: list[Finding], roof: float | None) -> str:
    lines = [
        "## Growth: the model\n",
        f"Random weights; {_rows_a_step(found)}.\n",
        "| model | parameters | tokens/s | tokens/s x parameters | over the roof just before | peak GB |",
        "|---|---|---|---|---|---|",
    ]
    for name, done in found.items():
        lines.append(
            f"| {name} | {done['parameters'] / 1e6:,.0f} M | {done['tokens_per_second']:,.0f} | {_product(done):.3g} | "
            f"{_product(done) / done['roof']:.3f} | {done['peak_bytes'] / 1e9:.2f} |"
        )
    over = [_product(done) / done["roof"] for done in found.values()]
    lines.append(f"\nOver the roof, the largest is {max(over) / min(over) - 1:.1%} above the smallest.")
    return "\n".join(lines) + "\n\n" + _verdict(findings, "models.product", roof)


def _rows_a_step(found: dict[str, Measurement]) -> str:
    done = next(iter(found.values()))
    return f"{done['rows']} rows of {done['row_tokens']} tokens a step"


def _tokens(found: dict[str, Measurement], findings: list[Finding], roof: float | None) -> str:
    return f"## Growth: tokens computed at once\n\n{_memory(found)}\n{_verdict(findings, 'tokens.line', roof)}"


def _length(found: dict[str, Measurement], findings: list[Finding], roof: float | None) -> str:
    return f"## Growth: the length of a row\n\n{_memory(found)}\n{_verdict(findings, 'length.line', roof)}"


def _memory(found: dict[str, Measurement]) -> str:
    lines = ["| tokens | peak GB | GB for 1,024 tokens more | tokens/s |", "|---|---|---|---|"]
    before: Measurement | None = None
    for done in found.values():
        more = ""
        if before is not None:
            more_tokens = done["computed"] - before["computed"]
            more = f"{(done['peak_bytes'] - before['peak_bytes']) / more_tokens * 1024 / 1e9:.3f}"
        lines.append(
            f"| {done['computed']:,} | {done['peak_bytes'] / 1e9:.2f} | {more} | {done['computed_per_second']:,.0f} |"
        )
        before = done
    return "\n".join(lines) + "\n"


def _rows(found: dict[str, Measurement], findings: list[Finding], roof: float | None) -> str:
    (done,) = found.values()
    return (
        f"## Growth: rows\n\n{done['file_rows']:,} rows read and checked in {done['read']:.2f} s, tokenised in "
        f"{done['encode']:.2f} s, cut into forests of 16 rows in {done['pack']:.2f} s.\n\n"
        + _verdict(findings, "rows.rate", roof)
    )


def _verdict(findings: list[Finding], key: str, roof: float | None) -> str:
    lines = ["| | measured | asked | reached |", "|---|---|---|---|"]
    for finding in findings:
        target = finding.target
        lines.append(f"| {target.label} | {target.text(finding.value)} | {cells(findings, key, roof)} |")
    return "\n".join(lines) + "\n" if findings else ""
