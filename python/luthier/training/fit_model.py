"""The model of a run: its files hashed, and the adapter that is to be trained attached."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError
from luthier.training.settings import FitSettings, Lora, spell

if TYPE_CHECKING:
    from luthier._core import Decoder, Trainer
    from luthier.export.adapter_config import AdapterConfig
    from luthier.models.locate import ModelSource
    from luthier.text.tokenizer import Tokenizer

_MODEL_ENDINGS = (".safetensors", ".json", ".jinja", ".model", ".gguf")


def model_sha256(source: ModelSource) -> dict[str, str]:
    """SHA-256 by file name of what makes the model: weights, configuration, tokenizer, template.

    Raises InputError when a file cannot be read.
    """
    hashes = _content(source.path)
    return {name: digest for name, digest in hashes.items() if name.endswith(_MODEL_ENDINGS)}


def start_model_sha256(source: ModelSource) -> Callable[[], dict[str, str]]:
    """Starts `model_sha256` on a thread of its own, which hashing leaves free for others; gives the function to ask for
    its result. That raises as `model_sha256` does."""
    pool = ThreadPoolExecutor(1)
    result = pool.submit(model_sha256, source)
    pool.shutdown(wait=False)
    return result.result


def adapter_init_sha256(settings: FitSettings) -> dict[str, str] | None:
    """SHA-256 by file name of the adapter that the run starts from; None without one.

    Raises InputError when a file cannot be read.
    """
    if not isinstance(settings.adapter, Lora) or settings.adapter.init is None:
        return None
    return _content(Path(settings.adapter.init))


def give_rows(decoder: Decoder, tokenizer: Tokenizer, settings: FitSettings) -> range:
    """Gives the decoder rows for the tokens that the settings add, which the tokenizer has already; returns their ids.

    Raises InputError when the decoder has fewer rows than the tokenizer has other tokens.
    """
    texts = settings.vocabulary.add_token
    if not texts:
        return range(0)
    first = tokenizer.added_tokens[texts[0]]
    rows = int(decoder.config["vocabulary_size"])
    if first > rows:
        raise InputError(
            f"'add-token': the tokenizer of '{settings.model}' has {first:,} tokens, but the model has rows for "
            f"{rows:,}; they do not belong together"
        )
    decoder.add_tokens(first, len(texts))
    return range(first, first + len(texts))


def attach(decoder: Decoder, adapter: Lora, seed: int, base_model: str, tokens: range) -> AdapterConfig:
    """Gives the decoder a new adapter, or the one in `adapter.init`, and makes the rows of `tokens` a part of it;
    returns the configuration to save with the result.

    Raises InputError when a target is unknown, or the folder does not fit the model or contradicts the settings.
    """
    from luthier.export.adapter_config import EMBEDDING, HEAD, TrainedTokens

    config = _attach_updates(decoder, adapter, seed, base_model)
    if not tokens:
        return config
    decoder.attach_tokens(tokens.start, len(tokens))
    matrices = (EMBEDDING,) if decoder.config["tied_head"] else (EMBEDDING, HEAD)
    return replace(config, trained_tokens=TrainedTokens(tokens, matrices))


def _attach_updates(decoder: Decoder, adapter: Lora, seed: int, base_model: str) -> AdapterConfig:
    from luthier.export.adapter_config import ALL_LINEAR, AdapterConfig

    if adapter.init is not None:
        return _attach_existing(decoder, adapter, adapter.init, base_model)
    decoder.attach_lora(adapter.rank, adapter.alpha, list(adapter.targets), adapter.rslora, seed)
    targets = tuple(dict.fromkeys(decoder.linear_names)) if adapter.targets == (ALL_LINEAR,) else adapter.targets
    return AdapterConfig(adapter.rank, adapter.alpha, targets, adapter.rslora, base_model=base_model)


def make_trainer(decoder: Decoder, settings: FitSettings) -> Trainer:
    """The trainer of a fit, for a decoder that has its adapter."""
    from luthier import _core

    optimizer, run = settings.optimizer, settings.run
    low = run.memory == "low"
    return _core.Trainer(
        decoder, settings.method, run.micro_tokens, optimizer.clip, optimizer.weight_decay, recompute=low
    )


def recorded_values(adapter: AdapterConfig) -> dict[str, Any]:
    """The flat settings that an adapter folder fixes, as run.json records them when a run starts from one."""
    return {"rank": adapter.rank, "alpha": adapter.alpha, "targets": list(adapter.targets), "rslora": adapter.rslora}


def _attach_existing(decoder: Decoder, adapter: Lora, folder: str, base_model: str) -> AdapterConfig:
    from luthier.export.adapter import read_adapter
    from luthier.export.adapter_config import read_adapter_config

    found = read_adapter(Path(folder), decoder)
    config = replace(read_adapter_config(Path(folder)), base_model=base_model)
    if (trained := config.trained_tokens) is not None:
        raise InputError(
            f"'adapter-init': the adapter {folder} has rows for {len(trained.ids):,} added tokens, and a fit cannot go "
            "on with these yet; export the run with --format merged and fit that model"
        )
    for key in ("rank", "alpha", "targets", "rslora"):
        own, given = getattr(config, key), getattr(adapter, key)
        if key in adapter.model_fields_set and given != own:
            raise InputError(
                f"'{spell(key)}' is {given} but the adapter {folder} has {own}; "
                f"leave '{spell(key)}' out to go on with its own"
            )
    decoder.attach_adapter(dict(found.tensors), config.rank, config.alpha, list(found.config.targets), config.rslora)
    return config


def _content(path: Path) -> dict[str, str]:
    try:
        return durable.content_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
