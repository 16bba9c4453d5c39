"""Talking with a model in a terminal, alone or beside the one that it was fitted from."""

from luthier.chat.conversation import Conversation
from luthier.chat.terminal import Terminal, talk

__all__ = ["Conversation", "Terminal", "talk"]
