"""What the template shows, as plain values made from the parts of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from luthier.evaluation import SeedFigures
from luthier.report.data_card import data_card
from luthier.report.parts import Parts
from luthier.report.view_errors import errors_view
from luthier.report.view_figures import baselines_view, classes_view, confusion_view, learning_view, results_view
from luthier.verdict.result import MEANING

SECTIONS = (
    ("baselines", "Baselines"),
    ("learning", "Learning"),
    ("results", "Figures"),
    ("errors", "Errors"),
    ("data", "Data"),
    ("checks", "Checks"),
    ("forgetting", "Forgetting"),
    ("settings", "Settings"),
)
_FINDING_ROWS = 10
_SEVERITIES = ("error", "warning", "fine")


def view(parts: Parts, safe: Callable[[str], Any]) -> dict[str, Any]:
    """The values of the template; `safe` marks text that is HTML already."""
    record = parts.record
    settings = record["settings"]
    model = str(settings.get("model"))
    started = str(record.get("started", ""))[:10]
    method = f"LoRA of rank {settings.get('rank')}" if settings.get("adapter") == "lora" else "every weight"
    name = parts.folder.resolve().name or str(parts.folder)
    notes = list(parts.notes)

    def attempt(part: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            notes.append(f"{part}: not shown, a file of the run is damaged ({type(error).__name__}: {error})")
            return None

    version = attempt("versions", lambda: (record.get("versions") or {}).get("luthier", "")) or ""
    return {
        "title": f"{name}: Luthier report",
        "name": name,
        "subtitle": f"{model}, {method}, fitted {started or 'at an unknown time'}; the run is {record.get('status')}",
        "folder": str(parts.folder),
        "sections": SECTIONS,
        "verdict": verdict_view(parts),
        "figures": attempt("figures", lambda: figures_view(parts)) or [],
        "notes": notes,
        "baselines": attempt("baselines", lambda: baselines_view(parts, safe)),
        "learning": attempt("learning", lambda: learning_view(parts, safe)),
        "results": attempt("figures", lambda: results_view(parts, safe)),
        "classes": attempt("classes", lambda: classes_view(parts)),
        "confusion": attempt("confusion", lambda: confusion_view(parts)),
        "errors": attempt("errors", lambda: errors_view(parts, safe)),
        "data": attempt("data", lambda: data_card(record, parts.evaluation)) or [],
        "ledger": attempt("ledger", lambda: ledger_view(parts)),
        "check": attempt("checks", lambda: check_view(parts.check)),
        "forgetting": attempt("forgetting", lambda: forgetting_view(parts.forgetting)),
        "settings": attempt("settings", lambda: settings_view(record)) or [],
        "version": version,
    }


def verdict_view(parts: Parts) -> dict[str, Any] | None:
    """The verdict, its reasons and what else was looked at."""
    verdict = parts.verdict
    if verdict is None:
        return None
    others = [] if verdict.outcome == "SHIP" else list(verdict.passed)
    return {
        "outcome": verdict.outcome,
        "meaning": MEANING[verdict.outcome],
        "deciding": verdict.deciding,
        "others": [*others, *verdict.remarks],
        "thresholds": list(verdict.thresholds.rows()),
    }


def figures_view(parts: Parts) -> list[dict[str, str]]:
    """The few figures that stand large at the top."""
    from luthier.evaluation.result import METRIC_NAMES

    evaluation = parts.evaluation
    if evaluation is None:
        return []
    found = []
    if (primary := evaluation.primary) is not None:
        metric = METRIC_NAMES.get(evaluation.metric, evaluation.metric)
        more = f"{100 * primary.low:.1f} to {100 * primary.high:.1f}"
        if evaluation.constraint is not None:
            more += f"; answers constrained to {evaluation.constraint.kind}"
        found.append({"name": f"{metric}, tuned", "value": f"{primary.value:.1%}", "more": more})
    if parts.baselines is not None and parts.baselines.rivals:
        best = min((compared for _, compared in parts.baselines.rivals), key=lambda one: one.primary.difference)
        closest = best.primary
        found.append({"name": "best baseline", "value": f"{closest.second:.1%}", "more": best.second})
        more = f"points; {100 * closest.low:+.1f} to {100 * closest.high:+.1f}"
        found.append({"name": "tuned minus it", "value": f"{100 * closest.difference:+.1f}", "more": more})
    seeds = evaluation.block(SeedFigures)
    if seeds is not None and len(seeds.runs) > 1:
        least, most = min(seeds.runs.values()), max(seeds.runs.values())
        spread = f"{100 * least:.1f} to {most:.1%}"
        found.append({"name": f"over {len(seeds.runs)} seeds", "value": spread, "more": f"mean {seeds.mean:.1%}"})
    found.append({"name": "held-out rows", "value": f"{evaluation.n:,}", "more": f"task: {evaluation.task}"})
    return found


def ledger_view(parts: Parts) -> dict[str, Any] | None:
    """The ledger's counts, and the rows that were cut or dropped."""
    found = parts.ledger
    if not found:
        return None
    names = {
        "rows": "rows of the training file",
        "used": "used",
        "tokens": "tokens of used rows",
        "supervised_tokens": "supervised tokens",
        "cut": "rows cut at the greatest length",
        "end_not_supervised": "used rows whose end token is not supervised",
    }
    facts = [(words, f"{found[key]:,.0f}") for key, words in names.items() if key in found]
    facts += [(f"left out: {reason}", f"{count:,}") for reason, count in (found.get("dropped") or {}).items()]
    rows = [
        {
            "file": line["file"],
            "line": line["line"],
            "words": f"left out: {line['dropped']}" if line["dropped"] else f"{line['tokens_cut']:,} tokens cut",
        }
        for line in parts.ledger_rows
    ]
    return {"facts": facts, "rows": rows}


