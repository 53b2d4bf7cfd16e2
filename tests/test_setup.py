"""A small configuration out of a few answers."""

import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sensor import setup
from sensor.capture.interface import Link
from sensor.capture.survey import Seen, Survey
from sensor.config import Config, load, parse
from sensor.deliver.sink import SINKS
from sensor.errors import ConfigError, SensorError
from sensor.setup import Answers, Draft, asked, draft, found, named, next_steps, usual_interface, write

PHONE = "64:09:80:00:00:01"
LINKS = (
    Link("lo", 1, 772, True, True, False, True),
    Link("eth0", 2, 1, True, True, False, False),
    Link("br0", 3, 1, True, True, True, False),
    Link("wlan0", 4, 1, True, True, False, False, 0, 3),
    Link("eth1", 5, 1, True, False, False, False),
)
BOX = Survey(
    LINKS,
    {"br0": ("fe80::1/64", "192.168.1.1/24"), "eth0": ("198.51.100.2/24",)},
    ("eth0",),
    frozenset({"wlan0"}),
    (Seen(PHONE, ("192.168.1.9",), "wlan0"),),
)
BARE = Survey(LINKS[:2], {}, ("eth0",), frozenset(), ())


class Person:
    """Answers one question after the other, and remembers them."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[str] = []

    def __call__(self, question: str, default: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0) or default


def made(answers: Answers, box: Survey = BOX) -> tuple[Draft, Config]:
    result = draft(answers, Path("/etc/idlewire"), box)
    return result, parse(tomllib.loads(result.text))


def test_what_was_found() -> None:
    assert found(BOX, lambda mac: "Xiaomi" if mac == PHONE else None).splitlines() == [
        "Found on this box:",
        "  br0          bridge of wlan0, up, fe80::1/64, 192.168.1.1/24, <- would be watched",
        "  eth0         interface, up, 198.51.100.2/24, the way to the internet",
        "  eth1         interface, switched on, but not connected",
        "  wlan0        Wi-Fi, up",
        "Clients that it knows of:",
        f"    1  {PHONE}  Xiaomi  wlan0  192.168.1.9",
    ]
    assert found(BARE, lambda _: None).endswith("No clients yet: connect a phone, and run this again.")


def test_which_interface() -> None:
    assert (usual_interface(BOX), usual_interface(BARE)) == ("br0", "eth0")
    assert usual_interface(Survey((), {}, (), frozenset(), ())) == "auto"


def test_a_whole_conversation() -> None:
    person = Person("", "CN, ru", "Xiaomi", "1=Redmi Note", "ntfy", "a-topic", "y", "Redmi Note", "y")
    result, config = made(asked(Answers(), BOX, person))
    assert config.interface == "br0"
    assert (config.watch[0].countries, config.watch[0].owners) == (("CN", "RU"), ("Xiaomi",))
    assert config.client_names == {PHONE: "Redmi Note"}
    assert (config.sink[0].name, config.sink[0].settings.topic_file) == ("ntfy", "/etc/idlewire/ntfy.topic")
    assert [source.name for source in config.foreground.sources] == ["manual", "push"]
    push = config.foreground.sources[1].settings
    assert (push.listen, push.phone[0].client) == ("192.168.1.1:8471", PHONE)
    assert config.web.token_file == "/etc/idlewire/web.token"
    assert set(result.secrets) == {"ntfy.topic", "manual.token", "push.token", "web.token"}
    assert "a-topic" not in result.text


def test_nothing_at_all_is_fine() -> None:
    result, config = made(asked(Answers(), BARE, Person("", "", "", "", "", "n", "", "n")), BARE)
    assert config == parse({"interface": "eth0"})
    assert result.secrets == {}


def test_what_makes_no_sense_is_asked_again() -> None:
    person = Person(
        "", "China", "CN", "", "9=TV", f"{PHONE}=TV", "slak", "telegram", "me", "-100", "x",
        "123456789:abcdefghijklmnopqrstuvwxyz0123456789", "n", "", "n",
    )  # fmt: skip
    _, config = made(asked(Answers(), BOX, person))
    assert (config.watch[0].countries, config.client_names) == (("CN",), {PHONE: "TV"})
    assert config.sink[0].settings.chat_id == "-100"
    again = [question for question in person.questions if "Again" in question]
    assert again[0] == "'China' is not an ISO 3166-1 alpha-2 code\nAgain"
    assert again[2].startswith("no sink type called 'slak'; did you mean 'slack'?")
    assert "(not shown)" in person.questions[-4]


def test_but_not_for_ever() -> None:
    with pytest.raises(ConfigError, match="China"):
        asked(Answers(), BOX, Person("", *["China"] * 20))


def needs(kind: str) -> dict[str, str]:
    """What a sink of each type wants to know."""
    given = {
        "telegram": {"chat_id": "-100", "token": "123456789:abcdefghijklmnopqrstuvwxyz0123456789"},
        "ntfy": {"topic": "a-topic"},
        "matrix": {"server": "https://m.example", "room": "!a:m.example", "token": "a" * 20},
        "email": {"host": "smtp.example", "from": "a@example.com", "to": "b@example.com, c@example.com"},
        "gotify": {"url": "https://g.example", "token": "AreplaceThisByYours"},
        "pushover": {"token": "a" * 30, "user_token": "u" * 30},
        "signal": {"number": "+491701234567", "recipients": "+491707654321", "url": "http://127.0.0.1:8080"},
        "mqtt": {"host": "192.168.1.10"},
        "apprise": {"url": "rocket://user:password@chat.example.org/alerts"},
        "discord": {"url": "https://discord.com/api/webhooks/1234567890/" + "a" * 60},
        "slack": {"url": "https://hooks.slack.com/services/T0/B0/abcdefgh"},
    }
    return given.get(kind, {"url": "https://chat.example.com/hooks/abcdefgh"})


@pytest.mark.parametrize("kind", SINKS.names())
def test_every_sink_can_be_set_up_by_questions_and_by_flags(kind: str) -> None:
    answers = needs(kind)
    person = Person("", "", "", "", kind)
    person_answers = Answers(idle=False, push="", token=False)

    def ask(question: str, default: str) -> str:
        key = question.removesuffix(" (not shown)").rpartition(": ")[2]
        return answers[key] if question.startswith(f"{kind}: ") else person(question, default)

    result, config = made(asked(person_answers, BOX, ask))
    assert [sink.type for sink in config.sink] == [kind]
    secret = [key for key in answers if key in ("token", "topic", "user_token", "password", "url")]
    assert all(answers[key] not in result.text for key in secret)
    assert made(Answers(interface="br0", sink=kind, sink_keys=answers))[1].sink == config.sink


def test_names() -> None:
    assert named(f"1=Redmi, 02-00-00-00-00-01=TV, {PHONE} = Phone", BOX) == {
        PHONE: "Phone", "02:00:00:00:00:01": "TV",
    }  # fmt: skip
    for wrong in ("2=x", "0=x", "x=y", "1=", "1", "99999999999999999999=a"):
        with pytest.raises(ConfigError, match="client: "):
            named(wrong, BOX)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "idlewire.toml"
    result = draft(Answers(sink="ntfy", sink_keys={"topic": "a-topic"}), path.parent, BOX)
    assert write(result, path, force=False) == []
    assert load(path).sink[0].type == "ntfy"
    secret = path.with_name("ntfy.topic")
    assert (mode(path), mode(secret), secret.read_text()) == (0o644, 0o600, "a-topic\n")
    assert sorted(each.name for each in path.parent.iterdir()) == ["idlewire.toml", "ntfy.topic"]
    assert f"sudo idlewire notify-test ntfy --config {path}" in next_steps(result, path)


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path, result = tmp_path / "idlewire.toml", draft(Answers(idle=True), tmp_path, BOX)
    for there in (path, tmp_path / "manual.token"):
        there.write_text("mine")
        with pytest.raises(SensorError, match=f"{there} is there already: --force"):
            write(result, path, force=False)
        assert [each.name for each in tmp_path.iterdir()] == [there.name]
        assert there.read_text() == "mine"
        there.unlink()


def test_with_force_the_old_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_text("mine")
    [backup] = write(draft(Answers(), tmp_path, BOX), path, force=True)
    assert backup.read_text() == "mine"
    assert path.read_text() != "mine"


@pytest.mark.parametrize("step", ["_beside", "_backed_up"])
def test_whoever_interrupts_it_finds_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "idlewire.toml"
    path.write_text("mine")
    real, calls = getattr(setup, step), []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2 or step == "_backed_up":
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(setup, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(draft(Answers(idle=True, token=True), tmp_path, BOX), path, force=True)
    assert names(tmp_path.iterdir()) == ["idlewire.toml"]
    assert path.read_text() == "mine"


def names(paths: Iterable[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_a_folder_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SensorError, match=r"cannot be written: "):
        write(draft(Answers(), tmp_path, BOX), tmp_path / "file" / "idlewire.toml", force=False)


def test_hostile_names_stay_text() -> None:
    evil = '"]\n[web]\nlisten = "0.0.0.0:1'
    with pytest.raises(ConfigError):
        named(f"1={evil}", BOX)
    _, config = made(Answers(clients={PHONE: 'a "quoted" \\ name'}, owners=['x"y\\']))
    assert config.client_names[PHONE] == 'a "quoted" \\ name'
    assert config.watch[0].owners == ('x"y\\',)
