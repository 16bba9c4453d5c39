"""Adapter folders as PEFT writes and reads them.

adapter_config.json, adapter_model.safetensors, and beside them the tokenizer files and the chat template
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import InputError
from luthier.export.adapter_config import CONFIG_FILE, AdapterConfig, linear_modules, read_adapter_config

if TYPE_CHECKING:
    from torch import Tensor

    from luthier import _core
    from luthier.text.tokenizer import Tokenizer

WEIGHTS_FILE = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_ROWS_END = ".token_adapter.trainable_tokens_delta"

__all__ = [
    "CONFIG_FILE",
    "WEIGHTS_FILE",
    "Adapter",
    "AdapterConfig",
    "fill_adapter_folder",
    "read_adapter",
    "write_adapter",
]


@dataclass(frozen=True)
class Adapter:
    """An adapter read from its folder: its configuration and its tensors by their PEFT names.

    `modules` are the full names of the linear layers that it changes; `rows` the values of the rows of
    `config.trained_tokens`, by their PEFT names.
    """

    config: AdapterConfig
    tensors: Mapping[str, Tensor]
    modules: tuple[str, ...]
    rows: Mapping[str, Tensor] = field(default_factory=dict)


def write_adapter(
    folder: Path, tensors: Mapping[str, Tensor], config: AdapterConfig, tokenizer: Tokenizer | None = None
) -> None:
    """Writes a PEFT adapter folder in one step: it is whole, or what was there before is untouched.

    `tensors` are the adapter's under their PEFT names
    ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"); they are written in the type they have. Raises
    OSError, LuthierError when the disk is full.
    """
    from luthier.durable import write_folder

    write_folder(folder, lambda aside: fill_adapter_folder(aside, tensors, config, tokenizer))


def fill_adapter_folder(
    folder: Path, tensors: Mapping[str, Tensor], config: AdapterConfig, tokenizer: Tokenizer | None = None
) -> None:
    """Writes the files of an adapter into an existing folder, without syncing them."""
    from luthier.formats import write_safetensors

    text = json.dumps(config.to_peft(), indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    write_safetensors(folder / WEIGHTS_FILE, dict(tensors), {"format": "pt"})
    if tokenizer is not None:
        tokenizer.save(folder)


def read_adapter(folder: Path, decoder: _core.Decoder | None = None) -> Adapter:
    """Reads a PEFT adapter folder; with a decoder, checks its tensors against the decoder's linear layers.

    Raises InputError when the folder is no adapter, is of a kind that is not supported, or does not fit the decoder.
    """
    from luthier.formats import read_safetensors

    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"[adapter] there is no folder {folder}")
    config = read_adapter_config(folder)
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        other = folder / "adapter_model.bin"
        hint = f"; {other.name} is a pickle, save the adapter again as safetensors" if other.exists() else ""
        raise InputError(f"[adapter] {folder} holds no {WEIGHTS_FILE}{hint}")
    held = read_safetensors(path)
    rows = {name: tensor for name, tensor in held.items() if name.endswith(_ROWS_END)}
    _check_rows(path, config, rows)
    tensors = {name: tensor for name, tensor in held.items() if name not in rows}
    for name in tensors:
        if not name.startswith(_PREFIX) or not name.endswith((".lora_A.weight", ".lora_B.weight")):
            raise InputError(
                f"[adapter] {path}: '{name}' is no LoRA tensor of a linear layer, which is all that is supported"
            )
    modules = tuple(sorted({name.removeprefix(_PREFIX).rpartition(".lora_")[0] for name in tensors}))
    if decoder is not None:
        modules = config.resolve(linear_modules(decoder.weight_names()))
        _check_complete(path, tensors, modules)
    return Adapter(config, tensors, modules, rows)


def _check_rows(path: Path, config: AdapterConfig, rows: Mapping[str, Tensor]) -> None:
    """Raises InputError unless the rows are those of which the configuration speaks."""
    trained = config.trained_tokens
    names = {name.removesuffix(_ROWS_END).rpartition(".")[2]: name for name in rows}
    wanted = () if trained is None else trained.matrices
    if sorted(names) != sorted(wanted) or len(names) != len(rows):
        raise InputError(
            f"[adapter] {path} holds rows of tokens for {', '.join(sorted(names)) or 'nothing'}, and {CONFIG_FILE} "
            f"speaks of {', '.join(wanted) or 'none'} (trainable_token_indices)"
        )
    for name, tensor in rows.items():
        if trained is not None and (tensor.dim() != 2 or len(tensor) != len(trained.ids)):
            raise InputError(
                f"[adapter] {path}: '{name}' has the shape {list(tensor.shape)}, and {CONFIG_FILE} lists "
                f"{len(trained.ids)} tokens"
            )


def _check_complete(path: Path, tensors: Mapping[str, Tensor], modules: tuple[str, ...]) -> None:
    wanted = {f"{_PREFIX}{module}.lora_{side}.weight" for module in modules for side in "AB"}
    if missing := sorted(wanted - set(tensors)):
        raise InputError(
            f"[adapter] {path} lacks {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        )
    if extra := sorted(set(tensors) - wanted):
        raise InputError(f"[adapter] {path} holds {extra[0]}, which is no target of the adapter in this model")
