"""Errors whose text is for the user."""

import pytest

from sensor.errors import CaptureError, ConfigError, DataError, DeliveryError, SensorError


@pytest.mark.parametrize("kind", [CaptureError, DataError])
def test_the_text_is_what_the_user_reads(kind: type[SensorError]) -> None:
    assert str(kind("no.pcap: no such file")) == "no.pcap: no such file"
    assert issubclass(kind, SensorError)


def test_each_wrong_setting_has_a_line() -> None:
    error = ConfigError("web.listen: expected host:port", "capture.ring: expected a size")
    assert str(error).splitlines() == list(error.problems)
    assert error.problems == ("web.listen: expected host:port", "capture.ring: expected a size")


def test_a_delivery_error_says_whether_and_when_to_try_again() -> None:
    error = DeliveryError("HTTP 429", retry=True, retry_after=30.0)
    assert (str(error), error.retry, error.retry_after) == ("HTTP 429", True, 30.0)
    assert DeliveryError("HTTP 400", retry=False).retry_after is None
    assert isinstance(error, SensorError)
