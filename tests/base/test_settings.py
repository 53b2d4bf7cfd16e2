from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.countries import Country
from sensor.base.fields import Mac
from sensor.base.settings import build, read
from sensor.base.units import Count, Duration, Size
from sensor.errors import ConfigError


@dataclass(frozen=True)
class Web:
    listen: str = "127.0.0.1:8470"
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    country: Country | None = None


@dataclass(frozen=True)
class Client:
    mac: Mac


@dataclass(frozen=True)
class Watch:
    name: str
    sizes: tuple[Size, ...] = ()
    severity: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Sink:
    url: str = field(default="", repr=False)
    api_token: str = ""
    url_file: str = ""
    level: int = 0

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith("http"):
            raise ValueError(f"url: {self.url!r} is no URL")
        if self.level > 9:
            raise ValueError("level and url do not go together")


@dataclass(frozen=True)
class Tree:
    interface: str = "auto"
    enabled: bool = True
    promiscuous: Literal["auto", True, False] = "auto"
    for_: Duration = Duration("60s")
    ring: Size = Size("8MiB")
    most: Count = Count(5)
    folder: Path = Path("/var/lib")
    limit: int | None = None
    web: Web = Web()
    watch: tuple[Watch, ...] = ()
    client: tuple[Client, ...] = ()
    sink: Sink = Sink()


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(Tree, values)
    return list(caught.value.problems)


def test_an_empty_table_is_all_defaults() -> None:
    assert build(Tree, {}) == Tree()


def test_every_kind_of_value() -> None:
    tree = build(
        Tree,
        {
            "interface": "br0",
            "enabled": False,
            "promiscuous": True,
            "for": "1h30m",
            "ring": 4096,
            "most": 7,
            "folder": "/tmp",
            "limit": 3,
            "web": {"hosts": ["router.lan"], "ports": [80, 443]},
            "watch": [{"name": "a", "sizes": ["1KB", 2]}, {"name": "b", "severity": "warning"}],
        },
    )
    assert (tree.interface, tree.enabled, tree.promiscuous, tree.limit) == ("br0", False, True, 3)
    assert (tree.for_, tree.ring, tree.most, tree.folder) == (5_400 * 10**9, 4096, 7, Path("/tmp"))
    assert tree.web == Web(hosts=("router.lan",), ports=(80, 443))
    assert tree.watch == (Watch("a", (Size(1000), Size(2))), Watch("b", severity="warning"))


def test_an_unknown_key_names_the_nearest_one() -> None:
    assert problems({"web": {"lisen": "x"}}) == ["web.lisen: unknown key; did you mean 'web.listen'?"]
    assert problems({"wacth": []}) == ["wacth: unknown key; did you mean 'watch'?"]


def test_a_key_in_the_wrong_table_is_found_again() -> None:
    assert problems({"listen": "x"}) == ["listen: unknown key; did you mean 'web.listen'?"]


def test_a_key_like_no_other_lists_what_there_is() -> None:
    assert problems({"web": {"zzz": 1}}) == ["web.zzz: unknown key; known here: country, hosts, listen, ports"]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"web": {"listen": 5}}, 'web.listen: expected text like "127.0.0.1:8470", got 5'),
        ({"interface": True}, 'interface: expected text like "auto", got true'),
        ({"enabled": 1}, "enabled: expected true or false, got 1"),
        ({"enabled": "yes"}, 'enabled: expected true or false, got "yes"'),
        ({"limit": True}, "limit: expected a whole number, got true"),
        ({"limit": 1.5}, "limit: expected a whole number, got 1.5"),
        ({"for": 60}, 'for: expected text like "90s", got 60'),
        ({"for": "soon"}, 'for: expected a duration like "90s", "12h" or "1h30m", got "soon"'),
        ({"ring": True}, 'ring: expected text like "20KB", got true'),
        ({"ring": "8 elephants"}, 'ring: expected a size like "20KB" or "8MiB", got "8 elephants"'),
        ({"most": "7"}, 'most: expected a number like 1000, got "7"'),
        ({"most": 0}, "most: expected a whole number from 1 to 10000000, got 0"),
        ({"folder": 1}, 'folder: expected text like "/var/lib", got 1'),
        ({"folder": ""}, 'folder: expected a path, got ""'),
        ({"promiscuous": "maybe"}, 'promiscuous: expected one of "auto", true, false, got "maybe"'),
        ({"web": 5}, "web: expected a table, [web], got 5"),
        ({"web": [{}]}, "web: expected a table, [web], got a list"),
        ({"web": {"hosts": "router.lan"}}, 'web.hosts: expected a list of texts, got "router.lan"'),
        ({"web": {"hosts": ["a", 5]}}, "web.hosts: expected text, got 5"),
        ({"web": {"ports": [True]}}, "web.ports: expected a whole number, got true"),
        ({"watch": {"name": "a"}}, "watch: write [[watch]], with double brackets"),
        ({"watch": [5]}, "watch[0]: expected a table, got 5"),
        ({"watch": 5}, "watch: expected an array of tables, [[watch]], got 5"),
        ({"watch": [{}]}, "watch[0].name: missing"),
        ({"client": [{}]}, 'client[0].mac: missing; for example mac = "60:38:e0:c5:35:a0"'),
        ({"web": {"country": "China"}}, "web.country: 'China' is not an ISO 3166-1 alpha-2 code; write it like CN"),
        ({"web": {"country": "UK"}}, "web.country: 'UK' is not an ISO 3166-1 alpha-2 code; the United Kingdom is 'GB'"),
        (
            {"watch": [{"name": "a"}, {"name": "b", "severity": "loud"}]},
            'watch[1] ("b").severity: expected one of "info", "warning", got "loud"',
        ),
        ({"sink": {"level": 10}}, "sink: level and url do not go together"),
    ],
)
def test_a_wrong_value_says_where_and_what_was_expected(values: dict[str, Any], problem: str) -> None:
    assert problems(values) == [problem]


