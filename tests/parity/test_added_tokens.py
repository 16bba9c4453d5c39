"""Losses and gradients of the rows of added tokens equal those of PEFT's trainable tokens, computed in double."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peers import backward, in_double, largest_errors
from subjects import load_peer, random_row
from tiny_model import TinyShape, make_tiny_model

TOLERANCE = 1e-4
COUNT = 3
SHAPES = {
    "tied": TinyShape(layers=2),
    "untied": TinyShape(layers=2, tied=False, biases=True),
}


def rows_name(matrix: str) -> str:
    return f"base_model.model.{matrix}.token_adapter.trainable_tokens_delta"


def ours(folder: Path, targets: list[str], tied: bool) -> Any:
    """The core's decoder with three new tokens, its adapter and their rows at random."""
    from luthier import _core

    decoder = _core.Decoder.load(str(folder), "float32")
    first = int(decoder.config["vocabulary_size"])
    decoder.add_tokens(first, COUNT)
    decoder.attach_lora(4, 8.0, targets, False, 0)
    generator = torch.Generator().manual_seed(1)
    shapes = sorted(decoder.adapter_tensors().items())
    tensors = {name: 0.2 * torch.randn(tensor.shape, generator=generator) for name, tensor in shapes}
    decoder.attach_adapter(tensors, 4, 8.0, targets, False)
    names = ["model.embed_tokens"] + ["lm_head"] * (not tied)
    width = int(decoder.config["hidden_size"])
    values = {rows_name(name): 0.3 * torch.randn((COUNT, width), generator=generator) for name in names}
    decoder.attach_tokens(first, COUNT, values)
    return decoder


def theirs(folder: Path, tensors: dict[str, torch.Tensor], first: int, targets: list[str], tied: bool) -> Any:
    """PEFT's model with the same values, in double."""
    from peft import LoraConfig, get_peft_model

    model = load_peer(folder)
    model.resize_token_embeddings(first + COUNT, mean_resizing=False)
    model.get_input_embeddings().padding_idx = None
    ids = list(range(first, first + COUNT))
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear" if targets == ["all-linear"] else targets,
        task_type="CAUSAL_LM",
        trainable_token_indices=dict.fromkeys(["embed_tokens"] + ["lm_head"] * (not tied), ids),
    )
    wrapped = get_peft_model(in_double(model), config).double()
    found = trained(wrapped)
    assert set(found) == set(tensors)
    with torch.no_grad():
        for name, parameter in found.items():
            parameter.copy_(tensors[name])
    return wrapped


def trained(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters of a PEFT model under the names of its files."""
    return {
        name.replace(".default", ""): value
        for name, value in model.named_parameters()
        if "lora_" in name or "trainable_tokens_delta" in name
    }


@pytest.mark.parametrize("targets", [["all-linear"], ["down_proj"]], ids=["all", "some"])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_gradients_equal_those_of_peft(tmp_path: Path, name: str, targets: list[str]) -> None:
    from luthier import _core

    tied = SHAPES[name].tied
    folder = make_tiny_model(tmp_path / "model", SHAPES[name])
    decoder = ours(folder, targets, tied)
    count = int(decoder.config["vocabulary_size"])
    generator = torch.Generator().manual_seed(2)
    rows = [random_row(generator, length, count) for length in (3, 17, 64, 130)]
    for row in rows:  # the new tokens are read and predicted in each
        for place, id in zip(range(1, len(row.tokens), 2), range(count - COUNT, count)):
            row.tokens[place], row.weights[place] = id, 1.0

    peer = theirs(folder, decoder.adapter_tensors(), count - COUNT, targets, tied)
    peer.train()
    true_loss = backward(peer, rows)
    wanted = {key: value.grad for key, value in trained(peer).items()}

    for recompute in (False, True):
        dataset = _core.Dataset(256)
        for index, row in enumerate(rows):
            assert dataset.add(index, row.tokens, row.weights, [False] * len(row.tokens)) == ""
        trainer = _core.Trainer(decoder, "lora", 100, 0.0, 0.0, recompute=recompute)
        loss, found = trainer.loss_and_gradients(dataset, list(range(len(rows))))
        assert loss == pytest.approx(true_loss, rel=1e-5)
        assert largest_errors(found, wanted)[0] <= (TOLERANCE, "")


def test_without_the_adapter_the_model_is_as_before(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", SHAPES["tied"])
    decoder = ours(folder, ["all-linear"], tied=True)
    attached = decoder.logits([1, 40, 41])
    start = decoder.weight("model.embed_tokens.weight")
    assert not torch.equal(start[-COUNT:], decoder.merged_weight("model.embed_tokens.weight")[-COUNT:])
    decoder.detach()
    assert torch.equal(decoder.weight("model.embed_tokens.weight"), start)
    assert torch.allclose(start[-1], start[:-COUNT].mean(0), atol=1e-6)
    assert not torch.equal(decoder.logits([1, 40, 41]), attached)
    assert decoder.adapter_tensors() == {}
