"""config.json and generation_config.json of an exported model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier import _core
    from luthier.models.locate import ModelSource
    from luthier.text.tokenizer import Tokenizer

# Keys of a source's config.json that would be wrong in the export.
_DROPPED = ("torch_dtype", "_name_or_path", "quantization_config", "transformers_version")


def model_config(decoder: _core.Decoder, tokenizer: Tokenizer, source: ModelSource, dtype: str) -> dict[str, Any]:
    """The source folder's config.json with `dtype` set, or for a GGUF file one made from the decoder's."""
    if source.kind == "folder":
        values = _read(source.path / "config.json")
        for key in _DROPPED:
            values.pop(key, None)
    else:
        values = _from_decoder(decoder.config, source)
    if values.get("model_type") == "llama":
        values.setdefault("architectures", ["LlamaForCausalLM"])
    values["vocab_size"] = int(decoder.config["vocabulary_size"])  # larger where tokens were added
    values["dtype"] = dtype
    values["tie_word_embeddings"] = bool(decoder.config["tied_head"])
    values.update(_special_ids(tokenizer, values))
    return values


def generation_config(tokenizer: Tokenizer, source: ModelSource) -> dict[str, Any]:
    """The source's generation_config.json (sampling settings kept) with the end tokens that Luthier stops at."""
    values = _read(source.path / "generation_config.json") if source.kind == "folder" else {}
    values.pop("transformers_version", None)
    values.update(_special_ids(tokenizer, values))
    return values


def _from_decoder(config: Mapping[str, Any], source: ModelSource) -> dict[str, Any]:
    """Transformers' names for a Llama configuration as the core gives it; InputError for any other."""
    more = {"a window": config["window"] > 0, "scaled rotary positions": config["rope_scaled"]}
    peculiar = [text for text, true in more.items() if true]
    if config["family"] != "llama" or peculiar:
        kind = " and ".join([f"a {config['family']} model", *peculiar]).replace(" and ", " with ", 1)
        raise InputError(
            f"[export] {source.path} is {kind}: from a GGUF file only plain Llama models can be written as a folder; "
            "load the model from its Transformers folder, or export the adapter alone"
        )
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": config["vocabulary_size"],
        "hidden_size": config["hidden_size"],
        "intermediate_size": config["intermediate_size"],
        "num_hidden_layers": config["layers"],
        "num_attention_heads": config["heads"],
        "num_key_value_heads": config["key_heads"],
        "head_dim": config["head_size"],
        "max_position_embeddings": config["max_positions"],
        "rms_norm_eps": config["norm_epsilon"],
        "rope_theta": config["rope_base"],
        "attention_bias": bool(config["attention_bias"]),
        "mlp_bias": bool(config["feed_forward_bias"]),
    }


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, {} if there is no such file.."""
    if not path.exists():
        return {}
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _special_ids(tokenizer: Tokenizer, values: Mapping[str, Any]) -> dict[str, int | list[int]]:
    """The ids of the special tokens: the end of a turn first among those at which decoding stops."""
    from luthier.text.encode import ChatEncoder

    encoder = ChatEncoder(tokenizer)
    ends = sorted(encoder.end_ids, key=lambda token: (token != encoder.end_of_turn_id, token))
    ids: dict[str, int | list[int]] = {}
    if ends:
        ids["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    if tokenizer.bos_id is not None:
        ids["bos_token_id"] = tokenizer.bos_id
    if values.get("pad_token_id") is None and (ends or tokenizer.pad_id is not None):
        ids["pad_token_id"] = tokenizer.pad_id if tokenizer.pad_id is not None else ends[0]
    return ids
