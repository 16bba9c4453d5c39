"""The figure of runs that differ in the seed alone: how much of it is luck of the fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from luthier.evaluation.blocks import part


@dataclass(frozen=True)
class SeedFigures:
    """`runs`: the figure in `metric`, the task's own, by seed; the run that was evaluated first. `missing` are the
    seeds of runs that were asked for and are not done."""

    metric: str
    runs: dict[int, float]
    missing: tuple[int, ...] = ()

    @property
    def mean(self) -> float:
        """Of the runs."""
        return mean(self.runs.values())

    @property
    def deviation(self) -> float | None:
        """The sample's standard deviation, over one less than the number of runs; None for a single run."""
        return stdev(self.runs.values()) if len(self.runs) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """The key `seeds`."""
        runs = [{"seed": seed, "value": value} for seed, value in self.runs.items()]
        values = {"metric": self.metric, "runs": runs, "mean": self.mean, "deviation": self.deviation}
        return {"seeds": values | {"missing": list(self.missing)}}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> SeedFigures | None:
        """From the content of evaluation.json. Raises KeyError or TypeError for what is none."""
        found = part(values, "seeds")
        if found is None:
            return None
        runs = {int(one["seed"]): float(one["value"]) for one in found["runs"]}
        return SeedFigures(found["metric"], runs, tuple(found["missing"]))

    def figures(self) -> Iterator[tuple[str, str]]:
        """For the table."""
        if self.deviation is not None:
            least, most = min(self.runs.values()), max(self.runs.values())
            spread = f"mean {self.mean:.1%}, standard deviation {100 * self.deviation:.1f} points"
            yield f"over {len(self.runs)} seeds", f"{least:.1%} to {most:.1%} ({spread})"
        if self.missing:
            yield "seeds not fitted yet", ", ".join(map(str, self.missing))
