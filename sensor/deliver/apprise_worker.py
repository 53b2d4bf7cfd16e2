"""The child process in which Apprise runs: `python -I -m sensor.deliver.apprise_worker`.

Its plug-ins sleep, start threads and need 50 MB; here they keep nobody waiting, and end with the process. A request is
one line of JSON on stdin, `{"url", "title", "body", "type"}`, its answer one line on stdout, `{"outcome": ...}`. It
ends by itself when its stdin does, and when nothing was asked for a while.
"""

import contextlib
import json
import logging
import os
import resource
import select
from typing import IO, Any, Literal

IDLE_SECONDS = 120.0
"""Without a request, after which the memory is given back."""
MAX_REQUEST = 65_536
"""Bytes of one line."""
MAX_DATA = 512 * 1024 * 1024
"""Bytes of memory of its own that the process may have (RLIMIT_DATA)."""

Outcome = Literal["delivered", "refused", "bad url", "garbage"]
"""Apprise does not tell a service that is away from one that says no: both are "refused"."""


def notify(request: dict[str, Any]) -> Outcome:
    """One message to one service; takes as long as the service does. Nothing that Apprise says gets out."""
    import apprise

    wanted: dict[str, Any] = {
        "http_redirects": False,
        "pem_autogen": False,
        "pgp_autogen": False,
        "secure_logging": True,
    }
    asset = apprise.AppriseAsset(**{key: value for key, value in wanted.items() if hasattr(apprise.AppriseAsset, key)})
    service = apprise.Apprise(asset=asset)
    if not service.add(request["url"]):
        return "bad url"
    arrived = service.notify(
        body=request["body"], title=request["title"], notify_type=request["type"], body_format=apprise.NotifyFormat.TEXT
    )
    return "delivered" if arrived else "refused"


def serve(source: int, target: IO[bytes], idle: float = IDLE_SECONDS) -> None:
    """Answers request by request until `source` ends or is silent for `idle` seconds."""
    pending = b""
    while True:
        line, found, rest = pending.partition(b"\n")
        if found:
            pending = rest
            target.write(json.dumps({"outcome": answer(line)}).encode("ascii") + b"\n")
            target.flush()
            continue
        if len(pending) > MAX_REQUEST or not select.select([source], [], [], idle)[0]:
            return
        piece = os.read(source, MAX_REQUEST)
        if not piece:
            return
        pending += piece


def answer(line: bytes) -> Outcome:
    """What became of one request; never raises, as the error's text may hold the URL."""
    try:
        request = json.loads(line)
        if not all(isinstance(request[key], str) for key in ("url", "title", "body", "type")):
            return "garbage"
    except (ValueError, RecursionError, KeyError, TypeError):
        return "garbage"
    try:
        return notify(request)
    except Exception:  # noqa: BLE001  # 170 plug-ins
        return "refused"


def main() -> None:
    """stdin and stdout are pipes to the sensor; whatever plug-ins print goes nowhere."""
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA, MAX_DATA))
    target = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    serve(0, target)


if __name__ == "__main__":
    main()
    # Threads of plug-ins that still wait shall not hold the process.
    os._exit(0)
