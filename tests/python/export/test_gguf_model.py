"""GGUF models: Luthier, the gguf package and Transformers read what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from luthier.errors import InputError
from luthier.export.gguf_keys import copied_keys, tokenizer_keys
from luthier.export.gguf_model import GgufModel
from luthier.export.gguf_rope import rope_factors, rope_keys, rope_parameters
from luthier.export.gguf_types import tensor_type
from luthier.export.pre_tokenizer import pre_tokenizer_name
from luthier.formats import GgufFile
from luthier.models import Model, load
from luthier.text.tokenizer import Tokenizer
from tiny_gguf import make_tiny_gguf
from tiny_model import SENTENCES, TinyShape, make_tiny_model
from tiny_pieces import ROWS, make_tiny_piece_model

IDS = [1, 40, 41, 42, 7, 99, 120, 2, 5]
WIDE = TinyShape(hidden=256, heads=4, head_dim=64, key_heads=2, intermediate=512, layers=2)
TEXTS = [*SENTENCES, "a  b\n\n1 22 333\t4", "<|im_end|> is text", "🙂 naïve 東京"]


def adapted(base: Path, size: float = 0.1) -> Model:
    """The model with a random adapter on every linear layer."""
    model = load(base, dtype="float32")
    model.decoder.attach_lora(4, 8.0, ["all-linear"], False, 0)
    shapes = model.decoder.adapter_tensors()
    generator = torch.Generator().manual_seed(3)
    tensors = {name: size * torch.randn(tensor.shape, generator=generator) for name, tensor in sorted(shapes.items())}
    model = load(base, dtype="float32")
    model.decoder.attach_adapter(tensors, 4, 8.0, ["all-linear"], False)
    return model


def write(model: Model, path: Path, kind: str) -> Path:
    GgufModel(model.decoder, model.tokenizer, model.source, kind).write(path)
    return path


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    "shape", [TinyShape(), TinyShape(tied=False, biases=True, head_dim=6)], ids=["tied", "untied with biases"]
)
def test_a_model_is_read_with_the_same_logits_and_words(shape: TinyShape, tmp_path: Path) -> None:
    model = adapted(make_tiny_model(tmp_path / "model", shape))
    again = load(write(model, tmp_path / "model.gguf", "F32"), dtype="float32")
    assert distance(again.logits(IDS), model.logits(IDS)) <= 1e-4
    assert [again.tokenizer.encode_text(text) for text in TEXTS] == [model.tokenizer.encode_text(t) for t in TEXTS]
    assert again.tokenizer.chat_template == model.tokenizer.chat_template
    assert again.encoder.end_ids == model.encoder.end_ids
    assert again.generate(TEXTS, max_new_tokens=6) == model.generate(TEXTS, max_new_tokens=6)


def test_transformers_reads_it_with_the_same_logits(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = adapted(make_tiny_model(tmp_path / "model", TinyShape(tied=False)))
    write(model, tmp_path / "model.gguf", "F32")
    theirs: Any = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf", dtype=torch.float32).eval()
    with torch.no_grad():
        assert distance(theirs(torch.tensor([IDS])).logits[0], model.logits(IDS)) <= 1e-4


@pytest.mark.parametrize(
    ("kind", "limit"), [("F16", 2e-3), ("BF16", 1.6e-2), ("Q8_0", 5e-2), ("Q4_0", 0.6), ("Q4_K", 0.6)]
)
def test_fewer_bits_are_as_close_as_they_can_be(kind: str, limit: float, tmp_path: Path) -> None:
    model = adapted(make_tiny_model(tmp_path / "model", WIDE), size=0.02)
    path = write(model, tmp_path / "model.gguf", kind)
    assert 1e-5 < distance(load(path, dtype="float32").logits(IDS), model.logits(IDS)) <= limit
    stored = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
    assert stored["blk.0.attn_q.weight"] == kind
    assert stored["blk.0.attn_norm.weight"] == "F32"
    assert stored["token_embd.weight"] == ("Q8_0" if kind.startswith("Q4") else kind)


def test_what_is_planned_is_what_is_written(tmp_path: Path) -> None:
    model = load(make_tiny_model(tmp_path / "model", WIDE), dtype="float32")
    for kind in ("F32", "BF16", "Q8_0", "Q4_0", "Q4_K"):
        planned = GgufModel(model.decoder, model.tokenizer, model.source, kind)
        heard: list[int] = []
        planned.write(tmp_path / f"{kind}.gguf", on_tensor=heard.append)
        assert heard == list(range(1, len(planned.tensors) + 1))
        written = (tmp_path / f"{kind}.gguf").stat().st_size
        assert written <= planned.bytes <= written + (1 << 17)
        assert planned.types == {
            name: sum(tensor.tensor_type.name == name for tensor in gguf.GGUFReader(tmp_path / f"{kind}.gguf").tensors)
            for name in planned.types
        }


@pytest.mark.parametrize(
    ("name", "shape", "kind", "wanted"),
    [
        ("blk.0.ffn_up.weight", (64, 512), "Q4_K", "Q4_K"),
        ("blk.0.ffn_up.weight", (64, 576), "Q4_K", "Q5_0"),
        ("blk.0.ffn_up.weight", (64, 40), "Q4_K", "F16"),
        ("blk.0.ffn_up.weight", (64, 40), "Q8_0", "F16"),
        ("blk.0.ffn_norm.weight", (64,), "Q4_0", "F32"),
        ("output.weight", (300, 64), "Q4_0", "Q8_0"),
        ("output.weight", (300, 64), "BF16", "BF16"),
    ],
)
def test_rows_that_are_no_whole_blocks_take_the_next_type(
    name: str, shape: tuple[int, ...], kind: str, wanted: str
) -> None:
    assert tensor_type(name, shape, kind) == wanted


def test_the_sizes_are_those_of_the_model(tmp_path: Path) -> None:
    model = load(make_tiny_model(tmp_path / "model", TinyShape(rope_theta=5000.0, head_dim=6)), dtype="float32")
    metadata = GgufFile(str(write(model, tmp_path / "model.gguf", "F16"))).metadata
    assert (metadata["general.architecture"], metadata["general.type"]) == ("llama", "model")
    found = {key.removeprefix("llama."): value for key, value in metadata.items() if key.startswith("llama.")}
    assert found["block_count"] == 3
    assert (found["attention.head_count"], found["attention.head_count_kv"]) == (4, 2)
    assert found["attention.key_length"] == found["rope.dimension_count"] == 6
    assert found["rope.freq_base"] == 5000.0
    assert found["attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)


def test_sizes_and_tokenizer_of_a_gguf_base_are_copied_key_by_key(tmp_path: Path) -> None:
    base = make_tiny_gguf(make_tiny_model(tmp_path / "model"), tmp_path / "base.gguf")
    path = write(adapted(base), tmp_path / "model.gguf", "F16")
    before, after = gguf.GGUFReader(base), gguf.GGUFReader(path)
    keys = [key for key in before.fields if key.startswith(("tokenizer.", "llama."))]
    assert len(keys) > 15
    for key in keys:
        assert after.fields[key].contents() == before.fields[key].contents(), key
        assert after.fields[key].types == before.fields[key].types, key


def test_keys_keep_the_types_of_the_specification() -> None:
    metadata = {
        "tokenizer.ggml.scores": [0.5, -1.0],
        "tokenizer.ggml.token_type": [1, 3],
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.precompiled_charsmap": [1, 2, 255],
        "tokenizer.chat_template": "x",
        "llama.rope.freq_base": 1e4,
        "general.name": "left out",
    }
    kinds = {key.name: key.kind for key in copied_keys(metadata, "llama")}
    assert list(kinds.values()) == ["FLOAT32", "INT32", "BOOL", "UINT32", "UINT8", "STRING", "FLOAT32"]


@pytest.mark.parametrize("prefix", [True, False], ids=["a space before text", "none"])
def test_a_sentencepiece_model_is_written_with_its_pieces(prefix: bool, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    model = adapted(make_tiny_piece_model(tmp_path / "model", prefix=prefix))
    again = load(write(model, tmp_path / "model.gguf", "F32"), dtype="float32")
    texts = [*TEXTS, "", " ", "     x", "▁a\u0000b", "<s></s><unk><0x0A>", "user\n"]
    assert [again.tokenizer.encode_text(text) for text in texts] == [model.tokenizer.encode_text(t) for t in texts]
    assert again.tokenizer.vocabulary_size == ROWS > model.tokenizer.vocabulary_size
    assert again.tokenizer.control.by_text.keys() == model.tokenizer.control.by_text.keys()
    assert again.tokenizer.adds_bos is model.tokenizer.adds_bos is False
    assert again.encoder.end_ids == model.encoder.end_ids
    assert distance(again.logits(IDS), model.logits(IDS)) <= 1e-4
    assert again.generate(TEXTS, max_new_tokens=6) == model.generate(TEXTS, max_new_tokens=6)
    with pytest.raises(InputError, match="but the model has rows for 7; they do not belong together"):
        tokenizer_keys(model.tokenizer, 7)


def test_a_vocabulary_is_filled_up_to_the_rows_of_the_model(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_folder(make_tiny_model(tmp_path / "model"))
    keys = {key.name: key.value for key in tokenizer_keys(tokenizer, tokenizer.vocabulary_size + 2)}
    assert keys["tokenizer.ggml.tokens"][-2:] == [f"[PAD{tokenizer.vocabulary_size + more}]" for more in (0, 1)]
    assert keys["tokenizer.ggml.token_type"][-2:] == [5, 5]
    assert keys["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    with pytest.raises(InputError, match="tokens, but the model has rows for 7; they do not belong together"):
        tokenizer_keys(tokenizer, 7)


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model")
    description = json.loads((folder / "tokenizer.json").read_text())
    for change in ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}, {"decoder": None}):
        tokenizer = Tokenizer(description | change | {"added_tokens": []}, special_tokens={})
        with pytest.raises(InputError, match="neither byte-level BPE nor"):
            tokenizer_keys(tokenizer, 400)


@pytest.mark.parametrize("name", ["gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "tekken"])
def test_the_way_of_cutting_text_is_found_again(name: str) -> None:
    keys = every_pair_of_characters()
    tokenizer = Tokenizer.from_gguf_metadata({**keys, "tokenizer.ggml.pre": name})
    assert pre_tokenizer_name(tokenizer, keys) == name


def test_a_rule_written_otherwise_is_found_by_what_it_makes_of_texts() -> None:
    keys = every_pair_of_characters()
    description = dict(Tokenizer.from_gguf_metadata({**keys, "tokenizer.ggml.pre": "smollm"}).description)
    digits = {"type": "Split", "pattern": {"Regex": r"\p{N}"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, level]}
    assert pre_tokenizer_name(Tokenizer(description, special_tokens={}), keys) == "smollm"


def test_a_way_of_cutting_text_that_has_no_name_is_refused() -> None:
    keys = every_pair_of_characters()
    description = dict(Tokenizer.from_gguf_metadata({**keys, "tokenizer.ggml.pre": "gpt-2"}).description)
    split = {"type": "Split", "pattern": {"String": "e"}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    description["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
    with pytest.raises(InputError, match="cuts text in none of the ways that can be named"):
        pre_tokenizer_name(Tokenizer(description, special_tokens={}), keys)


def every_pair_of_characters() -> dict[str, Any]:
    """A vocabulary that merges any two ASCII characters, so that every cut shows."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    spelled = [ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(chr(c))[0][0] for c in range(128)]
    pairs = [(left, right) for left in spelled for right in spelled]
    triples = [(f"{a}{b}", c) for a in "0123456789" for b in "0123456789" for c in "0123456789"]
    merges = [f"{left} {right}" for left, right in pairs + triples]
    tokens = [*alphabet, *(left + right for left, right in pairs + triples)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * len(tokens),
        "tokenizer.ggml.merges": merges,
    }


