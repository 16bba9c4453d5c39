"""Rows of the user's files as typed records: chat JSONL, prompt/completion JSONL, CSV with text and label.

rows = read("train.jsonl")                  # Records: a sequence of Record
rows[0].messages, rows[0].line, rows.bad
"""

from luthier.records.reader import Purpose, read
from luthier.records.record import BadRow, Message, Record, Records

__all__ = ["BadRow", "Message", "Purpose", "Record", "Records", "read"]
