"""A secret is in the settings or in a file, and nowhere else."""

import pytest

from sensor.deliver.secret import Secret, checked, one_line, one_of
from sensor.errors import ConfigError


def test_one_of_the_two():
    one_of("token", "t0ken", "")
    one_of("token", "", "/etc/token")
    one_of("token", "", "", needed=False)
    with pytest.raises(ValueError, match="needs token or token_file"):
        one_of("token", "", "")
    with pytest.raises(ValueError, match="give one of token and token_file, not both"):
        one_of("token", "t0ken", "/etc/token", needed=False)


@pytest.mark.parametrize("value", ["s3cret\r\nX: y", "s3 cret", "s3crét", "s3cret\0"])
def test_what_cannot_be_one_is_refused_without_saying_it(value):
    with pytest.raises(ValueError, match="token: expected one line") as caught:
        checked("token", value, one_line)
    assert value not in str(caught.value)
    checked("token", "", one_line)


def test_out_of_the_settings():
    secret = Secret("token", "s3cret", "")
    secret.prepare("lab")
    assert secret.reveal() == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r}"


def test_out_of_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(" s3cret\n")
    secret = Secret("token", "", str(path))
    secret.prepare("lab")
    assert secret.reveal() == "s3cret"
    assert "s3cret" not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"s3cret\nsecond", "expected one line"),
        (b"s3cret\xff", "expected one line"),
        (b"s3cret" * 5000, "larger than 8192 bytes"),
    ],
)
def test_a_file_that_holds_none(tmp_path, content, said):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^sink lab: token_file: {path}: {said}") as caught:
        Secret("token", "", str(path)).prepare("lab")
    assert "s3cret" not in str(caught.value)


def test_a_path_that_is_none():
    with pytest.raises(ConfigError, match=r"token_file: .*: not a path"):
        Secret("token", "", "a\0b").prepare("lab")


def test_of_another_table(tmp_path):
    with pytest.raises(ConfigError, match=rf"^geo\.update_url_file: {tmp_path}/url: No such file"):
        Secret("update_url", "", f"{tmp_path}/url").read("geo.")