def test_words_may_be_written_for_true_and_false() -> None:
    assert build(Tree, {"promiscuous": "true"}).promiscuous is True
    assert build(Tree, {"promiscuous": "false"}).promiscuous is False


def test_all_problems_come_at_once() -> None:
    found = problems({"interfce": 1, "web": {"listen": 1, "hosts": [1]}, "watch": [{"name": 1}, {"nam": "a"}]})
    assert [problem.partition(":")[0] for problem in found] == [
        "interfce",
        "web.listen",
        "web.hosts",
        "watch[0].name",
        "watch[1].nam",
        "watch[1].name",
    ]


def test_what_the_user_typed_is_shown_safely() -> None:
    for values in (
        {"interface": "a", "limit": "\x1b[31m"},
        {"\x1b]0;evil": 1},
        {"watch": [{"name": "\u202e", "severity": 1}]},
    ):
        [problem] = problems(values)
        assert problem.isprintable()


@pytest.mark.parametrize(
    "table", [{"url": "ftp://hook/SECRET"}, {"url": ["SECRET"]}, {"api_token": 5, "url": "SECRET"}, {"url": "SECRET"}]
)
def test_secrets_stay_out_of_errors(table: dict[str, Any]) -> None:
    assert "SECRET" not in "".join(problems({"sink": table}))


def test_a_check_of_its_own_names_its_key() -> None:
    assert problems({"sink": {"url": "gopher"}}) == ["sink.url: '...' is no URL"]


SECRET = "s3cret-TOKEN_0123456789"


@dataclass(frozen=True)
class Part:
    name: str = ""
    size: Size = Size("1KB")


@dataclass(frozen=True)
class Guarded:
    """As a table of a source, or of all."""

    switch: bool = True
    size: Size = Size("1KB")
    count: int = 0
    many: tuple[Part, ...] = ()
    foreground: Sink = Sink()
    sink: tuple[Part, ...] = ()


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("foreground.push", {"many": SECRET}),
        ("foreground.push", {"switch": [SECRET]}),
        ("foreground.push", {"switch": f"Bearer {SECRET}"}),
        ("foreground.push", {"size": SECRET * 5}),
        ("foreground.push", {"many": [SECRET]}),
        ("foreground.push", {"many": [{"name": SECRET, "size": SECRET}]}),
        ("foreground.push", {"switch": 1234567890123456789}),
        ("sink[0]", {"switch": SECRET}),
        ("", {"sink": SECRET}),
        ("", {"foreground": {"level": SECRET}, "sink": [SECRET]}),
    ],
)
def test_what_looks_like_a_secret_is_not_shown_in_tables_that_hold_some(path: str, table: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Guarded, table, path)
    for problem in caught.value.problems:
        assert "..." in problem or problem.endswith("got a list")
        assert not {SECRET[at : at + 12] for at in range(len(SECRET) - 12)} & {
            problem[at : at + 12] for at in range(len(problem))
        }
        assert "12345678" not in problem


@pytest.mark.parametrize(
    ("path", "value"),
    [("foreground.push", "on"), ("foreground.push", "on for the whole family"), ("watch", SECRET), ("", SECRET)],
)
def test_other_values_are(path: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f'switch: expected true or false, got "{value}"$'):
        build(Guarded, {"switch": value}, path)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
keys = (
    st.sampled_from(["interface", "for", "ring", "most", "folder", "web", "watch", "sink", "promiscuous"]) | st.text()
)


@given(st.dictionaries(keys, json_like, max_size=4))
def test_any_table_is_a_tree_or_a_config_error(values: dict[str, Any]) -> None:
    try:
        build(Tree, values)
    except ConfigError as error:
        assert all(problem.isprintable() for problem in error.problems)  # noqa: PT017  # both ends are fine


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"a = br0\n", 'line 1, column 5: invalid value; text needs quotes, as in interface = "br0"'),
        (
            b"a = 90s\n",
            "line 1, column 7: expected newline or end of document after a statement; "
            'text needs quotes, as in poll = "100ms"',
        ),
        (b"[a]\n[b]\n[a]\n", "line 3, column 3: this key or table stands twice: put its keys where it stands first"),
        (b'a = "x', "line 1, column 7: unterminated string"),
        (
            b"a = 1\na = 2\nb = 3",
            "line 2, column 6: this key or table stands twice: put its keys where it stands first",
        ),
        (b"a = 1\n# \xff\n", "line 2: not UTF-8 text"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_a_broken_file_is_one_line_with_the_place(tmp_path: Path, raw: bytes, where: str) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {where}"


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        read(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read(tmp_path)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read(path) == {"a": 1}
