"""HTML out of values: nothing of a value becomes markup."""

from sensor.deliver.web.markup import MAX_CELL, cell, form, head, hidden, moment, page, paragraph, password, table, text
from tests.deliver.web.test_pages import Outline


def test_values_stay_values(examples):
    for payload in examples.payloads:
        whole = "\n".join(
            [
                head(),
                paragraph(payload, payload[:0] or "warning"),
                table("x", ("a",), [(cell(payload),)]),
                form("/act/x", payload, hidden("sink", payload), password("token", payload)),
                "</body></html>",
            ]
        )
        outline = Outline(whole)
        assert outline.elements["form"] == outline.elements["button"] == outline.elements["td"] == 1
        assert outline.elements["input"] == 2
        assert outline.elements["b"] == outline.elements["script"] == 0
        assert all(line.isprintable() for line in whole.split("\n"))


def test_long_values_are_cut():
    assert len(text("x" * 5_000)) == MAX_CELL
    assert len(text("x" * 5_000, 1_000)) == 1_000


def test_a_page_of_its_own():
    response = page(["<h2>Hello</h2>", ""], 410)
    assert (response.status, response.headers["Referrer-Policy"]) == (410, "same-origin")
    assert "refresh" not in response.text
    assert "refresh" in head(10)
    Outline(response.text)


def test_times():
    assert moment(1_790_000_000_000_000_000) == "2026-09-21 14:13:20 UTC"
