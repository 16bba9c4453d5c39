"""Where a text holds personal data or a secret: patterns, with checksums where the numbers have them.

Every pattern is linear in the text: a run of characters is entered at its start only, and lengths are bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Span", "find_pii", "find_secrets", "masked", "partly_hidden"]


@dataclass(frozen=True)
class Span:
    """The characters [start, end) of a text and what they are; `mask` is what takes their place."""

    start: int
    end: int
    kind: str
    mask: str


@dataclass(frozen=True)
class _Pattern:
    kind: str
    mask: str
    pattern: re.Pattern[str]
    accept: Callable[[str], bool] = lambda text: True


def _luhn(text: str) -> bool:
    """The checksum of payment cards (ISO/IEC 7812-1), and not one digit repeated."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += digit if place % 2 == 0 else (2 * digit - 9 if digit > 4 else 2 * digit)
    return total % 10 == 0


# The lengths of the IBANs of each country (ISO 13616 registry).
_IBAN_LENGTHS = {
    country: int(part.split(":")[0])
    for part in (
        "15:NO 16:BE 18:DK,FI,FO,GL,NL,SD 19:MK,SI 20:AT,BA,EE,KZ,LT,LU,XK 21:CH,HR,LI,LV "
        "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA 23:AE,GI,IL,IQ,TL 24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG "
        "25:LY,PT,ST 26:IS,TR 27:BI,DJ,FR,GR,IT,MC,MR,SM "
        "28:AL,AZ,BY,CY,DO,GT,HU,LB,NI,PL,SV 29:BR,EG,PS,QA,UA 30:JO,KW,MU 31:MT,SC 32:LC 33:RU"
    ).split()
    for country in part.split(":")[1].split(",")
}


def _iban(text: str) -> bool:
    """The checksum of bank accounts: the number, its first four characters last, is 1 modulo 97 (ISO 7064)."""
    compact = text.replace(" ", "").upper()
    if _IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _phone(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    return 7 <= digits <= 15


_EMAIL = (
    r"(?<![\w.+%-])[\w+%-][\w.+%-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
# In fours, as American Express and Diners print them, or in one run.
_CARD = r"(?<![\w.+-])(?:[2-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{4}|3\d{3}([ -]?)\d{6}\2\d{4,5}|[2-6]\d{12,18})(?![\w-]|\.\d)"
_IBAN_SHAPE = r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)"
# A number counts as a telephone's with a country code, an area code in brackets, groups as in North America, or a word
# before it that says so: figures alone are too often something else.
_PHONE = (
    r"(?<![\w+.-])\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}(?![\w-]|\.\d)"
    r"|(?<![\w.-])\(\d{2,5}\) ?\d{3,4}(?:[ -]?\d{2,4}){1,2}(?![\w-])"
    r"|(?<![\w.-])\d{3}[ .-]\d{3}[ .-]\d{4}(?![\w.-]\d|\w)"
    r"|(?i:(?<=tel )|(?<=tel\. )|(?<=tel: )|(?<=tel\.: )|(?<=phone )|(?<=phone: )|(?<=call )|(?<=call me at )"
    r"|(?<=fax: )|(?<=mobile: )|(?<=telefon )|(?<=telefon: ))\d(?:[ ./()-]{0,2}\d){6,14}(?!\w)"
)
_PII = (
    _Pattern("e-mail address", "[EMAIL]", re.compile(_EMAIL)),
    _Pattern("bank account (IBAN)", "[IBAN]", re.compile(_IBAN_SHAPE), _iban),
    _Pattern("card number", "[CARD]", re.compile(_CARD), _luhn),
    _Pattern("telephone number", "[PHONE]", re.compile(_PHONE), _phone),
)


def _random_looking(text: str) -> bool:
    """Not the placeholder of a manual: several different characters, and no word that says so."""
    lowered = text.lower()
    words = ("example", "xxxx", "your", "placeholder", "dummy", "sample", "redacted", "....", "1234567890abcdef")
    return len(set(lowered)) > 7 and not any(word in lowered for word in words)


def _json_token(text: str) -> bool:
    """Whether the first part of a JSON Web Token is the JSON that it must be."""
    import base64
    import json

    head = text.split(".")[0]
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), dict)
    except (ValueError, RecursionError):
        return False


