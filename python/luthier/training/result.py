"""What a finished run leaves: an adapter folder, or a model folder after full fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError, LuthierError

if TYPE_CHECKING:
    from luthier._core import Decoder
    from luthier.export.adapter_config import AdapterConfig
    from luthier.models.locate import ModelSource
    from luthier.text.tokenizer import Tokenizer

ADAPTER = "adapter"
MODEL = "model"


def write_result(
    out: Path, decoder: Decoder, tokenizer: Tokenizer, source: ModelSource, adapter: AdapterConfig | None
) -> dict[str, dict[str, str]]:
    """Writes `adapter/` (PEFT's format), or `model/` (a Transformers folder) when there is no adapter.

    Gives the SHA-256 of its files, under the folder's name. Raises LuthierError when the folder cannot be written.
    """
    folder = out / (ADAPTER if adapter is not None else MODEL)
    try:
        if adapter is not None:
            from luthier.export.adapter import write_adapter

            write_adapter(folder, decoder.adapter_tensors(), adapter, tokenizer)
        else:
            from luthier.export.merged import write_merged_folder

            durable.remove_folder(folder)  # left by a run that was ended just before it was done
            write_merged_folder(decoder, tokenizer, source, folder, dtype=decoder.dtype)
        return {folder.name: durable.content_sha256(folder)}
    except OSError as error:
        raise LuthierError(
            f"cannot write {folder}: {error.strerror or error}; the checkpoints are whole: "
            f"free space and continue with: luthier fit --resume --out {out}"
        ) from error


def result_folder(out: Path, record: dict[str, Any]) -> Path:
    """The folder of a finished run's adapter or, after full fine-tuning, of its model; `record` is its run.json.

    Raises InputError, saying how to go on, where the run has none yet.
    """
    folder = out / (ADAPTER if record["settings"]["adapter"] == "lora" else MODEL)
    if not folder.is_dir():
        raise InputError(
            f"{out}: the run is {record['status']} and has no {folder.name}/ yet; "
            f"continue it with: luthier fit --resume --out {out}"
        )
    return folder
