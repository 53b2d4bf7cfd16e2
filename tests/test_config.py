import os
import re
import time
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sensor import config
from sensor.base.settings import build
from sensor.config import STANDARD_DETECTORS, load, parse
from sensor.deliver.routing import NotifySettings
from sensor.deliver.sink import SINKS
from sensor.detect.allowance import Allowance, Allowances
from sensor.detect.base import DETECTORS
from sensor.detect.rules.background_upload import BackgroundUpload
from sensor.detect.rules.client_table import ClientTable
from sensor.detect.rules.idle_drip import IdleDrip
from sensor.detect.rules.unused_device import UnusedDevice
from sensor.detect.rules.upload_burst import UploadBurst
from sensor.detect.rules.watchlist import Watchlist
from sensor.detect.watch import Watch
from sensor.errors import ConfigError
from sensor.foreground.base import SOURCES
from sensor.foreground.settings import ForegroundKeys
from sensor.model.activity import Contact
from sensor.model.destination import Name, Place

EXAMPLE = Path(__file__).parent.parent / "config" / "idlewire.toml"
MAC = "60:38:e0:c5:35:a0"


def from_text(text: str) -> config.Config:
    return parse(tomllib.loads(text))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        from_text(text)
    return list(caught.value.problems)


def uncommented() -> dict[str, Any]:
    """The example file with every setting in force: those lines have no blank after the #."""
    return tomllib.loads(re.sub(r"^#(?=[a-z\[])", "", EXAMPLE.read_text(), flags=re.MULTILINE))


def test_an_empty_file_runs() -> None:
    empty = from_text("")
    assert (empty.interface, empty.promiscuous, empty.web.listen) == ("auto", "auto", "127.0.0.1:8470")
    assert (empty.state_dir, empty.capture.ring, empty.capture.poll) == (
        Path("/var/lib/idlewire"),
        8 * 2**20,
        100_000_000,
    )
    assert [(chosen.name, chosen.plugin) for chosen in empty.detect.detectors] == [
        ("watchlist", Watchlist),
        ("client_table", ClientTable),
        ("background_upload", BackgroundUpload),
        ("idle_drip", IdleDrip),
        ("unused_device", UnusedDevice),
        ("upload_burst", UploadBurst),
    ]
    assert empty.watch == empty.sink == empty.allow == empty.foreground.sources == ()
    assert empty.allow_lists == ("builtin",)


def test_the_keys_that_outside_tests_write() -> None:
    made = from_text("""
        interface = "br0"
        state_dir = "/tmp/state"
        [web]
        listen = "127.0.0.1:0"
        [[watch]]
        name = "china"
        countries = ["CN"]
        asns = [4837]
        owners = ["Xiaomi"]
        cidrs = ["42.62.48.0/24"]
        domains = ["xiaomi.com"]
        severity = "critical"
        clients = []
        [detect.watchlist]
        resolve_after = "90s"
        [detect.background_upload]
        enabled = true
        for = "30s"
        min_bytes = "100KB"
        [detect.idle_drip]
        enabled = true
        window = "6h"
        min_contacts = 4
        min_bytes = "10KB"
        [foreground]
        max_age = "6h"
        grace = "30s"
        [[sink]]
        name = "lab"
        type = "webhook"
        url = "http://127.0.0.1:9000/hook"
        min_severity = "warning"
    """)
    [watch], [sink] = made.watch, made.sink
    assert (watch.countries, watch.asns, watch.owners, watch.cidrs, watch.domains, watch.severity) == (
        ("CN",),
        (4837,),
        ("Xiaomi",),
        ("42.62.48.0/24",),
        ("xiaomi.com",),
        "critical",
    )
    assert (sink.name, sink.type, sink.min_severity, sink.settings.url) == (
        "lab",
        "webhook",
        "warning",
        "http://127.0.0.1:9000/hook",
    )
    chosen = {each.name: each.settings for each in made.detect.detectors}
    assert chosen["watchlist"].resolve_after == 90 * 10**9
    assert (chosen["background_upload"].for_, chosen["background_upload"].min_bytes) == (30 * 10**9, 100_000)
    drip = chosen["idle_drip"]
    assert (drip.window, drip.min_contacts, drip.min_bytes) == (6 * 3600 * 10**9, 4, 10_000)
    assert (made.foreground.rules.max_age, made.foreground.rules.grace) == (6 * 3600 * 10**9, 30 * 10**9)


