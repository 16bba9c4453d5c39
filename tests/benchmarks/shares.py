"""Where the time of our steps goes, by operation, as `luthier profile` gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench import Bench
from targets import Finding
from training import Training, job

_LEAST_SHARE = 0.01


class Shares:
    """A part of the bench (see bench.Part): one profile of each workload."""

    name = "profile"
    repeated = False

    def __init__(self, workloads: list[Training]) -> None:
        """Nothing is measured yet."""
        self.minutes = 0.6 * len(workloads)
        self.workloads = workloads
        self.profiles: dict[str, dict[str, Any]] = {}

    @property
    def measured(self) -> bool:
        """Whether there is a profile."""
        return bool(self.profiles)

    def measure(self, bench: Bench, number: int) -> Iterator[str]:
        """The counted steps of each workload."""
        for training in self.workloads:
            found = bench.call("profile_worker.py", **job(bench, training, "unused"))
            self.profiles[training.workload.key] = found
            first = found["operations"][0]
            yield f"({training.workload.key}) {first['share']:.0%} {first['name']}"

    def findings(self) -> list[Finding]:
        """None has a target."""
        return []

    def section(self, roof: float | None) -> str:
        """A table for each workload; operations under 1 % of the time are one line."""
        return (
            "## Where the time goes\n\nAs `luthier profile` gives it; all operations are in the .json.\n\n"
            + "".join(_table(key, profile) for key, profile in self.profiles.items())
        )

    def record(self) -> dict[str, Any]:
        """What `luthier profile --json` gives, by workload."""
        return self.profiles


def _table(key: str, profile: dict[str, Any]) -> str:
    roofs = profile["roofs"]
    lines = [
        f"({key}): a step of {profile['step_seconds']:.2f} s, {profile['instruction_set']}; roofs "
        f"{roofs[profile['dtype']] / 1e9:,.0f} GFLOP/s, {roofs['bandwidth'] / 1e9:.1f} GB/s\n",
        "| operation | share of time | GFLOP/s | GB/s | share of its roof |",
        "|---|---|---|---|---|",
    ]
    small = 0.0
    for operation in profile["operations"]:
        if operation["share"] < _LEAST_SHARE:
            small += operation["share"]
            continue
        rates = f"{operation['flops_per_second'] / 1e9:,.0f} | {operation['bytes_per_second'] / 1e9:,.1f}"
        lines.append(f"| {operation['name']} | {operation['share']:.1%} | {rates} | {operation['roof_share']:.0%} |")
    lines.append(f"| other operations, under {_LEAST_SHARE:.0%} each | {small:.1%} | | | |")
    lines.append(f"| outside operations | {profile['shares']['outside operations']:.1%} | | | |")
    return "\n".join(lines) + "\n\n"
