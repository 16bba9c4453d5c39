"""The merged folder: Transformers loads it and answers as we do; what cannot be written leaves nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from luthier.errors import InputError, LuthierError
from luthier.export import merged as merged_module
from luthier.export import write_merged_folder
from luthier.formats import read_safetensors
from luthier.models import Model, load
from tiny_model import TinyShape, make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]
PROMPTS = ["read a file", "sort the mail", "naïve 東京", "def read(path):"]
SHAPES = {
    "tied": TinyShape(),
    "untied_with_biases": TinyShape(tied=False, biases=True, head_dim=6),
}


@pytest.fixture(scope="module", params=sorted(SHAPES))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp(request.param) / "model", SHAPES[request.param], shards=2)


def adapted(base: Path) -> Model:
    """The model with a random adapter on every linear layer."""
    model = load(base, dtype="float32")
    model.decoder.attach_lora(4, 8.0, ["all-linear"], False, 0)
    generator = torch.Generator().manual_seed(3)
    shapes = model.decoder.adapter_tensors()
    tensors = {name: 0.2 * torch.randn(tensor.shape, generator=generator) for name, tensor in sorted(shapes.items())}
    model = load(base, dtype="float32")
    model.decoder.attach_adapter(tensors, 4, 8.0, ["all-linear"], False)
    return model


def write(model: Model, folder: Path, **options: Any) -> Path:
    return write_merged_folder(model.decoder, model.tokenizer, model.source, folder, **options)


def test_transformers_gives_our_logits_and_greedy_tokens(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = adapted(base)
    folder = write(model, tmp_path / "merged", dtype="float32")
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert theirs.dtype == torch.float32
    with torch.no_grad():
        wanted = theirs(torch.tensor([IDS])).logits[0]
    assert float((model.logits(IDS) - wanted).norm() / wanted.norm()) <= 1e-4
    for text in PROMPTS:
        messages = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = theirs.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert model.generate(text, max_new_tokens=12) == tokenizer.decode(out, skip_special_tokens=True)


def test_we_load_our_own_merged_folder(base: Path, tmp_path: Path) -> None:
    model = adapted(base)
    again = load(write(model, tmp_path / "merged", dtype="float32"), dtype="float32")
    assert float((again.logits(IDS) - model.logits(IDS)).norm() / model.logits(IDS).norm()) <= 1e-4
    assert again.generate(PROMPTS, max_new_tokens=8) == model.generate(PROMPTS, max_new_tokens=8)


def test_shards_hold_the_same_tensors_and_their_index(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = adapted(base)
    whole = read_safetensors(write(model, tmp_path / "one") / "model.safetensors")
    assert all(tensor.dtype == torch.bfloat16 for tensor in whole.values())
    folder = write(model, tmp_path / "many", shard_bytes=20_000)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert len(files) > 2
    assert files == sorted(path.name for path in folder.glob("*.safetensors"))
    parts = {file: read_safetensors(folder / file) for file in files}
    assert set(index["weight_map"]) == set(whole)
    for name, file in index["weight_map"].items():
        assert torch.equal(parts[file][name], whole[name])
    assert index["metadata"]["total_size"] == sum(tensor.numel() * tensor.element_size() for tensor in whole.values())
    for file in files:
        assert len(parts[file]) == 1 or sum(t.numel() * t.element_size() for t in parts[file].values()) <= 20_000
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.bfloat16


def test_the_configuration_says_what_the_folder_holds(base: Path, tmp_path: Path) -> None:
    folder = write(adapted(base), tmp_path / "merged")
    config = json.loads((folder / "config.json").read_text())
    source = json.loads((base / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert config["eos_token_id"] == 2
    assert config["tie_word_embeddings"] == source["tie_word_embeddings"]
    assert ("lm_head.weight" in read_safetensors(folder / "model.safetensors")) is not source["tie_word_embeddings"]
    for key in (
        "architectures",
        "hidden_size",
        "head_dim",
        "num_key_value_heads",
        "attention_bias",
        "rms_norm_eps",
        "rope_parameters",
    ):
        assert config[key] == source[key]
    generation = json.loads((folder / "generation_config.json").read_text())
    assert (generation["eos_token_id"], generation["bos_token_id"], generation["pad_token_id"]) == (2, 1, 2)


def test_a_destination_in_use_is_refused_and_an_empty_one_is_taken(base: Path, tmp_path: Path) -> None:
    model = load(base, dtype="float32")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty"):
        write(model, tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"is no folder"):
        write(model, tmp_path / "file")
    with pytest.raises(InputError, match=r"dtype is 'int8'"):
        write(model, tmp_path / "new", dtype="int8")
    (tmp_path / "empty").mkdir()
    assert (write(model, tmp_path / "empty") / "model.safetensors").is_file()


def test_a_disk_that_fills_up_leaves_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(base, dtype="float32")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(merged_module, "write_shards", full)
    with pytest.raises(LuthierError, match=r"No space left on device; nothing was left"):
        write(model, tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(base: Path, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        if count == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(load(base, dtype="float32"), tmp_path / "merged", on_tensor=stop)
    assert list(tmp_path.iterdir()) == []