def test_secrets_stay_out_of_the_trees_text() -> None:
    made = from_text('[[sink]]\nname = "lab"\ntype = "webhook"\nurl = "http://hook/SECRET"')
    assert "SECRET" not in repr(made)


def test_a_detector_can_be_switched_off() -> None:
    off = "".join(f"[detect.{name}]\nenabled = false\n" for name in STANDARD_DETECTORS if name != "idle_drip")
    assert [chosen.name for chosen in from_text(off).detect.detectors] == ["idle_drip"]


def test_a_detector_that_is_not_standard_is_on_once_its_table_is_there() -> None:
    made = from_text('[detect.new_destination]\nlearning = "14d"')
    assert [chosen.name for chosen in made.detect.detectors] == [*STANDARD_DETECTORS, "new_destination"]
    made = from_text("[detect.new_destination]\nenabled = false")
    assert [chosen.name for chosen in made.detect.detectors] == list(STANDARD_DETECTORS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[web]\nlisen = "x"', "web.lisen: unknown key; did you mean 'web.listen'?"),
        ("[web]\nlisten = 5", 'web.listen: expected text like "127.0.0.1:8470", got 5'),
        ("[capture]\nring = 5", "capture.ring: expected a size from 256KiB to 1GiB, got 5 bytes"),
        ('[capture]\npoll = "1m"', "capture.poll: expected a duration from 1ms to 1s, got 60s"),
        (
            '[[watch]]\nname = "a"\ncountries = ["DE"]\n[[watch]]\nname = "china"\ncountries = ["CN", "CHN"]',
            "watch[1] (\"china\").countries: 'CHN' is not an ISO 3166-1 alpha-2 code; write it like CN",
        ),
        (
            '[[watch]]\nname = "china"\ncidrs = ["42.62.48.10/24"]',
            "watch[0] (\"china\").cidrs: '42.62.48.10/24' has bits set beyond its length; did you mean 42.62.48.0/24?",
        ),
        (
            '[[watch]]\nname = "empty"\nexcept_countries = ["CN"]',
            'watch[0] ("empty"): names no place; give one of countries, asns, owners, cidrs, domains',
        ),
        (
            '[[watch]]\nname = "a"\nasns = [1]\n[[watch]]\nname = "a"\nasns = [2]',
            'watch.name: "a" is used 2 times',
        ),
        (
            '[[watch]]\nname = "a"\nasns = [1]\nclients = ["Redmi Note"]',
            'watch[0] ("a").clients: "Redmi Note" is no MAC and no name under [[client]]',
        ),
        ("[detect.watchlst]", "detect.watchlst: no detector called 'watchlst'; did you mean 'watchlist'? known: "),
        ("[detect.nope]", "detect.nope: no detector called 'nope'; known: "),
        ("[detect]\nwatchlist = 5", "detect.watchlist: expected a table, [detect.watchlist]"),
        (
            "[detect.watchlist]\nresolve = 1",
            "detect.watchlist.resolve: unknown key; did you mean 'detect.watchlist.resolve_after'",
        ),
        (
            '[[sink]]\nname = "a"\ntype = "nope"',
            "sink[0] (\"a\").type: no sink type called 'nope'; known: alertmanager",
        ),
        ('[[sink]]\ntype = "webhook"\nurl = "http://a/"', 'sink[0].name: missing; for example name = "lab"'),
        ('[[sink]]\nname = "a"', 'sink[0] ("a").type: missing; for example type = "webhook"'),
        (
            '[[sink]]\nname = "a"\ntype = "webhook"\nulr = "http://a/"',
            'sink[0] ("a").ulr: unknown key; did you mean \'sink[0] ("a").url\'?',
        ),
        ('[[sink]]\nname = "a"\ntype = "webhook"', 'sink[0] ("a"): needs url or url_file'),
        (
            '[[sink]]\nname = "a"\ntype = "webhook"\nurl = "http://a/"\nurl_file = "/x"',
            'sink[0] ("a"): give one of url and url_file, not both',
        ),
        (
            '[[sink]]\nname = "a"\ntype = "webhook"\nurl = "http://a:99999/"',
            'sink[0] ("a").url: the port of the URL must be a number from 1 to 65535',
        ),
        ("[[watch]]\nasns = [1]", 'watch[0].name: missing; for example name = "china"'),
        (
            '[[watch]]\nname = "a"\ndomains = ["https://xiaomi.com/"]',
            "watch[0] (\"a\").domains: 'https://xiaomi.com/' is not a domain name; write it like xiaomi.com",
        ),
        (
            '[[watch]]\nname = "a"\nasns = [1]\nclients = ["ff:ff:ff:ff:ff:ff"]',
            "watch[0] (\"a\").clients: 'ff:ff:ff:ff:ff:ff' is a group address",
        ),
        ('[client]\nname = "a"', "client: write [[client]], with double brackets"),
        (f'[[client]]\nmac = "{MAC}"', 'client[0].name: missing; for example name = "Redmi Note"'),
        ('[[client]]\nmac = "01:00:5e:00:00:fb"\nname = "a"', "client[0] (\"a\").mac: '01:00:5e:00:00:fb' is a group"),
        ('[web]\npublic_url = "http://router.lan/x"', "web.public_url: expected scheme, host and perhaps a port"),
        ('[web]\nlink_age = "40d"', "web.link_age: expected a duration from 1m to 30d"),
        ('[web]\nhosts = ["http://router.lan"]', "web.hosts: 'http://router.lan' is not a host name like router.lan"),
        ('local = ["0.0.0.0/0"]', "local: '0.0.0.0/0' is every address: then nothing would be a destination"),
        ('local = ["::/0"]', "local: '::/0' is every address"),
        ('[detect.watchlist]\nresolve_after = "0s"', "detect.watchlist.resolve_after: expected at least 1s, got 0s"),
        ('[detect.client_table]\nresolve_after = "5ms"', "detect.client_table.resolve_after: expected at least 1s"),
        ('user = ""', 'user: expected "auto" or the name of a user, got ""'),
        ('user = "a\\u0000"', "user: expected"),
        ('[[client]]\nmac = "x"\nname = "a"', "client[0] (\"a\").mac: 'x' is not a MAC address like 60:38:e0:c5:35:a0"),
        (
            '[detect.background_upload]\nwindow = "10s"',
            "detect.background_upload.window: expected at least 1m, and no less than `for`",
        ),
        ('[detect.idle_drip]\nwindow = "1m"', "detect.idle_drip.window: expected at least 10m"),
        ("[detect.idle_drip]\nmin_contacts = 0", "detect.idle_drip.min_contacts: expected a whole number from 1"),
        ('[detect.idle_drip]\nresolve_after = "0s"', "detect.idle_drip.resolve_after: expected at least 1s, got 0s"),
        (
            "[detect.background_upload]\nminbytes = 1",
            "detect.background_upload.minbytes: unknown key; did you mean 'detect.background_upload.min_bytes'?",
        ),
        ('[allow]\nname = "a"', "allow: write [[allow]], with double brackets"),
        ('[[allow]]\nname = "a"\nasns = [1]', 'allow[0] ("a").reason: missing; for example reason = "photo backup'),
        ('[[allow]]\nreason = "a"\nasns = [1]', 'allow[0].name: missing; for example name = "china"'),
        (
            '[[allow]]\nname = "a"\nreason = "b"',
            'allow[0] ("a"): names no place; give one of countries, asns, owners, cidrs, domains',
        ),
        (
            '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\nclients = ["Pixel"]',
            'allow[0] ("a").clients: "Pixel" is no MAC and no name under [[client]]',
        ),
        (
            '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\ndetectors = ["watchlist"]',
            'allow ("a").detectors: no detector of idle clients called "watchlist"; known: background_upload, ',
        ),
        (
            2 * '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\n',
            'allow.name: "a" is used 2 times',
        ),
        ('[foreground]\nmax_age = "30s"', "foreground.max_age: expected more than `grace`"),
        ('allow_lists = ["bultin"]', 'allow_lists: expected "builtin" or the full path of a file, got "bultin"'),
        ('allow_lists = "builtin"', "allow_lists: expected a list of"),
        ("[foreground]\nmax_age = 1", 'foreground.max_age: expected text like "90s", got 1'),
        ('[foreground]\nmaxage = "1h"', "foreground.maxage: unknown key; did you mean 'foreground.max_age'?"),
        ('[foreground]\ngrace = "-1s"', 'foreground.grace: expected a duration like "90s"'),
        ("[foreground]\nadb = true", "foreground.adb: expected a table, [foreground.adb]"),
        ("[foreground.pusk]", "foreground.pusk: no foreground source called 'pusk'; did you mean 'push'? known: adb, "),
        (
            '[foreground.manual]\ntoken = "a-secret-of-some-length"\nlisten = 5',
            "foreground.manual.listen: unknown key",
        ),
        (
            '[foreground.schedule]\n[[foreground.schedule.quiet]]\nclients = ["TV"]\nfrom = "23:00"\nto = "07:00"',
            'foreground.schedule.quiet[0].clients: "TV" is no MAC and no name under [[client]]',
        ),
    ],
)
def test_each_mistake_is_one_line_that_names_the_key(text: str, problem: str) -> None:
    [found] = problems(text)
    assert found.startswith(problem)