_SECRETS = (
    _Pattern(
        "private key",
        "[PRIVATE KEY]",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]{0,16384}-----END [A-Z0-9 ]{1,40}-----)?"
        ),
    ),
    _Pattern("AWS key", "[KEY]", re.compile(r"(?<!\w)(?:AKIA|ASIA)[A-Z2-7]{16}(?!\w)"), _random_looking),
    _Pattern(
        "GitHub token",
        "[KEY]",
        re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})(?!\w)"),
        _random_looking,
    ),
    _Pattern("GitLab token", "[KEY]", re.compile(r"(?<!\w)glpat-[A-Za-z0-9_-]{20,60}(?![\w-])"), _random_looking),
    _Pattern("Slack token", "[KEY]", re.compile(r"(?<!\w)xox[abeprs]-[A-Za-z0-9-]{10,250}(?![\w-])"), _random_looking),
    _Pattern("Google key", "[KEY]", re.compile(r"(?<!\w)AIza[A-Za-z0-9_-]{35}(?![\w-])"), _random_looking),
    _Pattern("Stripe key", "[KEY]", re.compile(r"(?<!\w)[sr]k_live_[A-Za-z0-9]{16,250}(?!\w)"), _random_looking),
    _Pattern("Hugging Face token", "[KEY]", re.compile(r"(?<!\w)hf_[A-Za-z0-9]{30,60}(?!\w)"), _random_looking),
    _Pattern("npm token", "[KEY]", re.compile(r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"), _random_looking),
    _Pattern("PyPI token", "[KEY]", re.compile(r"(?<!\w)pypi-AgEI[A-Za-z0-9_-]{50,250}(?![\w-])"), _random_looking),
    _Pattern(
        "API key",
        "[KEY]",
        re.compile(r"(?<![\w-])sk-(?:[a-z]{2,8}\d{0,2}-){0,3}[A-Za-z0-9_-]{32,250}(?![\w-])"),
        _random_looking,
    ),
    _Pattern(
        "web token",
        "[TOKEN]",
        re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{4,8192}\.[A-Za-z0-9_-]{16,2048}(?![\w-])"),
        _json_token,
    ),
    _Pattern(
        "password in a URL",
        "[PASSWORD]",
        re.compile(r"(?<=://)[A-Za-z0-9._~%-]{1,64}:[^\s/@:<>{}\[\]$\"']{3,128}(?=@[A-Za-z0-9])"),
        lambda text: text.partition(":")[2].lower() not in ("password", "pass", "passwd", "secret", "pwd"),
    ),
)
# One of these stands in every text that holds any of the patterns: a quick no for most texts.
_PII_HINT = re.compile(r"@|\d[\d ().+/-]{5}|[A-Z]{2}\d{2}")
_SECRET_HINT = re.compile(
    r"-----BEGIN|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|AIza|k_live_|hf_|npm_|pypi-|sk-|eyJ|://"
)


def find_pii(text: str) -> list[Span]:
    """E-mail addresses, IBANs, card and telephone numbers, in order, none overlapping."""
    return _found(_PII, text) if _PII_HINT.search(text) else []


def find_secrets(text: str) -> list[Span]:
    """Keys, tokens and passwords that give access to something, in order, none overlapping."""
    return _found(_SECRETS, text) if _SECRET_HINT.search(text) else []


def masked(text: str, spans: list[Span]) -> str:
    """The text with each span replaced by its mask."""
    parts, end = [], 0
    for span in spans:
        parts += [text[end : span.start], span.mask]
        end = span.end
    return "".join([*parts, text[end:]])


def partly_hidden(text: str) -> str:
    """The first characters of something that should not stand in a log."""
    head = text.splitlines()[0][:4] if text else ""
    return f"{head}... ({len(text)} characters)"


def _found(patterns: tuple[_Pattern, ...], text: str) -> list[Span]:
    """The spans of all patterns in order. Where two overlap the pattern that stands first knows better: the digits of
    an IBAN are no telephone number."""
    spans: list[Span] = []
    starts: list[int] = []
    for pattern in patterns:
        new = [
            Span(match.start(), match.end(), pattern.kind, pattern.mask)
            for match in pattern.pattern.finditer(text)
            if pattern.accept(match.group()) and _is_free(spans, starts, match.start(), match.end())
        ]
        if new:
            spans = sorted([*spans, *new], key=lambda span: span.start)
            starts = [span.start for span in spans]
    return spans


def _is_free(spans: list[Span], starts: list[int], start: int, end: int) -> bool:
    """Whether none of the spans, which are in order, overlaps the characters [start, end)."""
    after = bisect_left(starts, end)
    return after == 0 or spans[after - 1].end <= start
