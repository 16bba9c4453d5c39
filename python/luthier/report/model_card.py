"""README.md in the adapter's folder: what the adapter is and what was measured, as model hubs read it.

The front matter holds `model-index`: https://github.com/huggingface/hub-docs, modelcard.md.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import LuthierError
from luthier.evaluation.result import METRIC_NAMES, with_interval
from luthier.report.data_card import data_card
from luthier.report.plain import visible

if TYPE_CHECKING:
    from luthier.report.parts import Parts
    from luthier.training.run import Run

CARD_FILE = "README.md"
_MARK = "<!-- written by luthier, and written again by it while unchanged: sha256 "
_TASKS = {"classify": ("text-classification", "Text classification")}
_HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "exact_match": "exact_match", "mean_chrf": "chrf"}


def write_model_card(run: Run, parts: Parts) -> Path | None:
    """Writes the card of an evaluated run into its adapter's folder, and gives its path.

    None where the run has no adapter or was not evaluated, or where a README.md is there that Luthier did not write or
    that was changed since. Raises LuthierError where it cannot be written.
    """
    from luthier.durable import write_text

    folder = run.adapter
    if folder is None or not folder.is_dir() or parts.evaluation is None:
        return None
    path = folder / CARD_FILE
    try:
        if path.exists() and not is_own(path.read_text(encoding="utf-8", errors="replace")):
            return None
        write_text(path, signed(card(parts)))
    except OSError as error:
        raise LuthierError(f"[report] cannot write {path}: {error.strerror or error}") from error
    return path


def signed(text: str) -> str:
    """The text with a last line by which `is_own` knows it again."""
    return f"{text}\n{_MARK}{hashlib.sha256(text.encode()).hexdigest()} -->\n"


def is_own(text: str) -> bool:
    """Whether a card is as `signed` left it."""
    body, found, mark = text.rpartition("\n" + _MARK)
    return bool(found) and mark.strip() == f"{hashlib.sha256(body.encode()).hexdigest()} -->"


def card(parts: Parts) -> str:
    """The text of a card: front matter, and the same in words."""
    import yaml

    matter = yaml.safe_dump(front_matter(parts), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{matter}---\n\n{_body(parts)}"


def front_matter(parts: Parts) -> dict[str, Any]:
    """The metadata of the card."""
    evaluation = parts.evaluation
    assert evaluation is not None, "a card is of an evaluated run"
    settings = parts.record["settings"]
    kind, name = _TASKS.get(evaluation.task, ("text-generation", "Text generation"))
    metrics = []
    for key, value in _figures(parts):
        metrics.append({"type": _HUB_METRICS.get(key, key), "value": round(value, 4), "name": METRIC_NAMES[key]})
    result = {
        "task": {"type": kind, "name": name},
        "dataset": {"type": "custom", "name": visible(Path(evaluation.test).name), "split": "test"},
        "metrics": metrics,
    }
    return {
        "base_model": visible(str(settings["model"])),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["luthier", "lora"],
        "model-index": [{"name": visible(parts.folder.name or "adapter"), "results": [result]}],
    }


def _figures(parts: Parts) -> list[tuple[str, float]]:
    evaluation = parts.evaluation
    assert evaluation is not None
    found = {} if evaluation.primary is None else {evaluation.metric: evaluation.primary.value}
    if evaluation.classification is not None:
        found["macro_f1"] = evaluation.classification.macro_f1
    return list((found | {"exact_match": evaluation.exact_match}).items())


def _body(parts: Parts) -> str:
    evaluation, record = parts.evaluation, parts.record
    assert evaluation is not None
    settings = record["settings"]
    lines = [
        f"# {_cell(parts.folder.name or 'adapter')}",
        "",
        f"A LoRA adapter (rank {settings.get('rank')}) of {_code(settings['model'])}, fitted with Luthier "
        f"{record.get('versions', {}).get('luthier', '')}.",
        "",
    ]
    if parts.verdict is not None:
        lines += (
            [f"**{parts.verdict.outcome}**", ""] + [f"- {_cell(reason)}" for reason in parts.verdict.reasons] + [""]
        )
    metric = METRIC_NAMES.get(evaluation.metric, evaluation.metric)
    lines += [
        f"## Measured on {evaluation.n:,} held-out rows",
        "",
        f"| system | {metric} (95% interval) | tuned minus it, points |",
        "|---|---|---|",
        f"| {evaluation.called('this adapter')} | {with_interval(evaluation.primary)} | |",
    ]
    for result in [] if parts.baselines is None else parts.baselines.results:
        compared = parts.baselines.comparison(result.name) if parts.baselines is not None else None
        found = (
            ""
            if compared is None
            else "{:+.1f} ({:+.1f} to {:+.1f})".format(
                *(100 * value for value in (compared.primary.difference, compared.primary.low, compared.primary.high))
            )
        )
        lines.append(f"| {_cell(result.name)} | {with_interval(result.evaluation.primary)} | {found} |")
    lines += ["", "## Data", "", "| use | file | rows | SHA-256 |", "|---|---|---|---|"]
    for one in data_card(record, evaluation):
        rows = "" if one.rows is None else f"{one.rows:,}"
        lines.append(f"| {one.role} | {_code(Path(one.name).name)} | {rows} | `{one.sha256}` |")
    lines += ["", "## Use", "", "```python", "import luthier as lu", ""]
    lines += [f'model = lu.load({str(settings["model"])!r}, adapter="PATH/TO/THIS/FOLDER")', "```", ""]
    lines.append("The folder is in PEFT's format: PEFT and Transformers load it, too.")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text within one line of Markdown, without meaning there."""
    shown = " ".join(visible(text).split())
    for sign in "\\`*_[]<>|#":
        shown = shown.replace(sign, "\\" + sign)
    return shown


def _code(text: object) -> str:
    shown = " ".join(visible(str(text)).split()).replace("`", "'").replace("|", "/")
    return f"`{shown}`"
