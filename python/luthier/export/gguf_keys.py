"""The metadata of a GGUF model file: its sizes and its tokenizer, as keys with their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from luthier.errors import InputError

if TYPE_CHECKING:
    import gguf

    from luthier.text.tokenizer import Tokenizer

Kind = Literal["STRING", "BOOL", "UINT32", "INT32", "FLOAT32", "UINT8"]

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_TOKENIZER = "tokenizer."


@dataclass(frozen=True)
class GgufKey:
    """A key of the metadata. `kind` is its type, or that of the elements where `value` is a list."""

    name: str
    value: Any
    kind: Kind

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Adds it to a file that is being written."""
        import gguf

        kind = gguf.GGUFValueType[self.kind]
        if isinstance(self.value, list):
            writer.add_key_value(self.name, self.value, gguf.GGUFValueType.ARRAY, sub_type=kind)
        else:
            writer.add_key_value(self.name, self.value, kind)


def size_keys(architecture: str, config: Mapping[str, Any]) -> list[GgufKey]:
    """The keys that say how large a decoder is, from the configuration as the core gives it."""
    whole = {
        "vocab_size": "vocabulary_size",
        "context_length": "max_positions",
        "embedding_length": "hidden_size",
        "block_count": "layers",
        "feed_forward_length": "intermediate_size",
        "attention.head_count": "heads",
        "attention.head_count_kv": "key_heads",
        "attention.key_length": "head_size",
        "attention.value_length": "head_size",
    }
    real = {"attention.layer_norm_rms_epsilon": "norm_epsilon", "rope.freq_base": "rope_base"}
    return [
        *(GgufKey(f"{architecture}.{key}", int(config[name]), "UINT32") for key, name in whole.items()),
        *(GgufKey(f"{architecture}.{key}", float(config[name]), "FLOAT32") for key, name in real.items()),
    ]


def family_keys(architecture: str, keys: Mapping[str, str], config: Mapping[str, Any]) -> list[GgufKey]:
    """The keys that only a family has; `config` is config.json, of which missing and null values are left out."""
    return [
        GgufKey(f"{architecture}.{key}", config[name], _kind(key, config[name]))
        for key, name in keys.items()
        if config.get(name) is not None
    ]


def copied_keys(metadata: Mapping[str, Any], architecture: str) -> list[GgufKey]:
    """Sizes, tokenizer and chat template of a GGUF file that the model came from, key by key."""
    return [
        GgufKey(name, list(value) if isinstance(value, list | tuple) else value, _kind(name, value))
        for name, value in metadata.items()
        if name.startswith((_TOKENIZER, f"{architecture}."))
    ]


def grown_keys(keys: Sequence[GgufKey], tokenizer: Tokenizer, rows: int, architecture: str) -> list[GgufKey]:
    """The keys of a file that the model came from, with the tokens that were added since: the tokenizer's from those of
    the file on, up to the `rows` of the embedding."""
    values = {key.name: key for key in keys}
    known = len(values["tokenizer.ggml.tokens"].value) if "tokenizer.ggml.tokens" in values else rows
    if known >= rows:
        return list(keys)
    new = [tokenizer.token(id) for id in range(known, rows)]
    types = "tokenizer.ggml.token_type"
    values.setdefault(types, GgufKey(types, [_NORMAL] * known, "INT32"))
    size = f"{architecture}.vocab_size"
    ends: dict[str, list[Any]] = {
        "tokenizer.ggml.tokens": new,
        types: [_USER_DEFINED] * len(new),
        "tokenizer.ggml.scores": [0.0] * len(new),
    }
    for name, end in ends.items():
        if name in values:
            values[name] = replace(values[name], value=[*values[name].value, *end])
    if size in values:
        values[size] = replace(values[size], value=rows)
    return list(values.values())


