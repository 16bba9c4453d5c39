"""What is looked at before a request is read: who sends it, and how large it is."""

from __future__ import annotations

import hmac

from fastapi import Request

from luthier.serve.errors import RequestError
from luthier.serve.settings import ServeSettings

__all__ = ["check_sender", "read_body"]

_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def check_sender(request: Request, settings: ServeSettings) -> None:
    """Raises RequestError for a wrong or missing key, and for what a web page may send to a server without one.

    A page in the user's browser can reach addresses of this machine. It cannot send JSON there unasked, nor hide the
    name that it was loaded from, so both are checked.
    """
    if settings.key is not None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        # Compared in a time that does not tell how much of it is right.
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), settings.key.encode())
        if kind.lower() != "bearer" or not right:
            raise RequestError(
                401, "the key is missing or wrong; send it as: Authorization: Bearer KEY", code="invalid_api_key"
            )
    elif settings.is_local:
        host = request.headers.get("host", "").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in (*_LOCAL_NAMES, settings.host):
            raise RequestError(403, "this server has no key and answers this machine only", code="host_not_allowed")
    if request.method == "POST":
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(415, "the body must be JSON: send Content-Type: application/json")


async def read_body(request: Request, most: int) -> bytes:
    """The body of a request, of at most that many bytes. Raises RequestError for a larger one, before it is read."""
    too_large = RequestError(413, f"the body is larger than {most:,} bytes", code="request_too_large")
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and (len(stated) > 15 or int(stated) > most):
        raise too_large
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            raise too_large
    return bytes(parts)
