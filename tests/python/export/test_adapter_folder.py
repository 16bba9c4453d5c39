"""Adapter folders: PEFT loads ours with our logits, we load PEFT's, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from luthier.errors import InputError
from luthier.export import AdapterConfig, read_adapter, write_adapter
from luthier.formats import read_safetensors, write_safetensors
from luthier.models import Model, load
from tiny_model import TinyShape, make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]
SHORT = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model")


def random_like(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Random values of the same shapes, so that B is not zero."""
    generator = torch.Generator().manual_seed(1)
    return {name: 0.3 * torch.randn(tensor.shape, generator=generator) for name, tensor in sorted(tensors.items())}


def transformers_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def adapted(base: Path, folder: Path, config: AdapterConfig, targets: list[str]) -> Model:
    """A model with a random adapter, which is also written to `folder`."""
    model = load(base, dtype="float32")
    model.decoder.attach_lora(config.rank, config.alpha, targets, config.rslora, 0)
    tensors = random_like(model.decoder.adapter_tensors())
    write_adapter(folder, tensors, config, model.tokenizer)
    return load(base, folder, dtype="float32")


@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("targets", [SHORT, ("q_proj", "down_proj")])
def test_peft_loads_our_folder_with_our_logits(
    base: Path, tmp_path: Path, targets: tuple[str, ...], rslora: bool
) -> None:
    from peft import PeftModel

    model = adapted(
        base, tmp_path / "adapter", AdapterConfig(5, 12.0, targets, rslora, base_model=str(base)), list(targets)
    )
    plain = load(base, dtype="float32")
    theirs = PeftModel.from_pretrained(transformers_model(base), tmp_path / "adapter").eval()
    with torch.no_grad():
        wanted = theirs(torch.tensor([IDS])).logits[0]
    assert relative(model.logits(IDS), wanted) <= 1e-4
    assert relative(plain.logits(IDS), wanted) > 1e-2, "the adapter should change the logits"


def test_peft_generates_our_greedy_tokens(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoTokenizer

    model = adapted(base, tmp_path / "adapter", AdapterConfig(4, 8.0, SHORT), ["all-linear"])
    theirs = PeftModel.from_pretrained(transformers_model(base), tmp_path / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "adapter")
    for text in ("read a file", "sort the mail", "東京"):
        messages = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        wanted = theirs.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
        assert model.generate(text, max_new_tokens=12) == tokenizer.decode(wanted, skip_special_tokens=True)


@pytest.mark.parametrize("targets", ["all-linear", ["v_proj", "up_proj"], r".*\.layers\.[02]\..*(q_proj|gate_proj)"])
def test_we_load_what_peft_saves(base: Path, tmp_path: Path, targets: Any) -> None:
    from peft import LoraConfig, get_peft_model

    theirs = get_peft_model(
        transformers_model(base), LoraConfig(r=3, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM")
    ).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
        wanted = theirs(torch.tensor([IDS])).logits[0]
    theirs.save_pretrained(tmp_path)
    model = load(base, tmp_path, dtype="float32")
    assert relative(model.logits(IDS), wanted) <= 1e-4
    assert model.adapter is not None
    assert model.adapter.rank == 3
    assert "rank 3" in repr(model)


def test_biases_and_an_untied_head_do_not_disturb_an_adapter(tmp_path: Path) -> None:
    from peft import PeftModel

    base = make_tiny_model(tmp_path / "model", TinyShape(tied=False, biases=True, head_dim=6), shards=3)
    model = adapted(base, tmp_path / "adapter", AdapterConfig(4, 8.0, SHORT), ["all-linear"])
    theirs = PeftModel.from_pretrained(transformers_model(base), tmp_path / "adapter").eval()
    with torch.no_grad():
        assert relative(model.logits(IDS), theirs(torch.tensor([IDS])).logits[0]) <= 1e-4


def test_the_folder_holds_what_was_given(base: Path, tmp_path: Path) -> None:
    model = load(base, dtype="float32")
    model.decoder.attach_lora(2, 4.0, ["q_proj"], False, 0)
    tensors = random_like(model.decoder.adapter_tensors())
    write_adapter(tmp_path / "adapter", tensors, AdapterConfig(2, 4.0, ("q_proj",)), model.tokenizer)
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert names == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    found = read_adapter(tmp_path / "adapter", model.decoder)
    assert found.config == AdapterConfig(2, 4.0, ("q_proj",))
    assert found.modules == tuple(f"model.layers.{layer}.self_attn.q_proj" for layer in range(3))
    assert set(found.tensors) == set(tensors)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


def test_an_adapter_that_does_not_fit_is_refused(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    adapted(base, folder, AdapterConfig(4, 8.0, ("q_proj", "v_proj")), ["q_proj", "v_proj"])
    tensors = dict(read_safetensors(folder / "adapter_model.safetensors"))
    name = "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight"

    def refuse(changed: dict[str, torch.Tensor], expected: str) -> None:
        write_safetensors(folder / "adapter_model.safetensors", changed, {})
        with pytest.raises(InputError, match=expected):
            load(base, folder, dtype="float32")

    refuse({key: value for key, value in tensors.items() if key != name}, "lacks .*layers.1.self_attn.q_proj.lora_B")
    refuse(tensors | {name.replace("q_proj", "o_proj"): tensors[name].clone()}, "no target of the adapter")
    refuse(tensors | {"base_model.model.lm_head.weight": tensors[name].clone()}, "is no LoRA tensor")
    refuse(tensors | {name: tensors[name][:, :2].contiguous()}, "layers.1.self_attn.q_proj")
    refuse(tensors | {name: tensors[name].t().contiguous()}, "layers.1.self_attn.q_proj")


def test_a_rank_that_is_not_the_tensors_is_refused(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    adapted(base, folder, AdapterConfig(4, 8.0, ("q_proj",)), ["q_proj"])
    values = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**values, "r": 3}))
    with pytest.raises(InputError, match=r"q_proj"):
        load(base, folder, dtype="float32")