def tokenizer_keys(tokenizer: Tokenizer, rows: int) -> list[GgufKey]:
    """The keys of a tokenizer with its chat template, for an embedding of `rows` rows: byte-level BPE, a sentencepiece
    model, or a tokenizer.json made from one.

    Rows beyond the vocabulary get names that no text yields. Raises InputError where the tokenizer is of another kind,
    has more tokens than the model, or cuts text in a way that no GGUF reader knows.
    """
    if tokenizer.pieces is not None:
        from luthier.export.gguf_pieces import piece_keys

        return [*piece_keys(tokenizer.pieces, rows), *_other_keys(tokenizer)]
    from luthier.export.gguf_byte_fallback import byte_fallback_keys, has_byte_fallback

    if has_byte_fallback(tokenizer.description):
        return [*byte_fallback_keys(tokenizer, rows), *_other_keys(tokenizer)]
    model = tokenizer.description.get("model") or {}
    if model.get("type") != "BPE" or not _is_byte_level(tokenizer.description.get("decoder")):
        raise InputError(
            f"[export] the tokenizer.json is {model.get('type')!r} and neither byte-level BPE nor BPE with bytes to "
            "fall back on; besides these only a tokenizer.model can be written as GGUF; use --format merged or peft, "
            "or fit the model's GGUF file"
        )
    texts = {int(id): str(text) for text, id in model["vocab"].items()} | {
        id: text for text, id in tokenizer.added_tokens.items()
    }
    check_rows(max(texts) + 1, rows)
    added = set(tokenizer.added_tokens.values())
    types = [
        _UNUSED
        if id not in texts
        else _CONTROL
        if id in tokenizer.control.ids
        else _USER_DEFINED
        if id in added
        else _NORMAL
        for id in range(rows)
    ]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    keys = [
        GgufKey("tokenizer.ggml.model", "gpt2", "STRING"),
        GgufKey("tokenizer.ggml.tokens", [texts.get(id, f"[PAD{id}]") for id in range(rows)], "STRING"),
        GgufKey("tokenizer.ggml.token_type", types, "INT32"),
        GgufKey("tokenizer.ggml.merges", merges, "STRING"),
        *_other_keys(tokenizer),
    ]
    from luthier.export.pre_tokenizer import pre_tokenizer_name

    pre = pre_tokenizer_name(tokenizer, {key.name: key.value for key in keys})
    keys.insert(1, GgufKey("tokenizer.ggml.pre", pre, "STRING"))
    return keys


def check_rows(tokens: int, rows: int) -> None:
    """Raises InputError where a tokenizer has more tokens than a model's embedding has rows."""
    if tokens > rows:
        raise InputError(
            f"[export] the tokenizer has {tokens:,} tokens, but the model has rows for {rows:,}; they do not belong "
            "together"
        )


def _other_keys(tokenizer: Tokenizer) -> list[GgufKey]:
    adds_bos = GgufKey("tokenizer.ggml.add_bos_token", tokenizer.adds_bos, "BOOL")
    return [*_special_keys(tokenizer), adds_bos, *_template_keys(tokenizer)]


def _special_keys(tokenizer: Tokenizer) -> list[GgufKey]:
    from luthier.text.encode import ChatEncoder

    ids = {"bos": tokenizer.bos_id, "eos": tokenizer.eos_id, "unknown": tokenizer.unk_id, "padding": tokenizer.pad_id}
    end_of_turn = ChatEncoder(tokenizer).end_of_turn_id
    if end_of_turn is not None and end_of_turn != tokenizer.eos_id:
        ids["eot"] = end_of_turn
    return [GgufKey(f"tokenizer.ggml.{name}_token_id", id, "UINT32") for name, id in ids.items() if id is not None]


def _template_keys(tokenizer: Tokenizer) -> list[GgufKey]:
    keys = []
    if tokenizer.tool_template is not None:
        keys.append(GgufKey("tokenizer.chat_template.tool_use", tokenizer.tool_template, "STRING"))
        keys.append(GgufKey("tokenizer.chat_templates", ["tool_use"], "STRING"))
    if tokenizer.chat_template is not None:
        keys.append(GgufKey("tokenizer.chat_template", tokenizer.chat_template, "STRING"))
    return keys


def _is_byte_level(decoder: Any) -> bool:
    if not isinstance(decoder, Mapping):
        return False
    if decoder.get("type") == "Sequence":
        parts: Sequence[Any] = decoder.get("decoders") or []
        return any(_is_byte_level(part) for part in parts)
    return decoder.get("type") == "ByteLevel"


def _kind(name: str, value: Any) -> Kind:
    """The type that the format's specification gives a key with that value."""
    one = value[0] if isinstance(value, list | tuple) and value else value
    if name.endswith("precompiled_charsmap"):
        return "UINT8"
    if isinstance(one, bool):
        return "BOOL"
    if isinstance(one, int):
        return "INT32" if isinstance(value, list | tuple) else "UINT32"
    return "FLOAT32" if isinstance(one, float) else "STRING"
