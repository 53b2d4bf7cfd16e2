"""Bodies and tokens as they come from phones, and from others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base import tokens
from sensor.foreground import posts
from sensor.foreground.posts import FORM, JSON, Gate, Refusal, number, read_body, text
from sensor.model.posted import MAX_BODY, Posted

SECOND = 1_000_000_000
TOKEN = "a-token-of-the-phone"
KNOWN = ("event", "app", "time")


def body(raw: bytes, kind: str = JSON) -> dict[str, Any]:
    return read_body(Posted(raw, kind), KNOWN)


def refusal(raw: bytes, kind: str = JSON) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        body(raw, kind)
    return caught.value.answer.status, str(caught.value)


def test_json_and_forms() -> None:
    assert body(b'{"event": "screen_on", "app": null, "time": 5}') == {"event": "screen_on", "time": 5}
    assert body(b'\xef\xbb\xbf{"event": "x"}', "Application/JSON; charset=utf-8") == {"event": "x"}
    assert body(b"event=app_opened&app=com.foo%20bar&time=", FORM) == {"event": "app_opened", "app": "com.foo bar"}
    assert body(b"", FORM) == {}


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"5", b"{", b'{"event": NaN}', b'{"event": 1, "event": 2}', b"\xff", b"[" * 1000, b"event=x"]
)
def test_what_is_no_json_object(raw: bytes) -> None:
    assert refusal(raw) == (400, 'body: expected a JSON object such as {"event": "screen_on"}')


@pytest.mark.parametrize("raw", [b"event=a&event=b", b"\xff=1", b"&".join(b"a%d=1" % at for at in range(40)), b"a=%ff"])
def test_what_is_no_form(raw: bytes) -> None:
    assert refusal(raw, FORM)[0] == 400


def test_wrong_keys_are_named_where_that_is_harmless() -> None:
    assert refusal(b'{"evnt": "screen_on"}') == (400, "evnt: unknown key; known: event, app, time")
    assert refusal(b'{"<script>": 1}') == (400, "unknown key; known: event, app, time")
    assert refusal(b"token=abc&event=screen_on", FORM) == (
        400,
        "token: belongs into the header Authorization: Bearer TOKEN",
    )


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/jsonp"])
def test_other_content_types(kind: str) -> None:
    assert refusal(b"{}", kind)[0] == 415


def test_too_large() -> None:
    assert refusal(b"{" + b" " * MAX_BODY + b"}")[0] == 413


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), (5.5, 5.5), ("5", 5), (" 1790000000.25 ", 1790000000.25), ("", None), (None, None)],
)
def test_numbers_also_as_text(value: object, expected: float | None) -> None:
    assert number({"time": value}, "time", 0, 10**16) == expected


@pytest.mark.parametrize("value", [True, "soon", "-1", -1, 1e400, 10**30, [], {}, "1e3", "\u0661", "1" * 5000])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(Refusal, match=r"^time: expected a number from 0 to 1e\+16$"):
        number({"time": value}, "time", 0, 10**16)


def test_texts() -> None:
    assert text({"app": " com.foo "}, "app", 20) == "com.foo"
    assert text({"app": "  "}, "app", 20) is None
    for value in (5, ["com.foo"], "x" * 21):
        with pytest.raises(Refusal, match=r"^app: expected text of at most 20"):
            text({"app": value}, "app", 20)


@given(st.binary(max_size=200), st.sampled_from([JSON, FORM]))
def test_any_bytes_give_a_body_or_a_refusal(raw: bytes, kind: str) -> None:
    try:
        keys = set(body(raw, kind))
    except Refusal:
        keys = set()
    assert keys <= set(KNOWN)


class TestGate:
    def enter(self, gate: Gate, token: str | None, now: int, sender: str = "192.0.2.7") -> int:
        """The number of the token, or the status of the refusal."""
        header = None if token is None else f"Bearer {token}"
        try:
            return gate.enter(Posted(b"", authorization=header, sender=sender), now)
        except Refusal as refused:
            return refused.answer.status

    def test_sixty_at_once_then_one_a_second(self) -> None:
        gate = Gate([tokens.digest(TOKEN)])
        assert [self.enter(gate, TOKEN, 0) for _ in range(62)] == [0] * 60 + [429, 429]
        assert [self.enter(gate, TOKEN, SECOND) for _ in range(2)] == [0, 429]

    def test_tokens_do_not_share_their_limit(self) -> None:
        gate = Gate([tokens.digest(TOKEN), tokens.digest("another-token-of-mine")])
        for _ in range(100):
            self.enter(gate, TOKEN, 0)
        assert self.enter(gate, "another-token-of-mine", 0) == 1

    def test_wrong_tokens_are_limited_by_sender_and_lock_nobody_out(self) -> None:
        gate = Gate([tokens.digest(TOKEN)])
        tried = [self.enter(gate, "wrong-wrong-wrong-wrong", 0) for _ in range(1000)]
        assert (tried.count(401), tried.count(429)) == (posts.WRONG_BURST, 1000 - posts.WRONG_BURST)
        assert self.enter(gate, None, 0, sender="192.0.2.8") == 401
        assert self.enter(gate, TOKEN, 0) == 0

    def test_many_senders_cost_bounded_memory(self) -> None:
        gate = Gate([tokens.digest(TOKEN)])
        for at in range(3 * posts.MAX_SENDERS):
            assert self.enter(gate, "wrong-wrong-wrong-wrong", 0, f"10.0.{at >> 8}.{at & 255}") == 401
        assert len(gate._wrong) == posts.MAX_SENDERS

    def test_a_client_with_many_ipv6_addresses_is_one_sender(self) -> None:
        gate = Gate([tokens.digest(TOKEN)])
        tried = [self.enter(gate, "wrong-wrong-wrong-wrong", 0, f"2001:db8::{at:x}") for at in range(1, 100)]
        assert tried.count(401) == posts.WRONG_BURST
        assert self.enter(gate, None, 0, sender="not an address \ud800") == 401
