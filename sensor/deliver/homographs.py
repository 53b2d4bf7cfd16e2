"""Letters that pass for others: such names show in the form in which they are nobody else's.

1. In what may be a host name, labels that are not ASCII show as in DNS: `xn--pple-43d.com` (RFC 3492, RFC 5891).
2. Elsewhere letters that pass for Latin ones show as their numbers: some always, some only beside Latin ones, so that
   names written in other alphabets stay readable.
"""

import re
import unicodedata

ALWAYS = ("MATHEMATICAL ", "FULLWIDTH LATIN ", "LATIN LETTER SMALL CAPITAL ")
BESIDE_LATIN = ("CYRILLIC ", "GREEK ", "ARMENIAN ", "CHEROKEE ", "COPTIC ", "LISU ", "GEORGIAN ")
"""Alphabets whose letters pass for Latin ones (Unicode TS 39): a word has only one of them, but may mix in Chinese."""

DOTS = ".\u3002\uff0e\uff61\u2024"
"""The full stop and what browsers take for one (UTS 46)."""

MAX_LABEL = 63
"""Bytes of one label of a host name (RFC 1035 section 2.3.4)."""

_PLAIN = frozenset("ªº™℠№")
"""Compatibility forms of Latin letters that nobody takes for them."""

_PART = r"[\w\u0300-\u036f-]+"
_HOST = re.compile(rf"{_PART}(?:[{DOTS}]{_PART})+")
_LETTERS = re.compile(r"[^\W\d_]+")


def honest(text: str) -> str:
    """The text with nothing in it that passes for something else."""
    if text.isascii():
        return text
    text = _HOST.sub(_as_in_dns, text)
    text = "".join(_number(letter) if _is_latin_in_disguise(letter) else letter for letter in text)
    return _LETTERS.sub(_unmixed, text)


def _as_in_dns(host: re.Match[str]) -> str:
    """A sentence without a blank behind its stop is no host name: Chinese, or one that ends in no ASCII label."""
    name = host[0]
    labels = re.split(f"([{DOTS}])", name)
    if name.isascii() or not (labels[-1].isascii() or any(map(_is_of_a_pretender, name))):
        return name
    return "".join(map(_label, labels))


def _label(label: str) -> str:
    if label.isascii() or label in DOTS or len(label) > MAX_LABEL:
        return label
    return f"xn--{unicodedata.normalize('NFC', label.lower()).encode('punycode').decode('ascii')}"


def _unmixed(word: re.Match[str]) -> str:
    letters = word[0]
    if letters.isascii() or not any(letter.isascii() for letter in letters):
        return letters
    return "".join(_number(letter) if _is_of_a_pretender(letter) else letter for letter in letters)


def _is_of_a_pretender(letter: str) -> bool:
    return not letter.isascii() and unicodedata.name(letter, "").startswith(BESIDE_LATIN)


def _is_latin_in_disguise(letter: str) -> bool:
    if letter.isascii() or letter in _PLAIN:
        return False
    if unicodedata.name(letter, "").startswith(ALWAYS):
        return True
    meant = unicodedata.normalize("NFKC", letter)
    return meant.isascii() and meant.isalpha()


def _number(letter: str) -> str:
    return f"\\u{ord(letter):04x}"