def check_view(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The findings of `luthier check`, the grave ones first."""
    if check is None:
        return None
    found = sorted(check["findings"], key=lambda one: _SEVERITIES.index(one["severity"]))
    counts = {name: sum(one["severity"] == name for one in found) for name in _SEVERITIES}
    shown = [
        {
            "code": one["code"],
            "severity": one["severity"],
            "count": f"{one['count']:,}" if one["severity"] != "fine" else "",
            "message": one.get("message", ""),
            "repair": one.get("repair", "") if one["severity"] != "fine" else "",
            "rows": [
                {"file": row["file"], "line": row["line"], "note": row.get("note", ""), "other": row.get("other")}
                for row in one.get("rows", [])[:_FINDING_ROWS]
            ],
        }
        for one in found
    ]
    rows = f"{check['rows']:,} rows: " if "rows" in check else ""
    tally = f"{rows}{counts['fine']} checks fine, {counts['warning']} warnings, {counts['error']} errors"
    return {"findings": shown, "tally": tally}


def forgetting_view(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Losses on general material before and after, and answers that became wrong."""
    if found is None:
        return None
    names = {"general": "all general text", "prose": "prose", "references": "right answers", "keep": "rows to keep"}
    rows = [
        {
            "name": words,
            "before": f"{one['before']:.3f}",
            "after": f"{one['after']:.3f}",
            "change": f"{one['change']:+.1%} ({one['low']:+.1%} to {one['high']:+.1%})",
        }
        for key, words in names.items()
        if (one := found.get(key)) is not None
    ]
    lost = [
        {"prompt": one.get("prompt") or one.get("id"), "before": one["before"], "after": one["after"]}
        for one in [*found.get("keep_right_to_wrong", ()), *found.get("right_to_wrong", ())]
    ]
    return {"reason": found.get("reason", ""), "rows": rows, "lost": lost}


def settings_view(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Settings, versions and machine, as names and values."""
    settings = [
        (key.replace("_", "-"), _words(value)) for key, value in record["settings"].items() if value is not None
    ]
    run = [(key, str(record[key])) for key in ("status", "started", "ended") if record.get(key)]
    versions = [(key, str(value)) for key, value in (record.get("versions") or {}).items()]
    machine = [(key.replace("_", " "), str(value)) for key, value in (record.get("machine") or {}).items()]
    model = (record.get("sha256") or {}).get("model") or {}
    hashes = [(name, digest[:16]) for name, digest in model.items()] if isinstance(model, Mapping) else []
    return [
        ("Settings", settings),
        ("Run and versions", run + versions),
        ("Machine", machine),
        *([("Base model, SHA-256", hashes)] if hashes else []),
    ]


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
