import pytest

from sensor.base.addresses import parse_address
from sensor.base.times import SECOND
from sensor.detect import explain
from sensor.model.activity import Contact
from sensor.model.alert import AlertClient, AlertDestination
from sensor.model.destination import Name, Place
from sensor.model.foreground import Change, Foreground

MAC = "60:38:e0:c5:35:a0"
START = 1_790_000_000 * SECOND


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (AlertClient(MAC, MAC, "Redmi Note", "Xiaomi", ("192.168.2.100",)), "Redmi Note (Xiaomi)"),
        (AlertClient(MAC, MAC, "Redmi Note", None, ()), "Redmi Note"),
        (AlertClient(MAC, MAC, None, "Xiaomi", ()), f"Xiaomi {MAC}"),
        (AlertClient(MAC, MAC, None, None, ()), MAC),
        (AlertClient("10.0.0.9", None, None, None, ("10.0.0.9",)), "10.0.0.9"),
        (AlertClient("other", None, None, None, ()), "other"),
    ],
)
def test_who_it_is_about(client: AlertClient, said: str) -> None:
    assert explain.who(client) == said


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        (Place("CN", 4808, "China Unicom"), "mi.com", "China Unicom in China (mi.com, 42.62.48.10)"),
        (Place("CN", 4808), None, "AS4808 in China (42.62.48.10)"),
        (Place("XK"), "mi.com", "an unknown owner in XK (mi.com, 42.62.48.10)"),
        (Place(), None, "an unknown owner (42.62.48.10)"),
    ],
)
def test_whose_the_far_end_is(place: Place, name: str | None, said: str) -> None:
    assert explain.whose(AlertDestination("42.62.48.10", name, None, place)) == said


@pytest.mark.parametrize("address", ["42.62.48.10", "2400:3200::1"])
def test_the_far_end_has_its_best_name(address: str) -> None:
    contact = Contact(0, MAC, b"", parse_address(address), Place("CN"), [Name("a.mi.com", "tls"), Name("b", "dns")])
    assert explain.far_end(contact) == AlertDestination(address, "a.mi.com", "tls", Place("CN"))
    contact.names.clear()
    assert explain.far_end(contact) == AlertDestination(address, None, None, Place("CN"))


@pytest.mark.parametrize(
    ("foreground", "said"),
    [
        (Foreground("background", "push", because="its screen was off"), "while its screen was off"),
        (Foreground("background", "push"), "while nobody used it"),
        (Foreground("background", "manual", because="nobody was to touch it"), "while nobody was to touch it"),
        (Foreground("background", "schedule", because="its screen was off"), "at a time when nobody uses it"),
        (
            Foreground("background", "inferred", because="its screen was off"),
            "while its traffic looked as if nobody used it",
        ),
    ],
)
def test_what_is_known_of_its_use_and_no_more(foreground: Foreground, said: str) -> None:
    assert explain.idle(foreground) == said


def test_a_timeline_says_when_what_and_whose_word() -> None:
    assert explain.timeline(
        [
            Change(START, Foreground()),
            Change(START + SECOND, Foreground("foreground", "push", app="com.foo", because="somebody used it")),
            Change(START + 60 * SECOND, Foreground("background", "adb", contradicted_by=("mqtt", "push"))),
            Change(START + 61 * SECOND, Foreground(because="it came back to the network")),
        ]
    ) == [
        "2026-09-21T14:13:20Z unknown",
        "2026-09-21T14:13:21Z foreground (com.foo), told by push, somebody used it",
        "2026-09-21T14:14:20Z background, told by adb, contradicted by mqtt, push",
        "2026-09-21T14:14:21Z unknown, it came back to the network",
    ]


def test_a_timeline_is_the_latest_and_no_more() -> None:
    changes = [Change(START + at * SECOND, Foreground("background", "push")) for at in range(100)]
    lines = explain.timeline(changes)
    assert len(lines) == explain.MAX_TIMELINE
    assert lines[-1].startswith("2026-09-21T14:14:59Z")


def test_what_others_chose_is_escaped_and_cannot_push_out_the_rest() -> None:
    hostile = "\x1b[2J\u202e\n" * 300
    client = AlertClient(MAC, MAC, hostile, hostile, ())
    far = AlertDestination("42.62.48.10", hostile, "tls", Place("CN", 1, hostile))
    text = explain.sentence(f"{explain.who(client)} sent 1 B to {explain.whose(far)} while its screen was off.")
    assert text.isprintable()
    assert len(text) <= explain.MAX_SUMMARY
    assert text.endswith("42.62.48.10) while its screen was off.")
    [line] = explain.timeline([Change(START, Foreground("foreground", hostile, app=hostile))])
    assert line.isprintable()
    assert len(line) <= 300


def test_a_sentence_is_not_endless() -> None:
    assert len(explain.sentence("\u202e" * 5_000)) == explain.MAX_SUMMARY
