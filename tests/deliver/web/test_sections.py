"""Parts of the page that only show."""

from dataclasses import replace

from sensor.deliver.rulings import Rulings
from sensor.deliver.web.pages import Pages
from sensor.deliver.web.sections import MAX_ROWS, given_up, muted
from tests.deliver.test_rulings import HOUR, NOW, PHONE, mute
from tests.deliver.web.test_pages import Outline


def test_what_is_muted(world):
    rulings = Rulings()
    assert muted(rulings, NOW) == ""
    rulings.add(replace(mute(client=PHONE, owner="Xiaomi"), note="<b>not now"), NOW)
    rulings.add(replace(mute("m2", owner="Google"), action="allow", until=None), NOW)
    page = Pages(world, lambda: muted(rulings, NOW, {PHONE: "Redmi Note"}.get)).render()
    text = "\n".join(Outline(page).texts)
    for expected in ("client Redmi Note, owner Xiaomi", "<b>not now", "for ever", "lena", "m1", "idlewire unmute ID"):
        assert expected in text
    assert muted(rulings, NOW + 2 * HOUR).count("<tr>") == 2
    assert "Muted" not in Pages(world, lambda: muted(rulings, NOW)).render(PHONE), "of one client alone"


def test_it_does_not_grow_without_end():
    rulings = Rulings()
    for number in range(MAX_ROWS + 3):
        rulings.add(mute(f"m{number}", owner="x"), NOW)
    assert "and 3 more" in muted(rulings, NOW)


def test_what_was_given_up():
    assert given_up({}) == given_up({"lab": 0}) == ""
    assert "1 message was given up" in given_up({"lab": 1})
    assert '3 messages were given up: <a href="/outbox">' in given_up({"lab": 1, "chat": 2})
