"""llama.cpp loads a GGUF model, or a GGUF adapter over its base model, tokenises the rows, and answers them.

It runs through the package xllamacpp, which brings llama.cpp built, in a process of its own: a file that makes
llama.cpp abort then ends that process and not this one. Without the package the `gguf` package reads the file again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luthier.delivery.files import ADAPTER_FILE, model_file, quantised_types
from luthier.delivery.floor import FLOORS
from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.delivery.loaders.compare import chat, ids_said, plain_rows
from luthier.errors import LuthierError
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from luthier.delivery.replay import Reference

PACKAGE: Final = "xllamacpp"
NEW_TOKENS: Final = 8
_SECONDS = 1800
_WORKER = Path(__file__).with_name("llama_cpp_worker.py")


def check(reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> LoaderResult:
    """Greedy answers and the log-probabilities of their tokens; token ids of a model, which holds a tokenizer."""
    file = folder / (ADAPTER_FILE if choice.format == "gguf-lora" else model_file(choice))
    if find_spec(PACKAGE) is None:
        from luthier.delivery.loaders.gguf_reader import read_again

        return read_again(file)
    from luthier import _core

    rows = _plain_rows(reference, file) if choice.format == "gguf" else []
    with tempfile.TemporaryDirectory(dir=folder, prefix="check-") as place:
        job = {
            "model": str(file if choice.format == "gguf" else _base_file(source, Path(place))),
            "lora": str(file) if choice.format == "gguf-lora" else None,
            "prompts": reference.prompts.ids,
            "new_tokens": NEW_TOKENS,
            "chats": [chat(reference.prompts, row) for row in rows],
            "threads": _core.threads(),
        }
        found = _ask(job, Path(place))
    asked = _asked(choice, source)
    figures, faults = _compare(reference, choice, asked, found["answers"])
    said = f"{figures['greedy']:.1%} of {figures['positions']} greedy tokens the same (at least {asked:.0%})"
    if choice.format == "gguf":
        rendered = zip(rows, found["rendered"], strict=True)
        differing = [reference.prompts.records[row].where for row, ids in rendered if ids != reference.prompts.ids[row]]
        said = f"{ids_said(len(rows), differing)}, {said}"
        if differing:
            faults.append(f"its token ids differ in {len(differing)} of {len(rows)} rows, {differing[0]} first")
    return LoaderResult("llama.cpp", f"{PACKAGE} {version(PACKAGE)}", f"loaded: {said}", tuple(faults), figures)


def _plain_rows(reference: Reference, file: Path) -> list[int]:
    from luthier.formats import GgufFile
    from luthier.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_gguf_metadata(GgufFile(str(file)).metadata)
    return [] if tokenizer.chat_template is None else plain_rows(reference.prompts, tokenizer)


def _base_file(source: ModelSource, place: Path) -> Path:
    """The base model as a GGUF file: its own, or one written for this check alone."""
    if source.kind == "gguf":
        return source.path
    from luthier.export.gguf_model import GgufModel
    from luthier.models import load

    model = load(source.path, dtype="float32")
    GgufModel(model.decoder, model.tokenizer, source, "F32").write(place / "base.gguf")
    return place / "base.gguf"


def _ask(job: dict[str, Any], place: Path) -> dict[str, Any]:
    """Runs the worker, which writes its findings to a file: llama.cpp may print what it likes."""
    out = place / "found.json"
    (place / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, str(_WORKER), str(place / "job.json"), str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise LuthierError(f"llama.cpp did not finish within {_SECONDS // 60} minutes") from None
    if done.returncode != 0 or not out.is_file():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise LuthierError(f"exit status {done.returncode}: {lines[-1] if lines else 'llama.cpp said nothing'}")
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def _compare(
    reference: Reference, choice: Choice, asked: float, answers: Sequence[Sequence[tuple[int, float | None]]]
) -> tuple[dict[str, Any], list[str]]:
    """Figures and faults. Tokens are compared up to the first difference, behind which the two read other texts; the
    log-probabilities of those that are the same are held against the trained and the base model's."""
    positions = equal = scored = 0
    trained_error = base_error = 0.0
    sides = zip(answers, reference.answers, reference.trained, reference.base, strict=True)
    for answer, wanted, trained, base in sides:
        trained_log, base_log = trained.log_softmax(-1), base.log_softmax(-1)
        for index, (token, log_probability) in enumerate(answer[: len(trained)]):
            positions += 1
            # Behind its last token the trained model has stopped, with one of its end tokens.
            same = token == wanted[index] if index < len(wanted) else token in reference.end_ids
            if not same:
                break
            equal += 1
            if log_probability is not None:
                scored += 1
                trained_error += abs(log_probability - float(trained_log[index, token]))
                base_error += abs(log_probability - float(base_log[index, token]))
            if index >= len(wanted):
                break
    if equal == 0:
        return {"positions": positions, "greedy": 0.0}, ["none of its tokens is the trained model's"]
    figures: dict[str, Any] = {
        "positions": positions,
        "greedy": equal / positions,
        "log_probability_error": trained_error / scored if scored else None,
        "base_log_probability_error": base_error / scored if scored else None,
    }
    faults = []
    if figures["greedy"] < asked:
        faults.append(f"{figures['greedy']:.1%} of {positions} greedy tokens are the same (at least {asked:.0%})")
    if base_error < trained_error and _fit_change(reference) > FLOORS[choice.numbers].kl:
        faults.append("the probabilities of its tokens are nearer to the base model's than to the trained one's")
    return figures, faults


def _asked(choice: Choice, source: ModelSource) -> float:
    """The share of greedy tokens that must be the same.

    llama.cpp keeps keys and values in fp16, whatever the weights are. Where these are quantised blocks it rounds what
    is multiplied with them to 8 bits, too, and Luthier does not: over such a base the two agree no better without an
    adapter.
    """
    like = "Q8_0" if choice.format == "gguf-lora" and quantised_types(source) else "float16"
    return min(FLOORS[choice.numbers].greedy, FLOORS[like].greedy)


def _fit_change(reference: Reference) -> float:
    """How far the fit moved the model on the reference's rows, as divergence in nats a token."""
    total, positions = 0.0, 0
    for trained, base in zip(reference.trained, reference.base, strict=True):
        own, other = trained.log_softmax(-1), base.log_softmax(-1)
        total += float((own.exp() * (own - other)).sum())
        positions += len(trained)
    return total / positions
