"""A server on loopback that hands out databases by https, and everything that one can do wrong."""

import gzip
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.enrich.mmdb import database

NOW = 1_795_000_000 * 10**9
"""In November 2026, after the embedded database was built."""

TOKEN = "kanarienvogel0123456789"
WORLD = {
    "8.0.0.0/8": {"country_code": "US", "asn": "AS1", "as_name": "One"},
    "9.0.0.0/8": {"country_code": "US", "asn": "AS2", "as_name": "Two"},
    "193.0.0.0/8": {"country_code": "NL", "asn": "AS3", "as_name": "Three"},
    "202.0.0.0/8": {"country_code": "JP", "asn": "AS4", "as_name": "Four"},
}
"""Enough of it to be taken for a database of the world."""
COUNTRIES = {network: {"country": {"iso_code": record["country_code"]}} for network, record in WORLD.items()}


def world(
    built_at: int = NOW // 10**9 - 86_400, kind: str = "ipinfo lite", places: dict[str, object] | None = None
) -> bytes:
    """A database's content; `built_at`: seconds."""
    return database(WORLD if places is None else places, kind, built_at)


class FarDatabase:
    """What the server does, and what it was asked."""

    def __init__(self) -> None:
        self.body = world()
        self.status = 200
        self.location = ""
        self.etag = ""
        self.length: int | None = None
        """Another Content-Length than the body's; -1: none at all."""
        self.endless = False
        self.pause = 0.0
        """Seconds between two bytes."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self.over = threading.Event()

    def url(self, path: str = f"/data/lite.mmdb?token={TOKEN}") -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    def gzipped(self, body: bytes) -> None:
        self.body = gzip.compress(body)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append((request.path, dict(request.headers.items())))
        same = bool(self.etag) and request.headers.get("If-None-Match") == self.etag
        request.send_response(304 if same else self.status)
        if self.etag:
            request.send_header("ETag", self.etag)
        if self.location:
            request.send_header("Location", self.location)
            self.status, self.location = 200, ""
            self.body, body = self.body, b""
        else:
            body = b"" if same else self.body
        if self.length != -1 and not same:
            request.send_header("Content-Length", str(len(body) if self.length is None else self.length))
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        with suppress(OSError):  # who fetches has seen enough
            self._send(request, body)

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        while self.endless and not self.over.is_set():
            request.wfile.write(bytes(100_000))
        if not self.pause:
            request.wfile.write(body)
            return
        for number in range(len(body)):
            if self.over.wait(self.pause):
                return
            request.wfile.write(body[number : number + 1])
            request.wfile.flush()


@contextmanager
def serving(folder: Path) -> Iterator[FarDatabase]:
    """Until the end; its own authority is `folder`/ca.pem."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lab"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made.split(), *files, *names], check=True, capture_output=True)
    far = FarDatabase()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            far.answer(self)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    far.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield far
    finally:
        far.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
