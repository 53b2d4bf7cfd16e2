"""The arguments of the commands about alerts; what they do is in test_mutes.py."""

import pytest

from sensor import cli


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("command", ["mute", "allow", "acknowledge", "mutes", "unmute", "maintenance"])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, said = run(capsys, command, "--help")
    assert code == 0
    assert f"idlewire {command}" in said.partition("examples:")[2]


@pytest.mark.parametrize("command", ["mute", "allow"])
def test_which_alerts_must_be_said(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, said = run(capsys, command, "--note", "all of them")
    assert (code, said) == (
        1,
        f"idlewire {command}: say which alerts: --detector, --client, --owner, --domain, --address, --port\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("mute", "--owner", "x", "--for", "1d", "--until", "15:00"),
        ("maintenance",),
        ("maintenance", "--for", "2h", "--over"),
        ("unmute",),
        ("mutes", "--everything"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(capsys, *arguments)[0] == 2
