"""Clients of a server under test: the official one, and bare connections."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

NAME = "tiny-run"


def client_of(server: Any, key: str = "none") -> Any:
    """The official client of a server, which tries nothing twice."""
    from openai import OpenAI

    return OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=120)


def messages(*contents: str) -> list[dict[str, str]]:
    """A chat of these contents, the user first."""
    return [{"role": ("user", "assistant")[index % 2], "content": content} for index, content in enumerate(contents)]


def connect(server: Any) -> socket.socket:
    """A bare connection to a server."""
    host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def request_bytes(path: str, body: str) -> bytes:
    """A whole request, after whose answer the connection is closed."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    content = body.encode()
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def post(server: Any, body: Any, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, dict[str, Any]]:
    """A request without the official client: its status and body. `Content_Type` stands for Content-Type."""
    bare = connect(server)
    connection = http.client.HTTPConnection(*bare.getpeername()[:2], timeout=120)
    connection.sock = bare
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, {"Content-Type": "application/json"} | named)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """Waits for what happens on another thread; fails after two minutes."""
    for _ in range(12000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")
