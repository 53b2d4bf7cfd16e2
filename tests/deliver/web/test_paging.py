"""Pages join to the whole list, whatever comes and goes between them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.deliver.web.paging import MAX_LIMIT, page


def name(row):
    return (row,)


def test_one_page_has_no_cursor():
    assert page(["b", "a"], name, {}) == (["a", "b"], None)
    assert page([], name, {"limit": "1"}) == ([], None)
    assert page(["a"], name, {"limit": "1"}) == (["a"], None)


@given(st.sets(st.text()), st.integers(1, 5))
def test_pages_join(rows, limit):
    seen, cursor = [], None
    while True:
        query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        part, cursor = page(rows, name, query)
        seen += part
        if cursor is None:
            break
    assert seen == sorted(rows)


def test_a_row_that_goes_moves_no_other():
    _, cursor = page("abcd", name, {"limit": "2"})
    assert page("acd", name, {"cursor": cursor})[0] == ["c", "d"]
    assert page("cd", name, {"cursor": cursor})[0] == ["c", "d"]
    assert page("abbacd", name, {"cursor": cursor})[0] == ["c", "d"]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", "99999", str(MAX_LIMIT + 1), "٣", "1" * 5000])
def test_wrong_limit(limit):
    with pytest.raises(ValueError, match="limit: must be a number"):
        page("ab", name, {"limit": limit})


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        *(
            base64.urlsafe_b64encode(inner).decode()
            for inner in (
                b"",
                b"{}",
                b"1",
                b"[1]",
                b"[null]",
                b'[["a"]]',
                b"[" * 5000,
                b"[1" + b"0" * 5000 + b"]",
                b"\xff",
            )
        ),
    ],
)
def test_wrong_cursor(cursor):
    with pytest.raises(ValueError, match="cursor: not one of ours"):
        page("ab", name, {"cursor": cursor})
