"""Rows of the user's files as typed records: chats, prompts with answers, Alpaca, ShareGPT, tables, tool calls.

rows = read("train.jsonl")                  # Records: a sequence of Record
rows[0].messages, rows[0].line, rows.bad, rows.format
"""

from luthier.records.reader import Purpose, read
from luthier.records.record import BadRow, Format, Message, Record, Records, ToolCall

__all__ = ["BadRow", "Format", "Message", "Purpose", "Record", "Records", "ToolCall", "read"]
