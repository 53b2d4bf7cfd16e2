"""Clients in settings."""

from dataclasses import dataclass, field

import pytest

from sensor.base.fields import ClientRef
from sensor.base.references import named, with_ids

PHONE, TABLET = "60:38:e0:c5:35:a0", "64:09:80:00:00:02"
MACS = {"Redmi Note": PHONE, "TV": TABLET}


@dataclass(frozen=True)
class Rule:
    """One of many."""

    name: str = "rule"
    clients: tuple[ClientRef, ...] = ()
    owner: str = "Redmi Note"


@dataclass(frozen=True)
class Chosen:
    """A plug-in that is on."""

    key: str
    settings: object
    plugin: type = Rule


@dataclass(frozen=True)
class Tree:
    """All settings."""

    client: ClientRef | None = None
    rules: tuple[Rule, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    numbers: list[int] = field(default_factory=lambda: [1, 2])


def resolved(tree: Tree) -> Tree:
    problems: list[str] = []
    found = with_ids(tree, MACS, problems)
    assert problems == []
    return found


def wrong(tree: Tree, macs: dict[str, str] | None = None) -> list[str]:
    problems: list[str] = []
    with_ids(tree, MACS if macs is None else macs, problems)
    return problems


def test_names_become_ids_wherever_they_stand() -> None:
    tree = Tree(
        ClientRef("TV"),
        (Rule(), Rule("idle", (ClientRef("Redmi Note"), ClientRef("TV")))),
        (Chosen("foreground.manual", Rule("m", (ClientRef("TV"),))),),
    )
    found = resolved(tree)
    assert (found.client, found.rules[1].clients) == (TABLET, (PHONE, TABLET))
    assert found.chosen[0].settings == Rule("m", (ClientRef(TABLET),))
    assert found.rules[1].owner == "Redmi Note", "other texts stay"
    assert tree.client == "TV"


@pytest.mark.parametrize("text", ["60-38-E0-C5-35-A0", "6038e0c535a0", PHONE])
def test_a_mac_is_written_like_an_id(text: str) -> None:
    assert resolved(Tree(ClientRef(text))).client == PHONE


def test_what_names_no_client_stays_as_it_is() -> None:
    tree = Tree(rules=(Rule(),))
    assert resolved(tree) is tree


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (Tree(ClientRef("Nokia")), 'client: "Nokia" is no MAC and no name under [[client]]; known: Redmi Note, TV'),
        (Tree(ClientRef("tv")), 'client: "tv" is no MAC and no name under [[client]]; known: Redmi Note, TV'),
        (Tree(ClientRef("01005e0000fb")), "client: '01005e0000fb' is a group address: no client sends from it"),
        (
            Tree(rules=(Rule(), Rule("idle", (ClientRef("TV"), ClientRef("Nokia"))))),
            'rules[1] ("idle").clients: "Nokia" is no MAC and no name under [[client]]; known: Redmi Note, TV',
        ),
        (
            Tree(chosen=(Chosen("foreground.manual", Rule("m", (ClientRef("Nokia"),))),)),
            'foreground.manual.clients: "Nokia" is no MAC and no name under [[client]]; known: Redmi Note, TV',
        ),
    ],
)  # fmt: skip
def test_who_is_not_known_is_a_problem_that_names_the_key(tree: Tree, problem: str) -> None:
    assert wrong(tree) == [problem]


def test_what_may_be_a_token_is_not_repeated() -> None:
    token = ClientRef("s3cret-TOKEN_0123456789")
    assert wrong(Tree(chosen=(Chosen("foreground.push", Rule("m", (token,))),)), {}) == [
        'foreground.push.clients: "..." is no MAC and no name under [[client]]'
    ]
    assert wrong(Tree(token), {}) == [f'client: "{token}" is no MAC and no name under [[client]]']


def test_all_problems_come_at_once() -> None:
    tree = Tree(ClientRef("a"), (Rule("r", (ClientRef("b"), ClientRef("c"))),))
    assert len(wrong(tree, {})) == 3
    assert wrong(tree, {})[0] == 'client: "a" is no MAC and no name under [[client]]'


def test_all_that_settings_name() -> None:
    assert named((ClientRef("a"), (ClientRef("b"), "c", 5))) == {"a", "b"}