def test_scaled_positions_are_written_as_transformers_computes_them() -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(hidden_size=512, num_attention_heads=4, rope_parameters=rope, max_position_embeddings=131072)
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 1.0 / 500000.0 ** (torch.arange(0, 128, 2) / 128)
    factors = rope_factors(rope, 500000.0, 128)
    assert factors is not None
    assert torch.allclose(plain / factors, scaled, rtol=1e-5)
    assert len(rope_keys("llama", rope, 128)) == 1


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, {"dimension_count": 64}),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, {"dimension_count": 64}),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, {"dimension_count": 32}),
        (
            {"rope_scaling": {"type": "linear", "factor": 2}},
            {"dimension_count": 64, "scaling.type": "linear", "scaling.factor": 2.0},
        ),
        (
            {
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 8.0},
                    "sliding_attention": {"rope_type": "default"},
                }
            },
            {"dimension_count": 64, "scaling.type": "linear", "scaling.factor": 8.0},
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
            {
                "dimension_count": 64,
                "scaling.type": "yarn",
                "scaling.factor": 4.0,
                "scaling.original_context_length": 32,
            },
        ),
    ],
)
def test_positions_are_described_by_a_few_keys(config: dict[str, Any], wanted: dict[str, Any]) -> None:
    rope = rope_parameters(config)
    keys = {key.name.removeprefix("llama.rope."): key.value for key in rope_keys("llama", rope, 64)}
    assert keys == wanted
    assert rope_factors(rope, 10000.0, 64) is None


def test_a_scaling_that_has_no_place_is_refused() -> None:
    with pytest.raises(InputError, match="the rotary scaling 'longrope' cannot be written as GGUF"):
        rope_keys("phi3", rope_parameters({"rope_scaling": {"type": "longrope"}}), 64)


def test_values_are_stored_bit_by_bit_where_the_type_holds_them(tmp_path: Path) -> None:
    model = load(make_tiny_model(tmp_path / "model", dtype="bfloat16"), dtype="float32")
    reader = gguf.GGUFReader(write(model, tmp_path / "model.gguf", "BF16"))
    stored = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    assert np.array_equal(stored["blk.1.ffn_down.weight"], model.decoder.weight("model.layers.1.mlp.down_proj.weight"))
