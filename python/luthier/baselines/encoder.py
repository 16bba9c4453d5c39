"""A sentence encoder: texts to vectors whose cosine says how alike two texts are in meaning.

    encoder = load_encoder("minilm-folder")
    encoder.encode(["a spruce top", "a maple back"])        # float32 [2, dimensions], each of length 1

Transformers runs it; it is not among Luthier's own requirements, and a message says how to get it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.errors import InputError
from luthier.models.locate import locate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 32
_MOST_TOKENS = 512
_NOT_OF_INTEREST = ("pooler.", "embeddings.position_ids")
"""Weights that a file may lack: sentence vectors do not need them."""

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, repr=False)
class SentenceEncoder:
    """A loaded encoder. Make one with `load_encoder`. `pooling` is how the vectors of a text's tokens become one: their
    mean, or that of the first token; texts are cut after `most_tokens`."""

    name: str
    model: Any
    tokenizer: Any
    pooling: Pooling
    most_tokens: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of unit length, [texts, dimensions]. Raises InputError where they are not finite."""
        import numpy as np
        import torch

        found = np.zeros((len(texts), int(self.model.config.hidden_size)), np.float32)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # batches of like lengths pad little
        with torch.inference_mode():
            for start in range(0, len(order), _AT_ONCE):
                some = order[start : start + _AT_ONCE]
                tokens = self.tokenizer(
                    [texts[index] for index in some],
                    padding=True,
                    truncation=True,
                    max_length=self.most_tokens,
                    return_tensors="pt",
                )
                states = self.model(**tokens).last_hidden_state.float()
                pooled = states[:, 0] if self.pooling == "cls" else _mean(states, tokens["attention_mask"])
                found[some] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        if not np.isfinite(found).all():
            raise InputError(f"[encoder] {self.name}: gives vectors that are not finite numbers")
        return found

    def __repr__(self) -> str:
        return f"SentenceEncoder({self.name!r}, {self.pooling} of up to {self.most_tokens} tokens)"


def load_encoder(name: str | os.PathLike[str]) -> SentenceEncoder:
    """Loads an encoder from a Transformers folder, or from the hub by its id, always from safetensors.

    `1_Pooling/config.json` and `sentence_bert_config.json`, where sentence-transformers left them, say how vectors are
    pooled and after how many tokens texts are cut; without them vectors are means, and texts are cut where the model
    ends. Texts are encoded without a prefix. Raises InputError where a package is missing or the folder holds no
    encoder.
    """
    folder = _folder(name)
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise InputError("[encoder] a sentence encoder needs Transformers: pip install 'luthier[encoder]'") from None
    try:
        with _quietly():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, loading = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:  # Transformers, tokenizers and safetensors raise many kinds
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"[encoder] {folder}: cannot be loaded: {said}") from None
    missing = sorted(key for key in loading["missing_keys"] if not key.startswith(_NOT_OF_INTEREST))
    if missing:
        raise InputError(f"[encoder] {folder}: the file of weights lacks {missing[0]} and {len(missing) - 1:,} more")
    if tokenizer.pad_token_id is None or model.config.is_encoder_decoder:
        raise InputError(f"[encoder] {folder}: a {model.config.model_type} model is no sentence encoder")
    model.eval()
    return SentenceEncoder(str(name), model, tokenizer, _pooling(folder), _length(folder, model, tokenizer))


def _folder(name: str | os.PathLike[str]) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"[encoder] {path}: holds no config.json, so it is no Transformers folder")
        return path
    if path.exists():
        raise InputError(f"[encoder] {path}: is a file; name the folder of a sentence encoder")
    source = locate(name if isinstance(name, str) else path)
    if source.kind != "folder":
        raise InputError(f"[encoder] {name}: is a language model, no sentence encoder")
    return source.path


def _pooling(folder: Path) -> Pooling:
    return "cls" if _values(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token") is True else "mean"


def _length(folder: Path, model: Any, tokenizer: Any) -> int:
    limits = [_MOST_TOKENS, getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    limits.append(_values(folder / "sentence_bert_config.json").get("max_seq_length"))
    return min(int(limit) for limit in limits if isinstance(limit, int | float) and limit > 0)


def _values(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _mean(states: Any, mask: Any) -> Any:
    """The mean of the states [texts, tokens, dimensions] of the tokens that are no padding."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Transformers' own progress bars and warnings, which come back afterwards."""
    from transformers.utils import logging as library_logging

    logging: Any = library_logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
