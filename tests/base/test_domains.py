import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.domains import SuffixSet, fold, normalize

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("com", "com"),
        ("münchen.DE", "xn--mnchen-3ya.de"),
        ("小米.中国", "xn--yets76e.xn--fiqs8s"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
    ],
)
def test_one_spelling_for_each_name(written: str, meant: str) -> None:
    assert normalize(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", ".", "..", ".example.com", "a..b", "example.com..", "*.example.com", "a b.com", "x" * 64 + ".com", "a/b",
     "a:1", ".".join(["x" * 60] * 5), "ü" * 64 + ".de", "\ud800.de", "http://x.de"],
)  # fmt: skip
def test_what_is_no_domain_is_said(written: str) -> None:
    with pytest.raises(ValueError, match=r"domain"):
        normalize(written)


def test_nothing_is_imported_when_it_is_used() -> None:
    code = "import sys; from sensor.base.domains import normalize; sys.meta_path.clear(); print(normalize('小.de'))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout == "xn--yet.de\n"


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("a.b.c.example.com", "example.com"),
        ("x.deep.example.com", "deep.example.com"),
        ("mi.xn--fiqs8s", "xn--fiqs8s"),
        ("notexample.com", None),
        ("example.com.evil.net", None),
        ("com", None),
        ("example.co", None),
        ("", None),
        (".", None),
        ("example.com..", None),
        ("ex\u0430mple.com", None),
        ("\u212aexample.com", None),
        ("ü.example.com", "example.com"),
    ],
)
def test_a_name_lies_under_a_domain_in_whole_labels(name: str, domain: str | None) -> None:
    assert SuffixSet(["Example.com", "deep.example.com", "中国"]).match(name) == domain


def test_letters_that_only_look_alike_stay_different() -> None:
    assert fold("ex\u212a.com") == "ex\u212a.com"
    assert SuffixSet(["exk.com"]).match("ex\u212a.com") is None


def test_an_empty_set_matches_nothing() -> None:
    nothing = SuffixSet([])
    assert len(nothing) == 0
    for name in ("", ".", "example.com"):
        assert nothing.match(name) is None


def test_a_name_of_dots_is_no_work() -> None:
    domains = SuffixSet(["a.example.com"])
    started = time.perf_counter()
    for _ in range(100):
        assert domains.match("." * 10_000) is None
    assert time.perf_counter() - started < 1


@given(name=st.text())
def test_any_text_may_be_asked(name: str) -> None:
    assert SuffixSet(["example.com"]).match(name) in (None, "example.com")


@given(
    labels=st.lists(st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), min_size=1, max_size=6), start=st.integers(0, 5)
)
def test_every_tail_of_labels_matches_and_no_other_does(labels: list[str], start: int) -> None:
    name = ".".join(labels)
    tail = ".".join(labels[start:])
    if tail:
        assert SuffixSet([tail]).match(name) == tail
        assert SuffixSet(["zz" + tail]).match(name) is None
        assert SuffixSet([tail]).match("q" + tail) is None or tail in ("q" + tail).split(".", 1)[-1:]