def test_all_mistakes_come_at_once() -> None:
    found = problems('interface = 1\n[web]\nlisen = 1\n[detect.nope]\n[[sink]]\nname = "a"\ntype = "x"')
    assert {problem.split(":")[0] for problem in found} == {
        "interface",
        "web.lisen",
        "detect.nope",
        'sink[0] ("a").type',
    }


def test_a_watch_may_name_its_clients() -> None:
    made = from_text("""
        [[client]]
        mac = "60-38-E0-C5-35-A0"
        name = "Redmi Note"
        [[watch]]
        name = "a"
        asns = [1]
        clients = ["Redmi Note", "02:00:00:00:00:01"]
    """)
    assert made.watch[0].clients == (MAC, "02:00:00:00:00:01")
    assert made.client_names == {MAC: "Redmi Note"}


def test_an_allowance_may_name_its_clients() -> None:
    made = from_text("""
        [[client]]
        mac = "60-38-E0-C5-35-A0"
        name = "Redmi Note"
        [[allow]]
        name = "backup"
        reason = "photo backup that I want"
        clients = ["Redmi Note"]
        owners = ["Google"]
        domains = ["photos.googleapis.com"]
        detectors = ["background_upload"]
        max_bytes = "2GB"
    """)
    [allow] = made.allow
    assert (allow.clients, allow.max_bytes, allow.detectors) == ((MAC,), 2 * 10**9, ("background_upload",))


