"""Who may ask, by what name; and that every answer carries every header."""

import copy

import pytest

from sensor.deliver.web.security import HEADERS, host_status, own_names

NAMES = own_names("Box", "127.0.0.1", ("sensor.lan",))

CSP = HEADERS["Content-Security-Policy"]

PATHS = [
    "/",
    "/?client=60:38:e0:c5:35:a0",
    "/metrics",
    "/healthz",
    "/static/style.css",
    "/api/v1/clients",
    "/api/v1/destinations",
    "/api/v1/alerts",
    "/api/v1/status",
    "/api/v1/foreground",
    "/api/v1/foreground?client=60:38:e0:c5:35:a0",
]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8470", 200),
        ("localhost.", 200),
        ("127.0.0.1:8470", 200),
        ("127.9.9.9", 200),
        ("[::1]:8470", 200),
        ("192.168.1.1:1", 200),
        ("[2001:db8::1]", 200),
        ("box", 200),
        ("box.local:8470", 200),
        ("sensor.lan", 200),
        ("localhost.attacker", 403),
        ("attacker.localhost", 403),
        ("127.0.0.1.attacker.example", 403),
        ("evil.example:8470", 403),
        ("2130706433", 403),
        ("0x7f.1", 403),
        ("[::1].evil.example", 400),
        ("[::1", 400),
        ("[:::]", 400),
        ("::1", 400),
        ("localhost:port", 400),
        ("localhost:123456", 400),
        ("user@localhost", 400),
        ("localhost/evil", 400),
        ("local host", 400),
        ("", 400),
        ("١٢٧.0.0.1", 400),
    ],
)
def test_host(host, status):
    assert host_status([host], NAMES) == status


def test_none_or_several_hosts():
    assert host_status([], NAMES) == 400
    assert host_status(["localhost", "localhost"], NAMES) == 400


def assert_guarded(headers):
    for name, value in HEADERS.items():
        assert headers[name] == value
    assert "Cache-Control" in headers
    assert "aiohttp" not in headers["Server"].lower()


def test_the_policy_is_strict():
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in CSP
    assert "unsafe" not in CSP
    assert "script-src" not in CSP
    assert (HEADERS["X-Content-Type-Options"], HEADERS["X-Frame-Options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize("path", PATHS)
async def test_every_path(site, path):
    response, body = await site.get(path)
    assert response.status == 200
    assert body
    assert_guarded(response.headers)
    head, nothing = await site.get(path, "HEAD")
    assert head.status == 200
    assert nothing == b""
    assert_guarded(head.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v2/x",
        "/static/",
        "/static/../server.py",
        "/static/%2e%2e%2fserver.py",
        "//",
        "/%00",
        "/static/" + "%2e%2e%2f" * 80 + "etc/passwd",
        "/static/..%5c..%5cserver.py",
        "/static/style.css%00",
        "/static/style.css.gz",
    ],
)
async def test_missing_pages_too(site, path):
    response, body = await site.get(path)
    assert response.status == 404
    assert body == b'{"error":"not found"}'
    assert_guarded(response.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/v1/clients", "/api/v1/foreground", "/metrics", "/nothing"])
async def test_only_reading(site, method, path):
    response, _ = await site.get(path, method, data=b"x" if method == "POST" else None)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert_guarded(response.headers)


@pytest.mark.parametrize("path", PATHS)
async def test_a_foreign_host_gets_nothing(site, path):
    response, body = await site.get(path, headers={"Host": "evil.example"})
    assert response.status == 403
    assert body == b'{"error":"unknown Host"}'
    assert_guarded(response.headers)


@pytest.mark.parametrize("host", ["localhost:8470", "sensor.lan", "[::1]:8470", "10.0.0.1"])
async def test_our_own_names(site, host):
    response, _ = await site.get("/api/v1/status", headers={"Host": host})
    assert response.status == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: <script>\x00</script>\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_hardly_http(site, request_bytes):
    status, headers, body = await site.raw(request_bytes)
    assert status in (400, 405, 414, 431)
    assert_guarded(headers)
    assert body.startswith(b'{"error":"')
    assert b"script" not in body


async def test_get_changes_nothing(site, world):
    before = copy.deepcopy(world)
    for path in PATHS:
        await site.get(path)
    assert world == before


def test_own_names_are_lower_case_and_never_empty():
    assert own_names("", "", ()) == {"localhost"}
    assert {"localhost", "box", "box.local", "127.0.0.1", "sensor.lan"} == NAMES
