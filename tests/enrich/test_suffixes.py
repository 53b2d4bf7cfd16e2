import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.enrich import suffixes
from sensor.enrich.suffixes import PublicSuffixes

LIST = PublicSuffixes()


@pytest.mark.parametrize(
    ("name", "registrable"),
    [
        ("api.account.xiaomi.com", "xiaomi.com"),
        ("xiaomi.com", "xiaomi.com"),
        ("API.Xiaomi.COM.", "xiaomi.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("someone.github.io", "someone.github.io"),  # private part of the list: each is someone else's
        ("a.b.unknowntld", "b.unknowntld"),
        ("com", None),
        ("co.uk", None),
        ("localhost", None),
        ("", None),
        (".", None),
        ("a..com", None),
        (".com", None),
    ],
)
def test_the_registrable_domain(name: str, registrable: str | None) -> None:
    assert LIST.registrable(name) == registrable


@settings(deadline=None)
@given(st.text(max_size=300) | st.lists(st.text("ab.\\x", max_size=9)).map(".".join))
def test_any_text_is_answered(name: str) -> None:
    found = LIST.registrable(name)
    assert found is None or 0 < len(found) <= 3 * len(name)


def test_only_so_many_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suffixes, "MAX_REMEMBERED", 4)
    few = PublicSuffixes()
    for number in range(100):
        few.registrable(f"a{number}.example.com")
    assert few._remembered.cache_info().currsize == 4


def test_it_can_be_read_beforehand() -> None:
    early = PublicSuffixes()
    early.open()
    early.open()
    assert early.registrable("a.example.com") == "example.com"
