"""What an export must reach to be handed out, by the numbers it is written in, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from luthier.delivery.agreement import Agreement

CARRIED: Final = 0.5
"""The share of what the fit changed that must be there. Less is nearer to the base model than to the trained one."""


@dataclass(frozen=True)
class Floor:
    """`kl`: nats of divergence allowed on average; `greedy`: the share of positions whose most likely token must be the
    same; `reason`: why so much."""

    kl: float
    greedy: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kl": self.kl, "greedy": self.greedy, "carried": CARRIED, "reason": self.reason}


FLOORS: Final = {
    "float32": Floor(1e-4, 0.98, "the same numbers, added in another order: only ties may fall otherwise"),
    "float16": Floor(0.0005, 0.95, "weights are rounded to 11 bits"),
    "bfloat16": Floor(0.01, 0.9, "weights are rounded to 8 bits"),
    "Q8_0": Floor(0.02, 0.85, "weights are rounded to 8 bits, with one scale for 32"),
    "Q4_0": Floor(0.6, 0.5, "weights are rounded to 4 bits, which small models feel; a small fault may hide in that"),
    "Q4_K": Floor(0.6, 0.5, "weights are rounded to 4 bits, which small models feel; a small fault may hide in that"),
}
"""The divergences are 10 times and more what a sound export of SmolLM2-135M or of a tiny random model has, but only
twice at 4 bits. Of faults planted in an adapter of SmolLM2's, the query and key rows in the wrong order have 0.022, one
layer of 30 left out 0.0046, and the key weights of one layer in the wrong order 0.27: adapters, in float32 and float16,
are tried for all of these, and files of 8 bits for the first and the last."""


def faults(found: Agreement, floor: Floor) -> list[str]:
    """What is below the floor, each in a few words with its numbers; [] for an export that may be handed out."""
    said = []
    if not math.isfinite(found.kl) or not math.isfinite(found.largest_difference):
        return ["its logits are not finite numbers"]
    if found.carried is not None and found.carried < CARRIED:
        said.append(
            f"it has {round(found.carried, 2) + 0.0:.0%} of what the fit changed, so it answers as the base model and "
            f"not as the trained one (at least {CARRIED:.0%} is asked)"
        )
    if found.kl > floor.kl:
        said.append(f"the divergence from the trained model is {found.kl:.3g} nats a token (at most {floor.kl:g})")
    if found.greedy < floor.greedy:
        said.append(
            f"the most likely token is the same at {found.greedy:.1%} of {found.positions:,} positions (at least "
            f"{floor.greedy:.0%})"
        )
    return said


def doubts(found: Agreement) -> list[str]:
    """What the user should know of an export that passes."""
    if found.carried is None or found.fit_kl < 1e-9:
        return ["the fit changed nothing that these rows show, so the export cannot be told from the base model"]
    if found.kl > found.fit_kl:
        return [
            f"rounding moves the answers further ({found.kl:.3g} nats a token) than the fit did ({found.fit_kl:.3g}); "
            "more bits would keep more of it"
        ]
    return []