# Lists of what is fine.


def test_the_shipped_list_is_valid_and_says_why() -> None:
    shipped = config.read_allow_lists(parse({}))
    assert len({each.name for each in shipped}) == len(shipped) > 5
    assert all(each.enabled and not each.clients for each in shipped)
    for each in shipped:
        assert len(each.reason) > 20, each.name
        assert each.max_bytes is not None, f"{each.name}: whoever borrows its name could send any amount"
        assert set(each.detectors) <= set(STANDARD_DETECTORS), each.name


@pytest.mark.parametrize("each", config.read_allow_lists(parse({})), ids=lambda each: str(each.name))
def test_what_the_shipped_list_allows_by_name_alone_is_little(each: Allowance) -> None:
    """A client chooses the names that it utters: where no owner must match, too, only the drip of a clock is fine."""
    assert each.owners or (each.detectors == ("idle_drip",) and (each.max_bytes or 0) <= 30_000)


@pytest.mark.parametrize(
    ("place", "names", "detector", "allowed"),
    [
        (Place("US", 15_169, "Google LLC"), ["mtalk.google.com"], "idle_drip", True),
        (Place("US", 714, "Apple Inc."), ["p26-keyvalueservice.icloud.com"], "idle_drip", True),
        (Place("US", 8_075, "Microsoft Corporation"), [], "idle_drip", True),
        (Place("US", 15_169, "Google LLC"), ["dl.google.com"], "background_upload", True),
        (Place("DE", 680, "Example University"), ["2.android.pool.ntp.org"], "idle_drip", True),
        (Place("US", 15_169, "Google LLC"), ["photos.googleapis.com"], "background_upload", False),
        (Place("US", 396_982, "Google LLC"), ["mtalk.google.com", "dl.google.com"], "idle_drip", False),
        (Place("CN", 4_808, "China Unicom Beijing"), ["mtalk.google.com", "push.apple.com"], "idle_drip", False),
        (Place("CN", 4_808, "China Unicom Beijing"), ["pool.ntp.org"], "background_upload", False),
        (Place("US", 64_999, "Pineapple Networks"), ["push.apple.com"], "idle_drip", False),
        (Place(), ["mtalk.google.com"], "idle_drip", False),
    ],
)
def test_what_the_shipped_list_is_for(place: Place, names: list[str], detector: str, allowed: bool) -> None:
    contact = Contact(0, MAC, b"", b"\x08\x08\x08\x08", place, [Name(name, "tls") for name in names])
    speaking = Allowances([], config.read_allow_lists(parse({}))).of(contact, watched=False)
    assert any(each.covers(detector, 10_000) for each in speaking) is allowed


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\nclients = ["{MAC}", "TV"]')
    client = f'[[client]]\nmac = "{MAC}"\nname = "TV"'
    [own] = config.read_allow_lists(from_text(f'allow_lists = ["{path}"]\n{client}'))
    assert own.clients == (MAC, MAC)
    both = config.read_allow_lists(from_text(f'allow_lists = ["builtin", "{path}"]\n{client}'))
    assert both[-1] == own
    assert len(both) > 1
    assert config.read_allow_lists(from_text("allow_lists = []")) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file or directory"),
        ("allow =", "line 1, column 8: "),
        ('[[watch]]\nname = "a"', "watch: unknown key; known here: allow"),
        ('[[allow]]\nname = "a"\nasns = [1]', 'allow[0] ("a").reason: missing'),
        (
            '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\nclients = ["TV"]',
            'allow[0] ("a").clients: "TV" is no MAC and no name under [[client]]',
        ),
        (2 * '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\n', 'allow.name: "a" is used 2 times'),
        (
            '[[allow]]\nname = "a"\nreason = "b"\nasns = [1]\ndetectors = ["idle-drip"]',
            'allow ("a").detectors: no detector of idle clients called "idle-drip"; known: background_upload, ',
        ),
    ],
)
def test_a_lists_mistakes_begin_with_its_name(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    made = from_text(f'allow_lists = ["{path}"]')
    with pytest.raises(ConfigError) as caught:
        config.read_allow_lists(made)
    [found] = caught.value.problems
    assert found.startswith(f"{path}: {problem}")
    assert config.problems(made) == [found]


def test_without_a_file_all_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "none.toml")
    assert load() == parse({})


