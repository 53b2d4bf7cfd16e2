"""Text that others chose is safe to show."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sensor.base.text import printable


def test_ordinary_names_stay_as_they_are() -> None:
    assert printable(b"api.account.xiaomi.com") == "api.account.xiaomi.com"
    assert printable("Übersee Telefon") == "Übersee Telefon"


def test_what_cannot_be_seen_is_escaped() -> None:
    assert printable(b"evil\n\x1b[2J\x00") == r"evil\x0a\x1b[2J\x00"
    assert printable("a\u202eb\u2028c\ud800") == r"a\u202eb\u2028c\ud800"


def test_letters_that_show_nothing_are_escaped() -> None:
    assert printable("a\u3164b\u2800\u115f\uffa0") == r"a\u3164b\u2800\u115f\uffa0"
    assert printable("한글 \u0623\u0646\u0627") == "한글 \u0623\u0646\u0627"


def test_different_bytes_stay_different() -> None:
    assert printable(rb"\x0a") != printable(b"\n")


def test_the_limit_holds_after_escaping() -> None:
    assert len(printable(b"\n" * 300)) == 255
    assert printable("abc", limit=2) == "ab"


@given(st.binary(max_size=400) | st.text(max_size=400))
def test_any_input_gives_printable_text_that_json_carries(raw: bytes | str) -> None:
    shown = printable(raw)
    assert shown.isprintable()
    assert json.loads(json.dumps(shown).encode("utf-8")) == shown
