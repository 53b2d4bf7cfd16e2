"""`idlewire notify-test`, as a user runs it: a configuration, a sink, a line."""

import asyncio
import json
import threading

import pytest

from sensor import cli, trial
from sensor.config import parse
from sensor.errors import ConfigError, DeliveryError, SensorError
from tests.deliver.chat.far_end import FarEnd, Reply

HOOK = "/api/webhooks/1/s3cretT0ken"


@pytest.fixture
def discord():
    """A Discord of our own in a thread; gives it and, as `settings`, a file that names it."""
    far = FarEnd(lambda _: Reply(200, {"id": "7"}))
    up, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve():
        async with far.running():
            up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert up.wait(10)
    yield far
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.fixture
def settings(discord, tmp_path):
    path = tmp_path / "idlewire.toml"
    sink = f'[[sink]]\nname = "family"\ntype = "discord"\nmin_severity = "critical"\nurl = "{discord.url}{HOOK}"\n'
    path.write_text(
        f'name = "attic"\n{sink}[[sink]]\nname = "nobody"\ntype = "discord"\nurl = "http://127.0.0.1:1{HOOK}"\n'
    )
    return path


def run(capsys, *arguments):
    code = cli.main(["notify-test", *map(str, arguments)])
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err
    return code, said.out, said.err


def test_it_arrives(discord, settings, capsys):
    code, out, err = run(capsys, "family", "--config", settings)
    assert (code, err) == (0, "")
    assert out.startswith("family (discord): delivered in 0.")
    assert out.endswith(" s\n")
    [got] = discord.got
    [embed] = json.loads(got.body)["embeds"]
    assert embed["title"] == "Idlewire: test"
    assert "This is a test from the sensor attic" in embed["description"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401, {"message": "Invalid Webhook Token s3cretT0ken"}), "answered 401\n"),
        (
            Reply(429, {"message": "slow down"}, {"Retry-After": "65"}),
            "answered 429 (slow down); it asks to wait 65 s\n",
        ),
        (Reply(302, {}, {"Location": "/login"}), "answered 302\n"),
    ],
)
def test_it_is_refused(discord, settings, capsys, reply, said):
    discord.service = lambda _: reply
    code, out, err = run(capsys, "family", "--config", settings)
    assert (code, out) == (1, "")
    assert err == f"sink family: {discord.url}/…: {said}"


def test_nobody_there(settings, capsys):
    code, _, err = run(capsys, "nobody", "--config", settings)
    assert code == 1
    assert err.startswith("sink nobody: http://127.0.0.1:1/…: ClientConnectorError")
    assert err.count("\n") == 1


def test_a_sink_that_is_not_there(settings, capsys):
    code, _, err = run(capsys, "famly", "--config", settings)
    assert (code, err) == (1, "no sink called 'famly'; did you mean 'family'? known: family, nobody\n")


def test_no_sink_at_all():
    with pytest.raises(ConfigError, match="no sink is configured"):
        trial.send(parse({}), "family", 0)


def test_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["notify-test"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        cli.main(["notify-test", "--help"])
    assert "examples:\n  idlewire notify-test family\n" in capsys.readouterr().out


class Slow:
    def __init__(self, name, settings, version):
        self.name = name

    def prepare(self):
        pass

    async def open(self):
        pass

    async def send(self, notice, earlier):
        await asyncio.sleep(30)

    async def close(self):
        pass


class Broken(Slow):
    async def send(self, notice, earlier):
        raise RuntimeError("s3cret")


@pytest.fixture
def config(settings):
    return cli.config.load(settings)


def with_plugin(config, plugin):
    object.__setattr__(config.sink[0], "plugin", plugin)
    return config


def test_a_sink_that_hangs(config, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    with pytest.raises(DeliveryError, match="sink family: no answer within"):
        trial.send(with_plugin(config, Slow), "family", 0)


def test_a_sink_that_breaks(config):
    with pytest.raises(SensorError, match=r"^sink family: failed: RuntimeError$"):
        trial.send(with_plugin(config, Broken), "family", 0)


def test_the_message_carries_a_whole_alert():
    notice = trial.notice("attic", 1_790_000_000 * 10**9)
    assert notice.kind == "test"
    [alert] = notice.alerts
    assert alert["sensor"]["name"] == "attic"
    assert alert["detector"] == "notify_test"
    assert type(notice).from_json(json.loads(json.dumps(notice.to_json()))) == notice


def test_several_messages_one_after_the_other(discord, config):
    messages = [trial.notice("attic", at) for at in (1, 2)]
    asyncio.run(trial.deliver(trial.ready(trial.find(config, "family")), *messages))
    assert len(discord.got) == 2


def test_no_sink_says_where_to_look():
    with pytest.raises(ConfigError, match=r"add a \[\[sink\]\] to the settings, or name their file with --config$"):
        trial.find(parse({}), "family")
