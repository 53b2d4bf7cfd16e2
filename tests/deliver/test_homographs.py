"""Names that pass for others show in a form in which they do not; names in other alphabets stay readable."""

import time

import pytest

from sensor.deliver.homographs import honest
from sensor.deliver.text import MAX_LINE, defang, plain


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\u0430pple.com", "xn--pple-43d.com"),
        ("\u0430\u0440\u0440\u04cf\u0435.com", "xn--80ak6aa92e.com"),
        ("\u0430\u0440\u0440\u04cf\u0435.\u0441\u043e\u043c", "xn--80ak6aa92e.xn--l1adi"),
        ("\u03bf.com", "xn--0xa.com"),
        ("\u0121oogle.com", "xn--oogle-v1a.com"),
        ("g\u0307oogle.com", "xn--oogle-v1a.com"),
        ("paypa\u217c.com", "xn--paypa-ym5b.com"),
        ("g\u043eogle.com/r\u0430th", "xn--gogle-jye.com/r\\u0430th"),
        ("\u0430pple\u3002com", "xn--pple-43d\u3002com"),
        ("(k\u00fcche.de)", "(xn--kche-0ra.de)"),
        ("xn--pple-43d.com", "xn--pple-43d.com"),
        ("apple.com", "apple.com"),
    ],
)
def test_hosts_as_in_dns(name, shown):
    assert honest(name) == shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("xi\u0430omi", r"xi\u0430omi"),
        ("paypa\u217c", r"paypa\u217c"),
        ("\u24d0pple", r"\u24d0pple"),
        ("\U0001d431iaomi", r"\u1d431iaomi"),
        ("\u0262oogle", r"\u0262oogle"),
    ],
)
def test_letters_that_pass_for_latin_ones(words, shown):
    assert honest(words) == shown


@pytest.mark.parametrize(
    "words", ["Телефон Ани", "小米Redmi手机", "小米。手机", "Küche", "Acme™ S.A.R.L.", "Ελένη", "n.º 5", "😀 ok", ""]
)
def test_what_nobody_takes_for_something_else(words):
    assert honest(words) == words


def test_what_is_longer_than_any_label_is_no_host():
    assert "\u0430" not in honest("a" * 70 + "\u0430.com")


@pytest.mark.parametrize("text", ["\u0430\u0431." * 600, "\u0430" * 2_000, "-" * 2_000 + "\u0430", ".\u4e00" * 900])
def test_no_text_takes_long(text):
    began = time.monotonic()
    plain(text)
    assert time.monotonic() - began < 2


def test_what_is_shown_is_still_no_link():
    assert defang(plain("to \u0430pple.com")) == "to xn--pple-43d[.]com"
    assert len(plain("\u0430pple.com " * 500)) <= MAX_LINE
