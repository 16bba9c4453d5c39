"""A GGUF file exported as a Transformers folder: the configuration is made from the decoder's, the tokenizer from the
metadata."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from luthier.errors import InputError
from luthier.export import write_merged_folder
from luthier.export.transformers_config import model_config
from luthier.models import Model, load
from luthier.models.locate import ModelSource
from luthier.models.registry import find_known
from tiny_gguf import make_tiny_gguf
from tiny_model import TinyShape, make_tiny_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]


def greedy(folder: Path, prompts: list[str], count: int) -> list[str]:
    """The answers of Transformers to user messages."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = []
    for prompt in prompts:
        messages = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        out = model.generate(**ids, max_new_tokens=count, do_sample=False)[0, ids["input_ids"].shape[1] :]
        answers.append(tokenizer.decode(out, skip_special_tokens=True))
    return answers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "qwen3"}, "a qwen3 model: from a GGUF file only plain Llama"),
        ({"rope_scaled": True}, "a llama model with scaled rotary positions: "),
        ({"rope_scaled": True, "window": 9}, "a llama model with a window and scaled rotary positions: "),
    ],
)
def test_what_a_folder_could_not_say_is_refused(changes: dict[str, Any], message: str) -> None:
    config = {"family": "llama", "rope_scaled": False, "window": 0, **changes}
    source = ModelSource("gguf", Path("model.gguf"), "model")
    decoder: Any = SimpleNamespace(config=config)
    tokenizer: Any = None  # never reached
    with pytest.raises(InputError, match=message):
        model_config(decoder, tokenizer, source, "float32")


def export(model: Model, folder: Path) -> Path:
    return write_merged_folder(model.decoder, model.tokenizer, model.source, folder, dtype="float32")


@pytest.mark.parametrize("tied", [True, False])
def test_the_folder_answers_as_the_file_does(tied: bool, tmp_path: Path) -> None:
    original = make_tiny_model(tmp_path / "original", TinyShape(tied=tied, rope_theta=5000.0))
    model = load(make_tiny_gguf(original, tmp_path / "model.gguf"), dtype="float32")
    folder = export(model, tmp_path / "merged")
    prompts = ["read a file", "sort the mail", "naïve 東京", "a  b\n\n1 22"]
    answers = model.generate(prompts, max_new_tokens=12)
    assert greedy(folder, prompts, 12) == answers
    assert greedy(original, prompts, 12) == answers
    assert torch.allclose(load(folder, dtype="float32").logits(IDS), model.logits(IDS), rtol=1e-5, atol=1e-5)


def test_the_configuration_is_that_of_the_original(tmp_path: Path) -> None:
    from transformers import AutoConfig

    original = make_tiny_model(tmp_path / "original", TinyShape(tied=False, rope_theta=5000.0))
    model = load(make_tiny_gguf(original, tmp_path / "model.gguf"), dtype="float32")
    folder = export(model, tmp_path / "merged")
    found, wanted = AutoConfig.from_pretrained(folder), AutoConfig.from_pretrained(original)
    for key in (
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "attention_bias",
        "mlp_bias",
        "tie_word_embeddings",
        "eos_token_id",
        "bos_token_id",
        "hidden_act",
    ):
        assert getattr(found, key) == getattr(wanted, key), key
    assert found.rms_norm_eps == pytest.approx(wanted.rms_norm_eps, rel=1e-6)
    assert found.rope_parameters["rope_theta"] == wanted.rope_parameters["rope_theta"] == 5000.0
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2


def test_smollm2_exported_answers_in_transformers_as_here(tmp_path: Path) -> None:
    known = find_known("smollm2-135m-instruct")
    assert known is not None
    if not known.fetched:
        pytest.skip("smollm2-135m-instruct is not in the cache: luthier fetch smollm2-135m-instruct")
    model = load(known.name, dtype="float32")
    prompts = ["What is the capital of France?", "Write one sentence about rain.", "def add(a, b):"]
    answers = model.generate(prompts, max_new_tokens=24)
    assert greedy(export(model, tmp_path / "merged"), prompts, 24) == answers
