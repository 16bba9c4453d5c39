"""Text and tokens: chat templates, typed segments, tokenizers, and the tokens of a row with their weights.

tokenizer = Tokenizer.from_folder("model")
encoder = ChatEncoder(tokenizer)
row = encoder.encode_row(record)           # row.tokens, row.weights, row.ends
"""

from luthier.text.encode import ChatEncoder, EncodedRow
from luthier.text.show import show_row
from luthier.text.template import ChatTemplate
from luthier.text.tokenizer import Tokenizer

__all__ = ["ChatEncoder", "ChatTemplate", "EncodedRow", "Tokenizer", "show_row"]
