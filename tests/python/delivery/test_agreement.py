"""The figures by which an export is judged: what they are for equal, base-like, noisy and broken logits."""

from __future__ import annotations

import math

import pytest
import torch
from luthier.delivery.agreement import Agreement, measure
from luthier.delivery.floor import FLOORS, doubts, faults


def logits(seed: int, rows: int = 40, size: float = 3.0) -> torch.Tensor:
    return size * torch.randn((rows, 50), generator=torch.Generator().manual_seed(seed))


BASE = logits(1)
TRAINED = BASE + logits(2, size=1.0)


def of(exported: torch.Tensor) -> Agreement:
    """In two prompts, the second of one position only."""
    parts = [(slice(0, 39)), slice(39, 40)]
    return measure([TRAINED[p] for p in parts], [BASE[p] for p in parts], (exported[p] for p in parts), [True, False])


def test_equal_logits_agree_in_everything() -> None:
    found = of(TRAINED.clone())
    assert (found.positions, found.largest_difference, found.kl, found.greedy, found.answers) == (40, 0, 0, 1, 0.5)
    assert found.carried == pytest.approx(1)
    assert found.fit_kl > 0.05
    assert faults(found, FLOORS["float32"]) == []
    assert doubts(found) == []


def test_the_divergence_is_that_of_torch() -> None:
    other = logits(3)
    wanted = torch.nn.functional.kl_div(
        other.log_softmax(-1), TRAINED.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    found = of(other)
    assert found.kl == pytest.approx(float(wanted), rel=1e-4)
    assert found.largest_difference == pytest.approx(float((other - TRAINED).abs().max()))


def test_a_constant_added_to_all_logits_changes_no_probability() -> None:
    found = of(TRAINED + 5)
    assert found.kl == pytest.approx(0, abs=1e-9)
    assert found.carried == pytest.approx(1)


def test_the_base_model_carries_nothing_of_the_fit() -> None:
    found = of(BASE.clone())
    assert found.carried == pytest.approx(0, abs=1e-9)
    assert "it has 0% of what the fit changed, so it answers as the base model" in faults(found, FLOORS["Q4_0"])[0]


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_half_an_adapter_shows(share: float) -> None:
    found = of(BASE + share * (TRAINED - BASE))
    assert found.carried == pytest.approx(share, abs=1e-4)
    assert bool(faults(found, FLOORS["Q4_0"])) == (share < 0.5)


def test_rounding_hardly_moves_what_is_carried() -> None:
    found = of(TRAINED + logits(4, size=1.0))
    assert found.carried == pytest.approx(1, abs=0.15)
    assert found.kl > found.fit_kl * 0.5
    assert faults(found, FLOORS["float16"])


def test_rounding_that_outweighs_the_fit_is_said() -> None:
    found = of(TRAINED + logits(4, size=1.5))
    assert found.kl > found.fit_kl
    assert "rounding moves the answers further" in doubts(found)[0]


def test_a_fit_that_changed_nothing_is_no_fault_but_said() -> None:
    found = measure([TRAINED], [TRAINED], [TRAINED], None)
    assert (found.carried, found.answers) == (None, None)
    assert faults(found, FLOORS["float32"]) == []
    assert "the fit changed nothing" in doubts(found)[0]


def test_numbers_that_are_not_finite_are_a_fault() -> None:
    broken = TRAINED.clone()
    broken[3, 4] = math.nan
    assert faults(of(broken), FLOORS["Q4_0"]) == ["its logits are not finite numbers"]
