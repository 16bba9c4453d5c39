"""From what the user writes for MODEL to files on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luthier.errors import InputError
from luthier.models.registry import find_known, nearest_names

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model"]


@dataclass(frozen=True)
class ModelSource:
    """A model on disk: a Transformers folder or a GGUF file, and the name under which the user knows it.

    `name` is what an adapter records as its base model: the registry name, the hub id, or the absolute path.
    """

    kind: Literal["folder", "gguf"]
    path: Path
    name: str


def locate(model: str | Path) -> ModelSource:
    """Finds a Transformers folder, a GGUF file, a known name that was fetched, or a hub id (in this order).

    Raises InputError that says what to do: fetch the known model, mend the path, or one of the nearest known names.
    """
    text = str(model)
    path = Path(text).expanduser()
    known = find_known(text)
    if path.is_dir() and (known is None or (path / "config.json").exists()):
        return _folder(path)
    if path.is_file():
        return _file(path)
    if known is not None:
        if known.fetched:
            return ModelSource("gguf", known.path, known.name)
        raise InputError(f"[model] '{known.name}' is known but not fetched yet; run: luthier fetch {known.name}")
    if (
        isinstance(model, Path)
        or text.startswith(("/", "./", "../", "~"))
        or path.suffix == ".gguf"
        or text.count("/") > 1
    ):
        raise InputError(f"[model] there is no file or folder {path}")
    if _HUB_ID.fullmatch(text):
        return _from_hub(text)
    raise InputError(
        f"[model] '{text}' is neither a file, a folder nor a known name; did you mean {_nearest(text)}? {_KINDS}"
    )


_KINDS = "A model is a Transformers folder, a GGUF file, a name from `luthier models`, or a hub id such as owner/name"


def _nearest(text: str) -> str:
    return " or ".join(f"'{name}'" for name in nearest_names(text))


def _folder(path: Path) -> ModelSource:
    path = path.resolve()
    if (path / "config.json").is_file():
        return ModelSource("folder", path, str(path))
    if (path / "adapter_config.json").is_file():
        raise InputError(
            f"[model] {path} is an adapter, not a model; give the base model as the model and this folder as "
            "the adapter"
        )
    if (path / "run.json").is_file():
        raise InputError(f"[model] {path} is a run, not a model; export it first: luthier export {path} --to FOLDER")
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return ModelSource("gguf", files[0], str(files[0]))
    if files:
        raise InputError(f"[model] {path} holds {len(files)} GGUF files; name one of them, such as {files[0]}")
    raise InputError(f"[model] {path} holds no config.json and no GGUF file, so it is no model folder")


def _file(path: Path) -> ModelSource:
    path = path.resolve()
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"GGUF":
        return ModelSource("gguf", path, str(path))
    if (path.parent / "config.json").is_file():
        raise InputError(f"[model] {path} is a file of a model folder; name the folder: {path.parent}")
    raise InputError(f"[model] {path} is no GGUF file: it begins with {magic!r}")


def _from_hub(name: str) -> ModelSource:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError(
            f"[model] there is no folder '{name}', and to fetch it as a hub id the package huggingface_hub is needed "
            f"(pip install huggingface_hub). Known without it: {_nearest(name)}"
        ) from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=_HUB_FILES, etag_timeout=10))
    except Exception as error:  # the hub's client raises its own, urllib's and httpx's errors
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"[model] there is no folder '{name}', and it cannot be fetched as a hub id: {said} Known without "
            f"a hub: {_nearest(name)}"
        ) from error
    if not (folder / "config.json").is_file():
        raise InputError(f"[model] the hub's '{name}' holds no config.json, so it is no Transformers model")
    return ModelSource("folder", folder, name)
