"""Names of tensors in GGUF files, and the rows that stand there in another order."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from luthier.errors import InputError
from luthier.export.gguf_names import FAMILIES, from_pairs, gguf_family, to_pairs
from luthier.models import load
from tiny_model import TinyShape, make_tiny_model


def test_every_tensor_of_a_model_has_a_name_and_is_found_by_it(tmp_path: Path) -> None:
    family = gguf_family("llama")
    model = load(make_tiny_model(tmp_path / "model", TinyShape(tied=False, biases=True)), dtype="float32")
    names = model.decoder.weight_names()
    there = [family.to_gguf(name) for name in names]
    assert len(set(there)) == len(names)
    assert [family.from_gguf(name) for name in there] == names
    assert {"token_embd.weight", "output.weight", "output_norm.weight", "blk.2.attn_q.bias"} <= set(there)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_names_are_those_of_the_gguf_package(name: str) -> None:
    import gguf

    family = FAMILIES[name]
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == family.architecture)
    theirs = gguf.get_tensor_name_map(architecture, 3)
    modules = [*family.outer, *(f"model.layers.{layer}.{module}" for layer in range(3) for module in family.layer)]
    for module in modules:
        if module == "lm_head" and theirs.get_name(module) is None:
            continue  # in this family the head is always the embedding
        assert theirs.get_name(module) == family.to_gguf(f"{module}.weight").removesuffix(".weight"), module


@pytest.mark.parametrize(
    "name", ["model.layers.0.self_attn.rotary.weight", "model.layers.x.mlp.up_proj.weight", "score.weight", "", "model"]
)
def test_a_tensor_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="has no other name in GGUF files of llama"):
        gguf_family("llama").to_gguf(name)


def test_a_family_that_cannot_be_written_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match="of the family 'other' cannot be written as GGUF; that can be done for .*llama"
    ):
        gguf_family("other")


@pytest.mark.parametrize("shape", [(24, 5), (24,)])
def test_rows_in_pairs_are_put_back(shape: tuple[int, ...]) -> None:
    rows = torch.randn(shape)
    paired = to_pairs(rows, heads=3)
    assert torch.equal(from_pairs(paired, heads=3), rows)
    # In a head of eight rows, 0 and 4 become neighbours, then 1 and 5.
    assert torch.equal(paired[:4], rows[[0, 4, 1, 5]])
    assert torch.equal(paired[8:10], rows[[8, 12]])
