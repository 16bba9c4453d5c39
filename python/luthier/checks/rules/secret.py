"""Secrets: private keys, API keys, tokens, passwords in URLs."""

from __future__ import annotations

from luthier.checks.context import Context
from luthier.checks.finding import Finding, fine
from luthier.checks.private_data import find_secrets
from luthier.checks.rules.pii import found_rows

CODE = "secret"


def look(context: Context) -> Finding:
    """An error: what a model has learned cannot be taken out of it again, so a single key is too many."""
    rows, kinds = found_rows(context, find_secrets)
    if not rows:
        return fine(CODE, "no private key, API key or token")
    shown = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    message = (
        f"rows with what gives access to something ({shown}): revoke it; once learned it cannot be taken out again"
    )
    return Finding(CODE, "error", message, len(rows), rows, context.clean("--mask", "secrets"))
