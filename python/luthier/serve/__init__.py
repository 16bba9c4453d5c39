"""A model behind an HTTP interface that OpenAI's clients speak.

with Server(luthier.load("smollm2-135m-instruct"), ServeSettings(port=0)) as server:
    server.url                                  # "http://127.0.0.1:41234/v1"
"""

from luthier.serve.server import Server
from luthier.serve.settings import ServeSettings

__all__ = ["ServeSettings", "Server"]