def test_the_default_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.toml").write_text('interface = "br0"')
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "there.toml")
    assert load().interface == "br0"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml")


def test_a_files_mistakes_begin_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("interface = 1\n[web]\nlisen = 1")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert list(caught.value.problems) == [
        f'{path}: interface: expected text like "auto", got 1',
        f"{path}: web.lisen: unknown key; did you mean 'web.listen'?",
    ]


def test_what_only_this_machine_knows_is_wrong_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "text.mmdb").write_text("no database")
    made = from_text(f"""
        user = "nobody-here"
        state_dir = "{tmp_path}/state"
        [geo]
        databases = ["{tmp_path}/none.mmdb", "{tmp_path}/text.mmdb"]
        [[sink]]
        name = "lab"
        type = "webhook"
        url_file = "{tmp_path}/none"
    """)
    user, missing, broken, file = config.problems(made)
    assert user.startswith("user: there is no user nobody-here")
    assert missing.startswith(f"geo.databases: {tmp_path}/none.mmdb cannot be read")
    assert broken.startswith(f"geo.databases: {tmp_path}/text.mmdb cannot be read")
    assert file == f"sink lab: url_file: {tmp_path}/none: No such file or directory"
    assert [each.name for each in tmp_path.iterdir()] == ["text.mmdb"], "it only reads"


@pytest.mark.parametrize(
    ("geo", "line"),
    [
        ({"update_url": "http://a.example/kanarienvogel0123"}, "geo.update_url: the URL must begin with https://"),
        (
            {"update_url": "https://a.example", "update_url_file": "/x"},
            "geo: give one of update_url and update_url_file",
        ),
        ({"updat_url": "https://a.example/kanarienvogel0123"}, "geo.updat_url: unknown key; did you mean"),
        ({"databases": ["/x"], "update_url": 5}, "geo.update_url: expected text"),
    ],
)
def test_where_a_database_comes_from(geo: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"geo": geo})
    [problem] = caught.value.problems
    assert problem.startswith(line)
    assert "kanarien" not in problem


def test_what_is_there_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://127.0.0.1:9000/hook")
    sink = f'[[sink]]\nname = "lab"\ntype = "webhook"\nurl_file = "{tmp_path}/url"'
    assert config.problems(from_text(f'user = "root"\n{sink}')) == config.problems(from_text("")) == []


def test_the_example_file_as_it_is_means_the_defaults() -> None:
    assert load(EXAMPLE) == parse({})


def test_the_example_files_settings_are_the_defaults() -> None:
    values = uncommented()
    for example in ("client", "watch", "allow", "sink"):
        values.pop(example)
    del values["detect"]["new_destination"]  # off without its table
    for source in SOURCES.names():
        del values["foreground"][source]
    assert parse(values) == parse({})
    for name in DETECTORS.names():
        kind = DETECTORS.find(name).settings_type
        assert build(kind, uncommented()["detect"][name]) == kind(), name


