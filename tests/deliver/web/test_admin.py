"""Who may change something: the token, read from settings or a file, never shown, and not to be guessed."""

import pytest

from sensor.deliver.web.admin import BURST, Admin, read_object
from sensor.errors import ConfigError
from sensor.model.posted import MAX_BODY, Answer, Posted

TOKEN = "0123456789abcdef0123"


def post(authorization=None, body=b"{}", kind="application/json"):
    return Posted(body, kind, authorization, "192.0.2.1")


def admin(token="", token_file=""):
    made = Admin(token, token_file, lambda: 0)
    made.prepare()
    return made


def status(answer):
    return None if answer is None else answer.status


def test_with_the_token_and_without():
    one = admin(TOKEN)
    assert one.refusal(post(f"Bearer {TOKEN}")) is None
    assert status(one.refusal(post())) == status(one.refusal(post("Bearer wrong-wrong-wrong-wrong"))) == 401


def test_where_none_is_set_nobody_may():
    assert status(admin().refusal(post(f"Bearer {TOKEN}"))) == 403


def test_guessing_is_slow_and_does_not_lock_out_the_owner():
    one = admin(TOKEN)
    assert [status(one.refusal(post("Bearer x"))) for _ in range(BURST + 1)][-1] == 429
    assert one.refusal(post(f"Bearer {TOKEN}")) is None


def test_from_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    assert admin(token_file=str(path)).refusal(post(f"Bearer {TOKEN}")) is None
    with pytest.raises(ConfigError, match=r"^web\.token_file: .*No such file"):
        admin(token_file=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"x" * (MAX_BODY + 1), "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 1000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"else": 1}', "application/json", 400),
    ],
)
def test_no_body(body, kind, expected):
    answer = read_object(post(body=body, kind=kind), ("id",))
    assert isinstance(answer, Answer)
    assert answer.status == expected


def test_a_body():
    assert read_object(post(body=b'{"id": 5}', kind="application/json; charset=utf-8"), ("id",)) == {"id": 5}
