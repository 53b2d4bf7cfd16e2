"""Tokens: where they come from, and how they are told apart."""

from pathlib import Path

import pytest

from sensor.base import tokens
from sensor.errors import ConfigError

TOKEN, OTHER = "a-token-of-the-phone", "a-token-of-the-tablet"
DIGESTS = [tokens.digest(TOKEN), tokens.digest(OTHER)]


@pytest.mark.parametrize(
    ("header", "number"),
    [
        (f"Bearer {TOKEN}", 0),
        (f"bearer  {OTHER} ", 1),
        (f"Bearer {TOKEN}x", None),
        (f"Bearer {TOKEN[:-1]}", None),
        ("Bearer ", None),
        (f"Basic {TOKEN}", None),
        (TOKEN, None),
        ("", None),
        (None, None),
        ("Bearer \udcff\ud800", None),
        ("Bearer " + "x" * 100_000, None),
    ],
)
def test_which_token_a_header_carries(header: str | None, number: int | None) -> None:
    assert tokens.which(header, DIGESTS) == number


def test_without_tokens_nobody_is_known() -> None:
    assert tokens.which(f"Bearer {TOKEN}", []) is None


def test_from_a_file_blanks_around_it_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"  {TOKEN}\n")
    assert tokens.read("", str(path), "foreground.manual") == TOKEN
    assert tokens.read(OTHER, "", "foreground.manual") == OTHER


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 5000, b"two words of a token", b"\xff" * 20])
def test_a_file_without_a_token_is_named_and_its_content_is_not(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^foreground\.manual\.token_file: .*openssl rand") as caught:
        tokens.read("", str(path), "foreground.manual")
    assert not content or content.decode("latin-1") not in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^foreground\.push\.phone\[0\]\.token_file: /nowhere: No such file"):
        tokens.read("", "/nowhere", "foreground.push.phone[0]")


@pytest.mark.parametrize(
    ("token", "file", "says"),
    [
        (TOKEN, "/file", "not both"),
        ("fifteen-letters", "", "^token: expected a token of 16"),
        ("x" * 257, "", "^token: expected a token of 16"),
        ("with blanks in the middle", "", "^token: .*without blanks"),
        ("täuschend-echter-token", "", "^token: "),
    ],
)
def test_what_cannot_be_a_token(token: str, file: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        tokens.check(token, file)
    assert token not in str(caught.value)


def test_what_can_be_one() -> None:
    tokens.check(TOKEN, "")
    tokens.check("", "/etc/idlewire/phone.token")
    tokens.check("", "")


def test_the_token_of_the_documentation_is_none() -> None:
    with pytest.raises(ValueError, match="example of the documentation"):
        tokens.check(tokens.EXAMPLE, "")