def test_every_setting_is_in_the_example_file() -> None:
    values = uncommented()
    sinks = {sink["type"]: sink for sink in values["sink"]}
    for kind, table in [
        (config.Config, values),
        (config.CaptureSettings, values["capture"]),
        (config.WebSettings, values["web"]),
        (config.GeoSettings, values["geo"]),
        (config.AccountSettings, values["account"]),
        (NotifySettings, values["notify"]),
        (config.ClientSettings, values["client"][0]),
        *((DETECTORS.find(name).settings_type, values["detect"][name]) for name in DETECTORS.names()),
        *((SOURCES.find(name).settings_type, values["foreground"][name]) for name in SOURCES.names()),
        (ForegroundKeys, values["foreground"]),
        (Watch, values["watch"][0]),
        (Allowance, values["allow"][0]),
        *((SINKS.find(name).settings_type, sinks[name]) for name in SINKS.names()),
    ]:
        assert {field.name.rstrip("_") for field in fields(kind)} <= set(table), kind


def test_the_example_files_examples_hold() -> None:
    values = uncommented()
    for sink in values["sink"]:
        _either_of_two(sink)
    for source in SOURCES.names():
        _from_files(values["foreground"][source])
    made = parse(values)
    assert [source.name for source in made.foreground.sources] == list(values["foreground"])[2:]
    assert (made.allow[0].clients, made.allow[0].max_bytes) == ((MAC,), 2 * 10**9)
    assert (made.watch[0].name, made.sink[0].name, made.client[0].name) == ("china", "lab", "Redmi Note")
    optional = {key: value for key, value in values["watch"][0].items() if key in ("name", "enabled", "severity")}
    assert build(Watch, {**optional, "asns": [1]}) == build(Watch, {"name": "china", "asns": [1]})


def _either_of_two(table: dict[str, Any]) -> None:
    for key in ("token_file", "user_token_file", "password_file", "url_file", "topic_file", "secret_file"):
        table.pop(key, None)


def _from_files(table: dict[str, Any]) -> None:
    """A token of the documentation is none: the file stays."""
    for key in ("token", "password_file"):
        table.pop(key, None)
    for phone in table.get("phone", []):
        phone.pop("token", None)


def test_sources_may_name_their_clients() -> None:
    made = from_text(f"""
        [[client]]
        mac = "{MAC}"
        name = "TV"
        [foreground.schedule]
        [[foreground.schedule.quiet]]
        clients = ["TV", "02-00-00-00-00-01"]
        from = "23:00"
        to = "07:00"
    """)
    [source] = made.foreground.sources
    assert source.settings.quiet[0].clients == (MAC, "02:00:00:00:00:01")


# Files with mistakes, and the line that their author reads.


