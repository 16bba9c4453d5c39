"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from luthier.errors import InputError

__all__ = ["ServeSettings"]


@dataclass(frozen=True)
class ServeSettings:
    """The address and the limits of a server.

    `name` is what requests call the model. `system` is the system message of chats that come without one. With a `key`,
    requests must carry it as a bearer token. `max_new_tokens` holds where a request does not say how long its answer
    may be. `max_rows` requests are answered at a time, `max_waiting` more may wait, and each may take `time_limit`
    seconds in all. Keys and values of `cache_tokens` tokens are held, of prompts, answers and what may come again;
    None: as many as 1 GiB holds, 32,768 at most. Port 0 takes any that is free.
    """

    name: str = "luthier"
    host: str = "127.0.0.1"
    port: int = 8000
    key: str | None = None
    system: str | None = None
    max_new_tokens: int = 256
    max_rows: int = 64
    max_waiting: int = 256
    cache_tokens: int | None = None
    max_request_bytes: int = 1_000_000
    time_limit: float = 300.0

    def __post_init__(self) -> None:
        """Raises InputError for a value that cannot be."""
        if not self.name.strip() or not self.name.isprintable():
            raise InputError(f"[serve] the model's name is {self.name!r}; requests need one that can be printed")
        if not 0 <= self.port <= 65535:
            raise InputError(f"[serve] the port is {self.port}; it must be 0 (any that is free) to 65535")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and self.key.strip()):
            raise InputError("[serve] the key must be printable ASCII characters, and not empty")
        for what in ("max_new_tokens", "max_rows", "cache_tokens", "max_request_bytes"):
            value = getattr(self, what)
            if value is not None and value < 1:
                raise InputError(f"[serve] {what} is {value}; it must be at least 1")
        if self.max_waiting < 0:
            raise InputError(f"[serve] max_waiting is {self.max_waiting}; it must be 0 at least")
        if not self.time_limit >= 0:
            raise InputError(f"[serve] the time limit is {self.time_limit}; it must be 0 seconds at least")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
