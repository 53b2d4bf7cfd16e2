import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor.enrich import names as names_module
from sensor.enrich.names import (
    DNS_LIFE,
    MAX_ADDRESSES_PER_CLIENT,
    MAX_NAMES_PER_SOURCE,
    TLS_LIFE,
    NameBook,
)
from sensor.model.destination import Name

S = 1_000_000_000
PHONE, LAPTOP = b"\x04\x10\x6b\x00\x00\x01", b"\x04\x10\x6b\x00\x00\x02"
CDN = b"\x17\x0a\x0b\x0c"


def dns(name: str) -> Name:
    return Name(name, "dns")


def tls(name: str) -> Name:
    return Name(name, "tls")


def cname(name: str) -> Name:
    return Name(name, "cname")


def test_a_client_called_the_address_what_it_asked_for() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("api.xiaomi.com"), cname("api.ksyna.net")], 0, ttl=60)
    assert book.lookup(PHONE, CDN, 1) == [dns("api.xiaomi.com"), cname("api.ksyna.net")]


def test_another_clients_names_say_nothing() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("tracking.example")], 0, ttl=60)
    assert book.lookup(LAPTOP, CDN, 1) == []
    book.learn(LAPTOP, CDN, [dns("news.example")], 0, ttl=60)
    assert book.lookup(LAPTOP, CDN, 1) == [dns("news.example")]
    assert book.lookup(PHONE, CDN, 1) == [dns("tracking.example")]


def test_tls_before_dns_before_cname_and_the_newest_first() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [tls("old.example")], 1 * S, ttl=None)
    book.learn(PHONE, CDN, [dns("a.example"), cname("edge.example")], 2 * S, ttl=60)
    book.learn(PHONE, CDN, [tls("new.example")], 3 * S, ttl=None)
    book.learn(PHONE, CDN, [dns("b.example"), Name("other.example", "http")], 4 * S, ttl=60)
    wanted = [tls("new.example"), tls("old.example"), dns("b.example"), dns("a.example"), cname("edge.example"),
              Name("other.example", "http")]  # fmt: skip
    assert book.lookup(PHONE, CDN, 5 * S) == wanted
    book.learn(PHONE, CDN, [tls("old.example")], 6 * S, ttl=None)
    assert book.lookup(PHONE, CDN, 7 * S)[:2] == [tls("old.example"), tls("new.example")]


@pytest.mark.parametrize(("ttl", "life"), [(1, DNS_LIFE), (None, DNS_LIFE), (86_400, 86_400)])
def test_a_dns_name_outlives_a_short_ttl(ttl: int | None, life: int) -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("a.example")], 100 * S, ttl)
    assert book.lookup(PHONE, CDN, (100 + life) * S) == [dns("a.example")]
    assert book.lookup(PHONE, CDN, (100 + life) * S + 1) == []
    assert len(book) == 0


def test_a_tls_name_holds_a_day_and_learning_it_again_renews_it() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [tls("a.example"), dns("b.example")], 0, ttl=None)
    assert book.lookup(PHONE, CDN, (DNS_LIFE + 1) * S) == [tls("a.example")]
    book.learn(PHONE, CDN, [tls("a.example")], 1000 * S, ttl=None)
    assert book.lookup(PHONE, CDN, (TLS_LIFE + 1000) * S) == [tls("a.example")]


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_what_cannot_be_a_name_is_not_learned(name: str) -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns(name)], 0, ttl=60)
    assert book.lookup(PHONE, CDN, 0) == []
    assert (len(book), book.learned) == (0, 0)


def test_an_address_keeps_its_best_names() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [tls("real.example")], 0, ttl=None)
    for number in range(20):
        book.learn(PHONE, CDN, [dns(f"{number}.example")], number * S, ttl=60)
    kept = book.lookup(PHONE, CDN, 20 * S)
    assert len(kept) == 1 + MAX_NAMES_PER_SOURCE
    assert kept[:2] == [tls("real.example"), dns("19.example")]
    assert book.evicted == 21 - len(kept)


def test_a_million_names_from_one_client_cost_only_its_own() -> None:
    book = NameBook()
    book.learn(LAPTOP, CDN, [dns("quiet.example")], 0, ttl=60)
    for number in range(1_000_000 // 8):
        asked = [dns(f"{number}-{part}.flood.example") for part in range(8)]
        book.learn(PHONE, number.to_bytes(4, "big"), asked, number, ttl=60)
    assert len(book) == MAX_ADDRESSES_PER_CLIENT * MAX_NAMES_PER_SOURCE + 1
    assert book.learned == 1_000_001
    assert book.evicted == 1_000_001 - len(book)
    assert book.lookup(LAPTOP, CDN, 1) == [dns("quiet.example")]


def test_when_all_together_are_too_many_the_client_with_most_names_loses_its_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names_module, "MAX_NAMES", 1000)
    book = NameBook()
    for number in range(300):
        book.learn(LAPTOP, number.to_bytes(4, "big"), [dns("quiet.example")], 0, ttl=60)
    for number in range(5000):
        book.learn(PHONE, number.to_bytes(4, "big"), [dns(f"{number}.example")], 0, ttl=60)
    assert len(book) <= 1000
    assert all(book.lookup(LAPTOP, number.to_bytes(4, "big"), 1) for number in range(300))
    assert book.lookup(PHONE, (4999).to_bytes(4, "big"), 1) == [dns("4999.example")]
    assert book.lookup(PHONE, bytes(4), 1) == []


