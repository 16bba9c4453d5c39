"""The spelling of a control token inside a message."""

from __future__ import annotations

import re
from collections import Counter

from luthier.checks.context import Context
from luthier.checks.finding import Finding, FindingRow, fine

CODE = "control-token"

# What chat templates of well-known families write and texts do not. `<s>` and `</s>` are HTML too, so they count only
# where the model has them.
_KNOWN = re.compile(
    r"<\|[a-z][a-z0-9_]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_(?:turn|utterance|text|image)>|"
    r"\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT)\]|<[｜|](?:begin|end)[▁_]of[▁_]sentence[｜|]>|"
    r"<(?:eos|bos|pad|unk)>"
)


def look(context: Context) -> Finding:
    """A warning: Luthier reads these as plain text, but other programs, when they serve the model, may obey them."""
    patterns = [_KNOWN]
    if context.encoder is not None and context.encoder.tokenizer.control.control_pattern is not None:
        patterns.append(context.encoder.tokenizer.control.control_pattern)
    rows = []
    spellings: Counter[str] = Counter()
    seen: dict[str, str | None] = {}
    for file in context.files():
        for index, record in enumerate(file.rows):
            for message in record.messages:
                text = message.content
                if message.role == "system":
                    if text not in seen:
                        seen[text] = _found(patterns, text)
                    spelling = seen[text]
                else:
                    spelling = _found(patterns, text)
                if spelling is not None:
                    spellings[spelling] += 1
                    rows.append(FindingRow(file.place(index), f"{spelling} in a {message.role} message"))
                    break
    if not rows:
        own = "the model's own and those of" if len(patterns) > 1 else "those of"
        return fine(CODE, f"no message spells a control token ({own} well-known models)")
    shown = ", ".join(spelling for spelling, _ in spellings.most_common(4))
    message_ = (
        f"rows with a message that spells a control token ({shown}): perhaps rendered chats, "
        "which the template would wrap again; Luthier reads them as plain text, other programs may not"
    )
    repair = context.show(rows[0].place)
    return Finding(CODE, "warning", message_, len(rows), rows, repair)


def _found(patterns: list[re.Pattern[str]], text: str) -> str | None:
    for pattern in patterns:
        if (match := pattern.search(text)) is not None:
            return match.group()
    return None
