"""The child process: its pipes, its end, and that nothing of a URL gets out of it."""

import json
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sensor.deliver import apprise_worker
from sensor.deliver.apprise_worker import answer, serve

pytest.importorskip("apprise", reason="needs the package apprise")

SECRET = "s3cretT0ken"


def request(**changes):
    whole = {"url": "json://127.0.0.1:1/", "title": "Warning: x", "body": "it did", "type": "warning", **changes}
    return json.dumps(whole).encode()


@pytest.fixture
def receiver():
    """A server that takes JSON notifications; its `answer` is the status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(self.server.answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.got, server.answer = [], 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(*lines, idle=30.0):
    """What the code answers, in this process."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"".join(lines))
        os.close(writing)
        back, out = os.pipe()
        with os.fdopen(out, "wb") as target:
            serve(reading, target, idle)
        with os.fdopen(back, "rb") as answers:
            return [json.loads(line)["outcome"] for line in answers]
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b"\xff", b'{"url": 1}', b"[" * 10_000, request(type=None), request(body=["x"])]
)
def test_garbage(line):
    assert answer(line) == "garbage"


def test_line_by_line(monkeypatch):
    asked = []
    monkeypatch.setattr(apprise_worker, "notify", lambda values: asked.append(values["body"]) or "delivered")
    assert ask(request(body="a") + b"\n" + request(body="b") + b"\n", b"nonsense\nrest") == ["delivered"] * 2 + [
        "garbage"
    ]
    assert asked == ["a", "b"]


def test_a_plugin_that_breaks_is_a_refusal(monkeypatch):
    def broken(_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(apprise_worker, "notify", broken)
    assert answer(request()) == "refused"


def test_a_line_without_end_is_the_end():
    assert ask(b"x" * 65_000, idle=0.05) == []


def run(*lines):
    """The real process: (what it answered, all it wrote, its end)."""
    done = subprocess.run(
        [sys.executable, "-I", "-m", "sensor.deliver.apprise_worker"],
        input=b"".join(line + b"\n" for line in lines), capture_output=True, timeout=60, check=False,
        env={"PATH": os.defpath},
    )  # fmt: skip
    return (
        [json.loads(line)["outcome"] for line in done.stdout.splitlines()],
        done.stdout + done.stderr,
        done.returncode,
    )


def test_the_real_process(receiver):
    there = f"json://user:{SECRET}@127.0.0.1:{receiver.server_port}/hook"
    outcomes, written, code = run(
        request(url=there), request(url=f"nonsense://{SECRET}"), request(url=f"json://x:{SECRET}@127.0.0.1:1/")
    )
    assert outcomes == ["delivered", "bad url", "refused"]
    assert code == 0
    assert SECRET.encode() not in written
    [got] = receiver.got
    assert (got["title"], got["message"], got["type"]) == ("Warning: x", "it did", "warning")


@pytest.mark.parametrize("status", [302, 307, 400, 429, 500])
def test_what_is_no_success_is_refused_and_no_redirect_is_followed(receiver, status):
    receiver.answer = status
    outcomes, _, _ = run(request(url=f"json://127.0.0.1:{receiver.server_port}/hook"))
    assert outcomes == ["refused"]
    assert len(receiver.got) == 1


def test_a_certificate_that_nobody_vouches_for(receiver, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    outcomes, _, _ = run(request(url=f"jsons://127.0.0.1:{receiver.server_port}/hook"))
    assert (outcomes, receiver.got) == (["refused"], [])
