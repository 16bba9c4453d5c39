"""What may be asked for together."""

from __future__ import annotations

from typing import Any

import pytest
from luthier.delivery.disk import size_text
from luthier.delivery.floor import FLOORS
from luthier.delivery.formats import FORMATS, choose
from luthier.errors import InputError
from luthier.export.gguf_types import FLOATS, QUANTS


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({}, "merged model in bfloat16"),
        ({"format": "peft"}, "PEFT adapter in float32"),
        ({"format": "gguf"}, "GGUF model in F16"),
        ({"format": "gguf", "dtype": "bfloat16"}, "GGUF model in BF16"),
        ({"format": "gguf", "quant": "q8_0"}, "GGUF model in Q8_0"),
        ({"format": "gguf", "quant": "F32"}, "GGUF model in F32"),
        ({"format": "gguf-lora"}, "GGUF adapter in float32"),
    ],
)
def test_a_choice_says_what_it_is(options: dict[str, Any], label: str) -> None:
    choice = choose(**options)
    assert choice.label == label
    assert choice.numbers in FLOORS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "onnx"}, "format is 'onnx'; it must be one of peft, merged, gguf, gguf-lora"),
        ({"dtype": "int8"}, "dtype is 'int8'; it must be one of float32, float16, bfloat16"),
        ({"quant": "Q8_0"}, "--quant goes with --format gguf"),
        ({"format": "gguf", "quant": "Q3_K"}, "quant is 'Q3_K'; it must be one of Q8_0, Q4_0, Q4_K"),
        ({"format": "gguf", "quant": "Q4_K_M"}, "Q4_K is what llama.cpp calls Q4_K_S"),
        ({"format": "gguf", "quant": "Q8_0", "dtype": "float16"}, "either --dtype or --quant"),
        ({"checks": ["peft"]}, "--check peft does not go with --format merged, which transformers and vllm can load"),
        ({"format": "gguf", "checks": ["ollama"]}, "--check ollama does not go"),
        ({"checks": ["vllm"], "verify": False}, "leave --no-verify out"),
    ],
)
def test_a_contradiction_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(**options)


def test_every_way_to_write_numbers_has_a_floor_with_its_reason() -> None:
    assert set(FLOORS) == {*FLOATS, *QUANTS}
    assert all(floor.reason for floor in FLOORS.values())
    order = [FLOORS[name].kl for name in ("float32", "float16", "bfloat16", "Q8_0", "Q4_0")]
    assert order == sorted(order)
    assert len(FORMATS) == 4


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (12_000, "12 kB"), (145_400_000, "145 MB"), (1_360_000_000, "1.4 GB")]
)
def test_sizes_are_said_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
