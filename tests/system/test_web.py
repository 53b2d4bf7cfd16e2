"""The web server as a browser, a foreign page and a scraper meet it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Sensor, running
from lab import Lab
from traffic import Internet, transfer

PATHS = ("/", "/metrics", "/api/v1/clients", "/api/v1/destinations?client=64:09:80:00:00:01", "/api/v1/alerts")


@pytest.fixture(scope="module")
def serving(lab: Lab, internet: Internet, folder: Path) -> Iterator[Sensor]:
    with running(lab.box, folder) as sensor:
        transfer(lab.c1, lab.new_address(), up=1000)
        yield sensor


@pytest.mark.parametrize("path", [*PATHS, "/nothing-here", "/api/v1/nothing", "/%2e%2e/etc/passwd"])
def test_every_answer_carries_the_security_headers(serving: Sensor, path: str) -> None:
    status, headers, _ = serving.request(path)
    assert status == (200 if path in PATHS else 404)
    assert "default-src" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY" or "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8470", ""])
def test_a_foreign_host_header_is_refused(serving: Sensor, path: str, host: str) -> None:
    status, headers, body = serving.request(path, headers={"Host": host})
    assert 400 <= status < 500
    assert b"64:09:80" not in body
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["127.0.0.1:8470", "localhost:8470", "localhost", "[::1]:8470"])
def test_an_own_host_header_is_served(serving: Sensor, host: str) -> None:
    assert serving.request("/api/v1/clients", headers={"Host": host})[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(serving: Sensor, method: str) -> None:
    assert serving.request("/api/v1/clients", method=method)[0] in (400, 403, 404, 405)


def test_wrong_questions_are_the_askers_fault(serving: Sensor) -> None:
    for query in ("", "?client=", "?client=%00", "?client=zz", "?client=" + "a" * 5000):
        assert serving.request("/api/v1/destinations" + query)[0] in (200, 400, 404)
    assert "Traceback" not in serving.log
