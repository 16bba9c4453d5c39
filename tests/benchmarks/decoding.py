"""Greedy decoding beside Transformers' generate: the prompts of two tasks, in fresh, interleaved processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measurement import Spread

if TYPE_CHECKING:
    from run import Bench


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


@dataclass(frozen=True)
class Decoding:
    """A task over all rounds: (Luthier, Transformers)."""

    task: Task
    rounds: list[tuple[Answered, Answered]]

    def ratio(self) -> Spread:
        """Luthier's prompts per second over those of Transformers in the same round."""
        return Spread.of([ours.prompts_per_second / theirs.prompts_per_second for ours, theirs in self.rounds])

    def equal(self) -> float:
        """The share of the prompts answered by both whose answers are the same tokens."""
        ours, theirs = self.rounds[0]
        return sum(a == b for a, b in zip(ours.answers, theirs.answers)) / len(theirs.answers)


def measure(bench: Bench, task: Task, ours_first: bool) -> tuple[Answered, Answered]:
    """One round of a task."""
    job = {"prompts": str(Path(bench.folder) / f"{task.key}.prompts.jsonl"), "new_tokens": task.new_tokens}
    done: dict[str, Answered] = {}
    for side in ("luthier", "transformers") if ours_first else ("transformers", "luthier"):
        count = task.prompts if side == "luthier" else task.peer_prompts
        result = bench.call(f"{side}_answers.py", model=str(bench.folder / "model"), count=count, **job)
        done[side] = Answered(**result)
    return done["luthier"], done["transformers"]


def table(decoding: Decoding) -> str:
    """The section of the page."""
    task = decoding.task
    sides = [[pair[i] for pair in decoding.rounds] for i in (0, 1)]
    rates = [Spread.of([side.prompts_per_second for side in found]).text(digits=2) for found in sides]
    peaks = [Spread.of([side.peak_bytes for side in found]).text(1e9, 2) for found in sides]
    new = sum(map(len, sides[0][0].answers)) / len(sides[0][0].answers)
    return (
        f"## ({task.key}) {task.name}\n\n"
        f"Up to {task.new_tokens} new tokens, {new:.1f} on average. Luthier answers {task.prompts} prompts, "
        f"Transformers' `generate` in batches of {PEER_BATCH} the first {len(sides[1][0].answers)} of them; "
        f"{decoding.equal():.0%} of their answers are the same.\n\n"
        "| | Luthier | Transformers | ratio |\n|---|---|---|---|\n"
        f"| prompts/s | {rates[0]} | {rates[1]} | {decoding.ratio().text(digits=1, unit='x')} |\n"
        f"| peak GB | {peaks[0]} | {peaks[1]} | |\n\n"
    )


def record(decoding: Decoding) -> dict[str, Any]:
    """What is kept in the JSON."""
    sides = [
        [{"seconds": side.seconds, "prompts": len(side.answers), "peak_bytes": side.peak_bytes} for side in pair]
        for pair in decoding.rounds
    ]
    return asdict(decoding.task) | {
        "rounds": [{"luthier": ours, "transformers": theirs} for ours, theirs in sides],
        "ratio": asdict(decoding.ratio()),
        "equal_answers": decoding.equal(),
    }
