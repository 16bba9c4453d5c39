"""Greedy decoding beside Transformers' generate: the prompts of two tasks, in fresh, interleaved processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench import Bench
from measurement import Spread
from targets import Finding


@dataclass(frozen=True)
class Task:
    """Prompts and the longest answer. Transformers answers only the first `peer_prompts`, since all would take long."""

    key: str
    name: str
    folder: str
    prompts: int
    peer_prompts: int
    new_tokens: int


TASKS = (
    Task("e", "decoding, classify prompts", "classify", 400, 64, 8),
    Task("f", "decoding, extract prompts", "extract", 100, 32, 120),
)
PEER_BATCH = 16


@dataclass(frozen=True)
class Answered:
    """What one side did in one round. `answers` are token ids, without the end token."""

    seconds: float
    answers: list[list[int]]
    peak_bytes: int

    @property
    def prompts_per_second(self) -> float:
        """Prompts answered per second."""
        return len(self.answers) / self.seconds


class Decoding:
    """A part of the bench (see bench.Part): a task over the rounds, (Luthier, Transformers)."""

    minutes = 1.2
    repeated = True

    def __init__(self, task: Task) -> None:
        """Nothing is measured yet."""
        self.name = task.key
        self.task = task
        self.rounds: list[tuple[Answered, Answered]] = []
        self.roofs: list[float] = []

    @property
    def measured(self) -> bool:
        """Whether there is a round."""
        return bool(self.rounds)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """The roof and both sides, in turns."""
        task = self.task
        given: dict[str, Any] = {
            "prompts": str(bench.folder / f"{task.key}.prompts.jsonl"),
            "new_tokens": task.new_tokens,
        }
        done: dict[str, Answered] = {}
        roof = bench.roof()["best"]
        for side in ("luthier", "transformers") if number % 2 == 0 else ("transformers", "luthier"):
            count = task.prompts if side == "luthier" else task.peer_prompts
            done[side] = Answered(**bench.call(f"{side}_answers.py", count=count, **given))
        self.roofs.append(roof)
        self.rounds.append((done["luthier"], done["transformers"]))
        ratio = done["luthier"].prompts_per_second / done["transformers"].prompts_per_second
        yield f"roof {roof / 1e12:.2f} TFLOP/s; {ratio:.1f}x Transformers"

    def ratio(self) -> Spread:
        """Luthier's prompts per second over those of Transformers in the same round."""
        return Spread.of([ours.prompts_per_second / theirs.prompts_per_second for ours, theirs in self.rounds])

    def equal(self) -> float:
        """The share of the prompts answered by both whose answers are the same tokens."""
        ours, theirs = self.rounds[0]
        return sum(a == b for a, b in zip(ours.answers, theirs.answers)) / len(theirs.answers)

    def findings(self) -> list[Finding]:
        """The ratio of the speeds."""
        return [Finding(f"{self.task.key}.prompts_per_second", self.ratio().median)]

    def section(self, roof: float | None) -> str:
        """One table."""
        task = self.task
        sides = [[pair[i] for pair in self.rounds] for i in (0, 1)]
        rates = [Spread.of([side.prompts_per_second for side in found]).text(digits=2) for found in sides]
        peaks = [Spread.of([side.peak_bytes for side in found]).text(1e9, 2) for found in sides]
        new = sum(map(len, sides[0][0].answers)) / len(sides[0][0].answers)
        return (
            f"## ({task.key}) {task.name}\n\n"
            f"Up to {task.new_tokens} new tokens, {new:.1f} on average. Luthier answers {task.prompts} prompts, "
            f"Transformers' `generate` in batches of {PEER_BATCH} the first {len(sides[1][0].answers)} of them; "
            f"{self.equal():.0%} of their answers are the same.\n\n"
            "| | Luthier | Transformers | ratio | asked | reached |\n|---|---|---|---|---|---|\n"
            f"| prompts/s | {rates[0]} | {rates[1]} | {self.ratio().text(digits=1, unit='x')} | "
            f"{self.findings()[0].cells(roof)} |\n"
            f"| peak GB | {peaks[0]} | {peaks[1]} | | | |\n\n"
            f"Roof: {Spread.of(self.roofs).text(1e12, 2, ' TFLOP/s')}.\n"
        )

    def record(self) -> dict[str, Any]:
        """The task, and both sides by round without the answers."""
        sides = [
            [{"seconds": side.seconds, "prompts": len(side.answers), "peak_bytes": side.peak_bytes} for side in pair]
            for pair in self.rounds
        ]
        return asdict(self.task) | {
            "rounds": [
                {"roof": roof, "luthier": ours, "transformers": theirs}
                for roof, (ours, theirs) in zip(self.roofs, sides)
            ],
            "ratio": asdict(self.ratio()),
            "equal_answers": self.equal(),
        }