def test_clients_beyond_the_cap_push_out_the_longest_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("phone.example")], 0, ttl=60)
    for number in range(names_module.MAX_CLIENTS + 500):
        book.lookup(PHONE, CDN, 0)
        book.learn(b"\x02" + number.to_bytes(5, "big"), CDN, [dns("x.example")], 0, ttl=60)
    assert book.lookup(PHONE, CDN, 0) == [dns("phone.example")]
    assert len(book) == names_module.MAX_CLIENTS
    assert book.evicted == 501


def test_names_of_strangers_do_not_push_out_those_of_a_known_client() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("phone.example")], 0, ttl=60)
    for number in range(names_module.MAX_CLIENTS + 500):
        book.learn(b"\x02" + number.to_bytes(5, "big"), CDN, [dns("x.example")], 0, ttl=60, known=False)
    assert book.lookup(PHONE, CDN, 0) == [dns("phone.example")]
    assert len(book) == 1 + names_module.MAX_STRANGERS
    assert book.evicted == names_module.MAX_CLIENTS + 500 - names_module.MAX_STRANGERS


def test_a_stranger_keeps_its_names_when_it_becomes_known() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("early.example")], 0, ttl=60, known=False)
    assert book.lookup(PHONE, CDN, 1) == [dns("early.example")]
    book.learn(PHONE, CDN, [dns("later.example")], S, ttl=60)
    for number in range(names_module.MAX_STRANGERS + 1):
        book.learn(b"\x02" + number.to_bytes(5, "big"), CDN, [dns("x.example")], S, ttl=60, known=False)
    assert book.lookup(PHONE, CDN, S) == [dns("later.example"), dns("early.example")]


def test_a_client_that_is_forgotten_takes_its_names_along() -> None:
    book = NameBook()
    book.learn(PHONE, CDN, [dns("phone.example"), cname("edge.example")], 0, ttl=60)
    book.learn(LAPTOP, CDN, [dns("laptop.example")], 0, ttl=60)
    book.forget(PHONE)
    book.forget(PHONE)
    assert book.lookup(PHONE, CDN, 0) == []
    assert book.lookup(LAPTOP, CDN, 0) == [dns("laptop.example")]
    assert (len(book), book.evicted) == (1, 0)


_EVENTS = st.tuples(
    st.booleans(),
    st.sampled_from([b"a", b"b", b"c"]),
    st.sampled_from([b"1", b"2", b"3", b"4"]),
    st.lists(st.builds(Name, st.sampled_from(["x", "y", "z", "", "v"]), st.sampled_from(["tls", "dns", "cname", "?"]))),
    st.integers(0, 10**15),
    st.none() | st.integers(-5, 100_000),
)


@settings(max_examples=60)
@given(events=st.lists(_EVENTS, max_size=60))
def test_the_count_is_right_and_no_name_wanders(
    events: list[tuple[bool, bytes, bytes, list[Name], int, int | None]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names_module, "MAX_NAMES", 12)
        patch.setattr(names_module, "MAX_CLIENTS", 2)
        patch.setattr(names_module, "MAX_STRANGERS", 1)
        patch.setattr(names_module, "MAX_ADDRESSES_PER_CLIENT", 3)
        book = NameBook()
        told: dict[tuple[bytes, bytes], set[Name]] = {}
        for known, client, address, names, now, ttl in events:
            book.learn(client, address, names, now, ttl, known=known)
            told.setdefault((client, address), set()).update(names)
            assert set(book.lookup(client, address, now)) <= told[client, address]
            pages = [*book._clients.values(), *book._strangers.values()]
            assert len(book) == sum(len(held) for page in pages for held in page.entries.values()) <= 12


def test_many_strangers_cannot_take_the_room_of_all_from_a_known_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "MAX_NAMES", 100)
    book = NameBook()
    for number in range(30):
        book.learn(PHONE, number.to_bytes(4, "big"), [dns("phone.example")], 0, ttl=60)
    for number in range(20 * names_module.MAX_STRANGERS):
        book.learn(b"\x02" + number.to_bytes(5, "big"), CDN, [dns("x.example")], 0, ttl=60, known=False)
    assert all(book.lookup(PHONE, number.to_bytes(4, "big"), 0) for number in range(30))
