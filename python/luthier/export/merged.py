"""A merged model folder, as Transformers reads it: the adapter is added to the weights, nothing of Luthier is needed to
use it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import InputError, LuthierError
from luthier.export.transformers_config import generation_config, model_config

if TYPE_CHECKING:
    from torch import Tensor

    from luthier import _core
    from luthier.models.locate import ModelSource
    from luthier.text.tokenizer import Tokenizer

SHARD_BYTES = 4_000_000_000
_DTYPES = ("bfloat16", "float16", "float32")


def write_merged_folder(
    decoder: _core.Decoder,
    tokenizer: Tokenizer,
    source: ModelSource,
    destination: str | os.PathLike[str],
    dtype: str = "bfloat16",
    shard_bytes: int = SHARD_BYTES,
    on_tensor: Callable[[int], None] | None = None,
) -> Path:
    """Writes config.json, generation_config.json, safetensors, the tokenizer and its template; returns the folder.

    The weights are the decoder's with its adapter added in fp32, then rounded to `dtype`; a tied head stays tied. The
    folder is made aside, synced and renamed: a disk that fills up leaves nothing. `on_tensor` hears how many tensors
    are written. Raises InputError when `destination` exists and is not an empty folder, or for an unknown dtype;
    LuthierError when the disk is full or the folder cannot be written.
    """
    if dtype not in _DTYPES:
        raise InputError(f"[export] dtype is '{dtype}'; it must be one of {', '.join(_DTYPES)}")
    folder = Path(destination).expanduser()
    check_destination(folder)
    from luthier.durable import write_folder

    try:
        write_folder(
            folder,
            lambda aside: fill_merged_folder(aside, decoder, tokenizer, source, dtype, shard_bytes, on_tensor),
        )
    except (OSError, LuthierError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise LuthierError(f"[export] cannot write {folder}: {reason}; nothing was left there") from error
    return folder


def fill_merged_folder(
    folder: Path,
    decoder: _core.Decoder,
    tokenizer: Tokenizer,
    source: ModelSource,
    dtype: str,
    shard_bytes: int = SHARD_BYTES,
    on_tensor: Callable[[int], None] | None = None,
) -> None:
    """Writes the files of a merged model into an existing folder, without syncing the small ones. Raises OSError."""
    _write_json(folder / "config.json", model_config(decoder, tokenizer, source, dtype))
    _write_json(folder / "generation_config.json", generation_config(tokenizer, source))
    tokenizer.save(folder)
    write_shards(folder, _merged(decoder, dtype, on_tensor), shard_bytes)


def check_destination(folder: Path) -> None:
    """Raises InputError unless `folder` is absent or an empty folder, below one that exists or can be made."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise InputError(f"[export] {folder} is not empty; name a folder that does not exist yet")
    elif folder.exists():
        raise InputError(f"[export] {folder} exists and is no folder; name a folder that does not exist yet")


def write_shards(folder: Path, tensors: Iterable[tuple[str, Tensor]], shard_bytes: int) -> list[Path]:
    """Writes tensors to model.safetensors, or to shards of `shard_bytes` at most (a larger tensor stands alone) with
    their index.

    Holds one shard in memory at a time.
    """
    from luthier.formats import write_safetensors

    shards: list[list[str]] = []
    total = 0
    for index, shard in enumerate(_shards(tensors, shard_bytes)):
        write_safetensors(folder / _aside_name(index), shard, {"format": "pt"})
        total += sum(_bytes(tensor) for tensor in shard.values())
        shards.append(list(shard))
    if len(shards) == 1:
        return [(folder / _aside_name(0)).rename(folder / "model.safetensors")]
    files = [f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors" for index in range(len(shards))]
    weight_map = {name: file for file, names in zip(files, shards, strict=True) for name in names}
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})
    return [(folder / _aside_name(index)).rename(folder / file) for index, file in enumerate(files)]


def _shards(tensors: Iterable[tuple[str, Tensor]], shard_bytes: int) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors:
        if shard and size + _bytes(tensor) > shard_bytes:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor
        size += _bytes(tensor)
    yield shard


def _merged(
    decoder: _core.Decoder, dtype: str, on_tensor: Callable[[int], None] | None
) -> Iterator[tuple[str, Tensor]]:
    import torch

    for count, name in enumerate(decoder.weight_names(), start=1):
        yield name, decoder.merged_weight(name).to(getattr(torch, dtype)).contiguous()
        if on_tensor is not None:
            on_tensor(count)


def _aside_name(index: int) -> str:
    return f"shard-{index}.safetensors"


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
