"""What others chose is shown, and does nothing."""

import pytest

from sensor.deliver import text
from sensor.deliver.notice import Notice, single
from sensor.deliver.shapes import alert_object
from sensor.deliver.text import Fact, cut, defang, facts, fit, heading, html_line, lines, pieces, plain, utf8, utf16
from sensor.model.foreground import Foreground


def notice(examples, **changes):
    return single(alert_object(examples.alert(**changes), examples.info), examples.start)


def test_the_words_of_an_alert(examples):
    known = Foreground("background", "push", examples.start - 660 * examples.second)
    evidence = examples.alert().evidence
    told = notice(examples, evidence=type(evidence)(1200, 340, evidence.first_seen, examples.start, 90, 10, known))
    assert heading(told) == "Warning: watchlist"
    assert lines(told) == ["phone sent 1.2 KB to Xiaomi in CN"]
    assert facts(told) == [
        Fact("Sent", "1.2 KB"),
        Fact("Received", "340 B"),
        Fact("To", "mi.com"),
        Fact("Owner", "Xiaomi"),
        Fact("Country", "CN"),
        Fact("Phone", "background (push, 11 min ago)"),
        Fact("Seen", "90.0 % of the frames"),
    ]
    assert text.colour(told) == text.COLOURS["warning"]


def test_an_alert_that_is_over(examples):
    told = notice(examples, state="resolved", resolved_at=examples.start)
    assert heading(told) == "Resolved: watchlist"
    assert text.colour(told) == text.OVER


def test_what_is_not_known_is_not_told(examples):
    told = notice(examples, destination=None)
    assert [fact.label for fact in facts(told)] == ["Sent", "Received", "Phone", "Seen"]
    assert facts(Notice("i", "k", "group", "firing", "info", 0, "t", ("a",), told.alerts)) == []
    assert facts(Notice("i", "k", "alert", "firing", "info", 0, "t", ("a",), ({},))) == []
    assert facts(Notice("i", "k", "alert", "firing", "info", 0, "t", (), ({"evidence": 5, "destination": "x"},))) == []


def test_what_is_about_no_alert_has_no_severity_in_front():
    assert heading(Notice("i", "k", "rest", "firing", "info", 0, "12 more alerts", ())) == "12 more alerts"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("a\r\nalert: forged", "a alert: forged"),
        ("\x1b[31mred", r"\u001b[31mred"),
        ("\u202eevil\u202c", r"\u202eevil\u202c"),
        ("nul\0l", r"nul\u0000l"),
        ("\u200bzero\ufeff", r"\u200bzero\ufeff"),
        ("\u2028line\u2029", "line"),
        ("\ud800", r"\ud800"),
        ("xi\u0430omi", r"xi\u0430omi"),
        ("\U0001d431iaomi", r"\u1d431iaomi"),
        ("\uff58\uff49", r"\uff58\uff49"),
        ("Küche", "Küche"),
        ("Телефон Ани", "Телефон Ани"),
        ("小米Redmi手机", "小米Redmi手机"),
        ("z" + "\u0301" * 50, "z\u0301\u0301"),
    ],
)
def test_nothing_invisible_and_nothing_that_pretends(hostile, shown):
    assert plain(hostile) == shown


def test_one_line_of_the_stated_length(examples):
    for payload in examples.payloads:
        shown = plain(payload, 50)
        assert len(shown) <= 50
        assert shown.isprintable()
        shown.encode()
    assert plain("x" * 5000, 50) == "x" * 49 + "…"


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("phone sent 1.2 KB to mi.com, at 23:05.", "phone sent 1.2 KB to mi[.]com, at 23:05."),
        ("(api.io.mi.com)", "(api[.]io[.]mi[.]com)"),
        ("http://evil/x", "http[:]//evil/x"),
        ("<https://a.b|c>", "<https[:]//a[.]b|c>"),
        ("42.62.48.10", "42[.]62[.]48[.]10"),
        ("@everyone and a@b.c", "[@]everyone and a[@]b[.]c"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("mi\u3002com", "mi[.]com"),
        ("163.com", "163[.]com"),
        ("the database: 12.5 % of 60:38:e0:c5:35:a0", "the database: 12.5 % of 60:38:e0:c5:35:a0"),
    ],
)
def test_links_are_broken(line, broken):
    assert defang(line) == broken


def test_links_as_pieces_for_code():
    assert list(pieces("to `mi.com`, now")) == [
        ("to", False), (" ", False), ("'mi.com'", True), (",", False), (" ", False), ("now", False),
    ]  # fmt: skip


def test_nothing_is_lost_and_no_backtick_gets_into_code(examples):
    for payload in [*examples.payloads, "`a.b`", "://", "@", ".", "..a.b..", ")" * 999 + "a.b" + ")" * 999]:
        found = list(pieces(payload))
        assert "".join(piece for piece, _ in found) in (payload, payload.replace("`", "'"))
        assert not any("`" in piece for piece, is_name in found if is_name)


def test_cut_by_characters_bytes_and_utf16():
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("äöü", 5, utf8) == "ä…"
    assert cut("😀😀", 4, utf16) == "😀😀"
    assert cut("😀😀😀", 4, utf16) == "😀…"
    assert cut("abc", 0) == ""


def test_fit_never_tears_an_escape():
    def escape(part):
        return part.replace("&", "&amp;")

    assert fit(["a", "b", "c"], 5) == "a\nb\nc"
    assert fit(["a", "bcd", "e"], 4) == "a\nb…"
    assert fit(["&&&&"], 12, escape) == "&amp;&amp;…"
    assert fit(["aaa", "b"], 4) == "aaa"


def test_an_empty_line_takes_a_line():
    assert fit(["a", "", "b"], 9) == "a\n\nb"


def test_look_alikes_as_html_code():
    assert html_line('<b> & "mi.com"') == "&lt;b&gt; &amp; &quot;<code>mi.com</code>&quot;"
    assert html_line("<x>a.b</x>") == "&lt;<code>x&gt;a.b&lt;/x</code>&gt;"
