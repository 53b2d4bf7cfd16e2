"""O12: the vector that the libraries of Standard Webhooks are tested with, and what is no key."""

import pytest

from sensor.deliver.signing import read_secrets, signed

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MARK = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector():
    headers = signed(read_secrets(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers == {"webhook-timestamp": "1614265330", "webhook-signature": MARK}


def test_two_secrets_two_marks():
    headers = signed(
        read_secrets(f" {SECRET}\n{SECRET} "), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == f"{MARK} {MARK}"


@pytest.mark.parametrize(
    "text", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 100, "whsec_é" * 8,
             " ".join([SECRET] * 5)],
)  # fmt: skip
def test_no_secret(text):
    with pytest.raises(ValueError, match="expected") as caught:
        read_secrets(text)
    assert len(text) < 7 or text not in str(caught.value)
