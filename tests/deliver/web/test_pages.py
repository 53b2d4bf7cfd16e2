"""The page holds what is known, and no markup but its own."""

from collections import Counter
from html.parser import HTMLParser

import pytest

from sensor.deliver.snapshots import ClientForeground, Counters, SourceState
from sensor.deliver.web import pages as module
from sensor.deliver.web.pages import Pages
from sensor.deliver.web.server import STATIC
from sensor.model.foreground import Foreground

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
OLD = SourceState("push", "unknown", 5)

ELEMENTS = {"html", "head", "meta", "title", "link", "body", "header", "h1", "h2", "a", "p", "div", "footer"}
ELEMENTS |= {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "rel", "href", "class", "scope"}
VOID = {"meta", "link", "input"}


class Outline(HTMLParser):
    """Elements, attributes and text of a page; complains about what is not closed."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.texts, self.links, self.open = Counter(), set(), [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"comment {data!r}")

    def unknown_decl(self, data):
        raise AssertionError(f"declaration {data!r}")

    def handle_pi(self, data):
        raise AssertionError(f"instruction {data!r}")


def test_what_it_shows(world):
    outline = Outline(Pages(world).render())
    text = "\n".join(outline.texts)
    for expected in (
        "phone (60:38:e0:c5:35:a0)",
        "Wistron Neweb, 192.168.2.100",
        "api.example.com (tls)",
        "18.193.233.122",
        "Amazon.com",
        "phone sent 1.2 KB to Xiaomi in CN",
        "Watching br0: 90 frames, 1 client, 90.00% of the traffic seen",
        "sent 1.2 KB (6 B/s), received 340 B (1 B/s); of that local: sent 200 B, received 40 B",
        "idlewire 0.1.0 on box",
        "IP data by IPinfo, CC BY-SA 4.0",
    ):
        assert expected in text
    assert outline.elements["table"] == 2


def test_nothing_yet(world):
    world.all_clients, world.all_destinations, world.all_alerts = [], [], []
    text = "\n".join(Outline(Pages(world).render()).texts)
    assert "None seen yet." in text


BEFORE = "90 frames, 1 client, 90.00% of the traffic seen"


@pytest.mark.parametrize(
    ("counts", "headline"),
    [
        (Counters("br0", True, 90, 10), f"Watching br0: {BEFORE}"),
        (Counters("br0"), "Watching br0: 0 frames, 1 client"),
        (Counters("br0", True, 0, 5), "Watching br0: 0 frames, 1 client, 0.00% of the traffic seen"),
        (Counters("nope0", False), "Waiting for nope0: nothing is captured"),
        (Counters("br0", False, 90, 10), f"Waiting for br0: nothing is captured; before: {BEFORE}"),
        (Counters(None, False), "Waiting for an interface: nothing is captured"),
        (Counters(), "Waiting for an interface: nothing is captured"),
    ],
)
def test_headline(world, counts, headline):
    world.counts = counts
    assert headline in Outline(Pages(world).render()).texts


def test_the_style_knows_every_column():
    style = (STATIC / "style.css").read_text()
    for number, head in list(enumerate(module.HEADS, 1))[2:]:
        assert f'.destinations td:nth-child({number})::before {{ content: "{head} "; }}' in style


def test_unknown_is_called_unknown(world, examples):
    place = type(examples.destination().place)()
    world.all_destinations = [examples.destination(names=(), place=place)]
    assert Outline(Pages(world).render()).texts.count("unknown") == 3


def test_hostile_text_adds_no_element_and_no_attribute(examples):
    plain = Outline(Pages(examples.hostile_world("x")).render())
    for payload in examples.payloads:
        page = Pages(examples.hostile_world(payload)).render()
        outline = Outline(page)
        assert outline.elements == plain.elements
        assert outline.attributes == plain.attributes
        assert set(outline.elements) <= ELEMENTS
        assert outline.attributes <= ATTRIBUTES
        assert all(link.startswith("/") and not link.startswith("//") for link in outline.links)
        assert all(line.isprintable() for line in page.split("\n"))
        assert "{{7*7}}" in page or payload != "{{7*7}}"


async def test_one_client_alone(site, world, examples):
    world.all_clients.append(examples.client("02:00:00:00:00:01", name="tablet"))
    _, body = await site.get("/?client=02:00:00:00:00:01")
    assert b"tablet" in body
    assert b"phone (" not in body
    response, _ = await site.get("/?client=%3Cscript%3E")
    assert response.status == 400


async def test_every_link_works(site):
    _, body = await site.get("/")
    for link in Outline(body.decode()).links:
        response, _ = await site.get(link)
        assert response.status == 200, link


@pytest.mark.parametrize(("clients", "rows_each", "shown"), [(1, 500, 200), (20, 150, 100), (600, 10, 5)])
def test_it_never_grows_without_end(world, examples, clients, rows_each, shown):
    macs = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(clients)]
    world.all_clients = [examples.client(mac) for mac in macs]
    world.all_destinations = [
        examples.destination(f"18.0.{number >> 8}.{number & 255}", client=mac)
        for mac in macs
        for number in range(rows_each)
    ]
    page = Pages(world).render()
    assert f"and {rows_each - shown} more destinations" in page
    assert page.count("18.0.") == shown * min(clients, module.MAX_CLIENTS)
    assert len(page) < 2_000_000
    assert (clients <= module.MAX_CLIENTS) == ("more clients" not in page)


def test_many_alerts(world, examples):
    world.all_alerts = [examples.alert(f"a{number}") for number in range(module.MAX_ALERTS + 3)]
    assert "and 3 more" in Pages(world).render()


@pytest.mark.parametrize(
    ("known", "sources", "said"),
    [
        (Foreground(), (), "use unknown: nobody reports it, so the rules about idle clients are blind"),
        (Foreground(), (OLD,), "use unknown: what was reported is too old, or some of it is missing, so the rules"),
        (
            Foreground(because="it came back to the network"),
            (),
            "use unknown: it came back to the network, and nothing was reported since, so the rules",
        ),
        (
            Foreground("unknown", "push", NOW - 11 * SECOND),
            (OLD,),
            "use unknown yet: push told 11 s ago",
        ),
        (
            Foreground(
                "background", "push", NOW - 720 * SECOND, because="its screen was off", contradicted_by=("adb",)
            ),
            (OLD,),
            "in background: its screen was off, says push 12 min ago, contradicted by adb",
        ),
        (Foreground("foreground", "adb", NOW, app="<b>app"), (OLD,), "in foreground (&lt;b&gt;app), says adb 0 s ago"),
    ],
)
def test_whether_a_person_uses_a_client(world, examples, known, sources, said) -> None:
    world.phone_states = lambda _: [ClientForeground(examples.mac, "phone", NOW, known, sources)]
    assert said in Pages(world).render()
