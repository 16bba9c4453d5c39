"""Parity: Luthier against Transformers and PEFT with the same weights, on every instruction set of the machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "python")]

if TYPE_CHECKING:
    from our_side import OurSide
    from subjects import Subject

TINY = ("tied", "untied_biases", "grouped_wide", "one_key_head")
INSTRUCTION_SETS = ("reference", "avx2", "avx512", "amx")


@pytest.fixture(scope="session")
def subjects() -> dict[str, Subject]:
    """The models that were made so far, by name."""
    return {}


@pytest.fixture(params=[*TINY, "smollm2"])
def subject(
    request: pytest.FixtureRequest, subjects: dict[str, Subject], tmp_path_factory: pytest.TempPathFactory
) -> Subject:
    """Each model in turn: tiny random ones of odd sizes, and SmolLM2 from its GGUF file."""
    from subjects import smollm2_subject, tiny_subject

    name = request.param
    if name not in subjects:
        subjects[name] = smollm2_subject() if name == "smollm2" else tiny_subject(name, tmp_path_factory.mktemp(name))
    return subjects[name]


@pytest.fixture(scope="session", params=INSTRUCTION_SETS)
def ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurSide]:
    """Luthier with each instruction set that this processor has, in a process of its own."""
    from luthier import _core
    from our_side import OurSide

    widest = INSTRUCTION_SETS.index(_core.instruction_set())
    if INSTRUCTION_SETS.index(request.param) > widest:
        pytest.skip(f"this processor has no more than {INSTRUCTION_SETS[widest]}")
    side = OurSide(request.param, tmp_path_factory.mktemp("ours"))
    yield side
    side.close()
