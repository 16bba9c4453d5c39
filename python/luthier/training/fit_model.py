"""The model of a run: found, hashed, loaded, and given the adapter that is to be trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.training import durable
from luthier.training.adapter_folder import LoraShape, adapted_modules, read_adapter, target_names
from luthier.training.settings import Lora, spell

if TYPE_CHECKING:
    from luthier._core import Decoder
    from luthier.models.locate import ModelSource


def model_sha256(source: ModelSource) -> dict[str, str]:
    """SHA-256 by file name of what makes the model: weights, configuration, tokenizer, template.

    Raises InputError when a file cannot be read.
    """
    try:
        hashes = durable.content_sha256(source.path)
    except OSError as error:
        raise InputError(f"{source.path}: cannot be read: {error.strerror or error}") from None
    endings = (".safetensors", ".json", ".jinja", ".model", ".gguf")
    return {name: digest for name, digest in hashes.items() if name.endswith(endings)}


def adapter_init_sha256(adapter: Lora) -> dict[str, str] | None:
    """SHA-256 of the files of the adapter that a run starts from; None without one."""
    if adapter.init is None:
        return None
    try:
        return durable.content_sha256(Path(adapter.init))
    except OSError as error:
        raise InputError(f"{adapter.init}: cannot be read: {error.strerror or error}") from None


def attach(decoder: Decoder, adapter: Lora, seed: int) -> LoraShape:
    """Gives the decoder a new adapter, or the one in `adapter.init`; returns the shape to record with the result.

    Raises InputError when a target is unknown, or the folder does not fit the model or contradicts the settings.
    """
    if adapter.init is None:
        decoder.attach_lora(adapter.rank, adapter.alpha, list(adapter.targets), adapter.rslora, seed)
        shape = LoraShape(adapter.rank, adapter.alpha, (), adapter.rslora)
    else:
        shape, tensors = read_adapter(Path(adapter.init))
        for key in ("rank", "alpha", "rslora"):
            if key in adapter.model_fields_set and getattr(adapter, key) != getattr(shape, key):
                raise InputError(
                    f"'{spell(key)}' is {getattr(adapter, key)} but the adapter {adapter.init} has {getattr(shape, key)}; "
                    f"leave '{spell(key)}' out to continue with the adapter's own"
                )
        decoder.attach_adapter(tensors, shape.rank, shape.alpha, list(shape.targets), shape.rslora)
    modules = adapted_modules(decoder.adapter_tensors())
    targets = target_names(modules, linear_modules(decoder))
    return LoraShape(shape.rank, shape.alpha, targets, shape.rslora)


def linear_modules(decoder: Decoder) -> list[str]:
    """The full names of the modules an adapter may sit on: `model.layers.0.self_attn.q_proj`, ..."""
    known = set(decoder.linear_names)
    modules = [name.removesuffix(".weight") for name in decoder.weight_names() if name.endswith(".weight")]
    return [module for module in modules if module.rpartition(".")[2] in known]