def lines_about(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [line.replace(str(path), "FILE") for line in caught.value.problems]


BAD_FILES: list[tuple[bytes, str]] = [
    # What is no TOML.
    (b"interface", "FILE: line 1, column 10: expected '=' after a key in a key/value pair"),
    (b"interface = br0", 'FILE: line 1, column 13: invalid value; text needs quotes, as in interface = "br0"'),
    (
        b"[capture]\npoll = 100ms",
        "FILE: line 2, column 11: expected newline or end of document after a statement; "
        'text needs quotes, as in poll = "100ms"',
    ),
    (b'interface = "br0', "FILE: line 1, column 17: unterminated string"),
    (b'name = "a\nb"', "FILE: line 1, column 10: illegal character '\\n'"),
    (b"[web\nlisten = 1", "FILE: line 1, column 5: expected ']' at the end of a table declaration"),
    (b"[[watch]\nname = 1", "FILE: line 1, column 8: expected ']]' at the end of an array declaration"),
    (
        b'name = "a"\nname = "b"',
        "FILE: line 2, column 11: this key or table stands twice: put its keys where it stands first",
    ),
    (b"[web]\n[web]", "FILE: line 2, column 5: this key or table stands twice: put its keys where it stands first"),
    (
        b"[web]\nlisten.x = 1\nlisten = 2",
        "FILE: line 3, column 11: this key or table stands twice: put its keys where it stands first",
    ),
    (b"a\x00b = 1", "FILE: line 1, column 2: expected '=' after a key in a key/value pair"),
    (b'name = "a\x00b"', "FILE: line 1, column 10: illegal character '\\x00'"),
    (b"\xff\xfei\x00n\x00", "FILE: line 1: not UTF-8 text"),
    (b'interface = "br0"\nname = "caf\xe9"', "FILE: line 2: not UTF-8 text"),
    (b"local = [" * 200_000, "FILE: larger than 1000000 bytes"),
    (b"name = " + b"[" * 20_000, "FILE: nested too deeply"),
    (b"name = " + b"{a=" * 20_000, "FILE: nested too deeply"),
    (b"a." * 20_000 + b"b = 1", "FILE: nested too deeply"),
    # What stands under the wrong name.
    (b"interfaces = 1", "FILE: interfaces: unknown key; did you mean 'interface'?"),
    (b"Interface = 1", "FILE: Interface: unknown key; did you mean 'interface'?"),
    (b"listen = 1", "FILE: listen: unknown key; did you mean 'web.listen'?"),
    (b"poll = 1", "FILE: poll: unknown key; did you mean 'capture.poll'?"),
    (b"qqq = 1", "FILE: qqq: unknown key; known here: account, allow, allow_lists, "),
    (b'"a\\nb" = 1', "FILE: a\\u000ab: unknown key; known here: "),
    (b"[webb]\nlisten = 1", "FILE: webb: unknown key; did you mean 'web'?"),
    (b"[sinks]", "FILE: sinks: unknown key; did you mean 'sink'?"),
    (b"[notify]\ncooldwon = 1", "FILE: notify.cooldwon: unknown key; did you mean 'notify.cooldown'?"),
    # What is of the wrong kind.
    (b"interface = 1", 'FILE: interface: expected text like "auto", got 1'),
    (b'interface = ["br0"]', 'FILE: interface: expected text like "auto", got a list'),
    (b"[interface]", 'FILE: interface: expected text like "auto", got a table'),
    (b"interface = 2026-11-24", 'FILE: interface: expected text like "auto", got 2026-11-24'),
    (b"interface = nan", 'FILE: interface: expected text like "auto", got nan'),
    (b"web = 1", "FILE: web: expected a table, [web], got 1"),
    (b"[[web]]", "FILE: web: expected a table, [web], got a list"),
    (b"[watch]\nname = 1", "FILE: watch: write [[watch]], with double brackets"),
    (b"watch = 1", "FILE: watch: expected an array of tables, [[watch]], got 1"),
    (b"watch = [1]", "FILE: watch[0]: expected a table, got 1"),
    (b'[[watch]]\nname = "a"\ncountries = "CN"', 'FILE: watch[0] ("a").countries: expected a list of values like "CN"'),
    (b'[[watch]]\nname = "a"\nasns = [true]', 'FILE: watch[0] ("a").asns: expected a number like 4837, got true'),
    (b'[[watch]]\nname = "a"\nasns = [1e400]', 'FILE: watch[0] ("a").asns: expected a number like 4837, got inf'),
    (b'[[watch]]\nname = "a"\nasns = [' + b"9" * 400 + b"]", 'FILE: watch[0] ("a").asns: 999'),
    (b'[[watch]]\nname = "a"\nasns = [1]\nenabled = "yes"', 'FILE: watch[0] ("a").enabled: expected true or false'),
    (b'promiscuous = "maybe"', 'FILE: promiscuous: expected one of "auto", true, false, got "maybe"'),
    (b"state_dir = 5", 'FILE: state_dir: expected text like "/var/lib/idlewire", got 5'),
    (b'state_dir = ""', 'FILE: state_dir: expected a path, got ""'),
    (b'state_dir = "a\\u0000b"', 'FILE: state_dir: expected a path, got "a\\u0000b"'),
    (b"[account]\nmax_clients = 0", "FILE: account.max_clients: expected a whole number from 1 to 10000000, got 0"),
    (b'[account]\nmax_clients = "5"', 'FILE: account.max_clients: expected a number like 1000, got "5"'),
    # Spans and amounts.
    (b"[capture]\npoll = 100", 'FILE: capture.poll: expected text like "90s", got 100'),
    (b'[capture]\npoll = "100"', 'FILE: capture.poll: expected a duration like "90s", "12h" or "1h30m", got "100"'),
    (b'[capture]\npoll = "1 hour"', 'FILE: capture.poll: expected a duration like "90s", "12h" or "1h30m", got '),
    (b'[capture]\npoll = "-1s"', 'FILE: capture.poll: expected a duration like "90s", "12h" or "1h30m", got "-1s"'),
    (b'[foreground]\nmax_age = "9999999d"', 'FILE: foreground.max_age: "9999999d" is longer than 100 years'),
    (b'[capture]\nring = "8 apples"', 'FILE: capture.ring: expected a size like "20KB" or "8MiB", got "8 apples"'),
    (b"[capture]\nring = -1", 'FILE: capture.ring: expected a size like "20KB" or "8MiB", got -1'),
    (b"[capture]\nring = 1.5", 'FILE: capture.ring: expected text like "20KB", got 1.5'),
    # Plug-ins.
    (b'[[sink]]\nname = "a"\ntype = "../x"', "FILE: sink[0] (\"a\").type: no sink type called '../x'; known: alert"),
    (b'[[sink]]\nname = "a"\ntype = "os"', "FILE: sink[0] (\"a\").type: no sink type called 'os'; known: alert"),
    (b'[[sink]]\nname = "a"\ntype = "__init__"', "FILE: sink[0] (\"a\").type: no sink type called '__init__'; known: "),
    (b'[[sink]]\nname = "a"\ntype = "slak"', "FILE: sink[0] (\"a\").type: no sink type called 'slak'; did you mean"),
    (b"[detect.__init__]", "FILE: detect.__init__: no detector called '__init__'; known: background_upload"),
    (b'[detect."../x"]', "FILE: detect.../x: no detector called '../x'; known: background_upload"),
    (b"[foreground.os]", "FILE: foreground.os: no foreground source called 'os'; known: adb, "),
]


@pytest.mark.parametrize(("content", "line"), BAD_FILES, ids=[str(at) for at in range(len(BAD_FILES))])
def test_a_bad_file_gives_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_bytes(content)
    [found] = lines_about(path)
    assert found.startswith(line), found
    assert len(found) < 600
    assert found.isprintable()


@pytest.mark.parametrize("content", [b"", b"\n\n", b'\xef\xbb\xbfinterface = "br0"', b'interface = "br0"\r\n[web]\r\n'])
def test_what_other_editors_write_is_fine(tmp_path: Path, content: bytes) -> None:
    """An empty file, a byte order mark, CRLF."""
    path = tmp_path / "idlewire.toml"
    path.write_bytes(content)
    assert load(path).interface in ("auto", "br0")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert lines_about(tmp_path / "none.toml") == ["FILE: No such file or directory"]
    assert lines_about(tmp_path) == ["FILE: Is a directory"]
    assert lines_about(tmp_path / "none" / "a.toml") == ["FILE: No such file or directory"]
    (tmp_path / "file").write_text("")
    assert lines_about(tmp_path / "file" / "a.toml") == ["FILE: Not a directory"]
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert lines_about(tmp_path / "a") == ["FILE: Too many levels of symbolic links"]
    assert lines_about(tmp_path / ("a" * 300)) == ["FILE: File name too long"]


def test_what_would_be_waited_for_is_no_file(tmp_path: Path) -> None:
    """A pipe that nobody writes to, or a device without an end."""
    os.mkfifo(tmp_path / "pipe")
    assert lines_about(tmp_path / "pipe") == ["FILE: not a regular file"]
    assert lines_about(Path("/dev/zero")) == ["FILE: not a regular file"]


def test_ten_thousand_tables_are_read_in_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_text("".join(f'[[watch]]\nname = "w{number}"\nasns = [1]\n' for number in range(10_000)))
    began = time.monotonic()
    assert len(load(path).watch) == 10_000
    path.write_text("".join(f"[[watch]]\nasn = [{number}]\n" for number in range(10_000)))
    assert len(lines_about(path)) == 20_000
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("key", [field.name for field in fields(config.Config)])
def test_whatever_is_under_a_key_is_one_line_or_fine(key: str) -> None:
    """Wrong kinds everywhere."""
    for value in (0, -1, 1.5, float("nan"), True, "", "x" * 9_999, "\0", [], [[]], [{}], {}, {"a": {"b": 1}}, None):
        found = refused(key, value)
        assert all(each.startswith(key) and each.isprintable() for each in found), found


def refused(key: str, value: object) -> list[str]:
    try:
        parse({key: value})
    except ConfigError as error:
        return list(error.problems)
    return []


def test_credentials_of_the_service_are_judged_by_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    file = "/run/credentials/idlewire.service/slack_url"
    made = config.parse({"sink": [{"name": "lab", "type": "slack", "url_file": file}]})
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert config.problems(made) == []
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/idlewire.service")
    [found] = config.problems(made)
    assert file in found
