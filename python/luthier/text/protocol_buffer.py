"""Protocol buffers, as far as a sentencepiece model needs them: the fields of a message, read and written.

The encoding is that of https://protobuf.dev/programming-guides/encoding. A message of the same kind that follows
another one adds to it, and its values win; so a setting is changed by putting it behind the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["Value", "encode_fields", "encode_number", "last_number", "read_fields", "text_of"]

Value = int | bytes
"""A number, or the bytes of text, of a message or of a number of fixed size."""

_VARIABLE, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_NUMBER = 10  # bytes of a 64-bit number


def read_fields(content: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in order, by number. Raises ValueError or IndexError where the bytes are no message."""
    position, end = 0, len(content)
    while position < end:
        key, position = _read_number(content, position)
        form = key & 7
        if form == _VARIABLE:
            value, position = _read_number(content, position)
            yield key >> 3, value
            continue
        if form == _SIZED:
            size, position = _read_number(content, position)
        elif form in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if form == _EIGHT_BYTES else 4
        else:
            raise ValueError("a form of field that is not in use")
        if position + size > end:
            raise ValueError("cut short")
        yield key >> 3, content[position : position + size]
        position += size


def encode_fields(values: Mapping[int, Value]) -> bytes:
    """A message of these fields: numbers of variable length, and bytes with their size."""
    return b"".join(
        encode_number(field << 3 | _VARIABLE) + encode_number(value)
        if isinstance(value, int)
        else encode_number(field << 3 | _SIZED) + encode_number(len(value)) + value
        for field, value in values.items()
    )


def encode_number(value: int) -> bytes:
    """A number of variable length, 7 bits to the byte."""
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def last_number(message: bytes, field: int, default: int) -> int:
    """The number in a field; the last where there are several, `default` where there is none."""
    found = default
    for number, value in read_fields(message):
        if number == field and isinstance(value, int):
            found = value
    return found


def text_of(value: Value) -> bytes:
    """The bytes of a field. Raises ValueError where it is a number."""
    if isinstance(value, int):
        raise ValueError("a number where text belongs")
    return value


def _read_number(content: bytes, position: int) -> tuple[int, int]:
    """The number of variable length at the position, and the position behind it."""
    byte = content[position]
    if byte < 0x80:
        return byte, position + 1
    number = 0
    for index in range(_LONGEST_NUMBER):
        byte = content[position + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise ValueError("a number that is too long")
