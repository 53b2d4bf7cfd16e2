"""What holds for every answer of the web server: headers, the Host check, who may do more than read."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sensor.deliver.shapes import json_bytes

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "idlewire",
}
METHODS = ("GET", "HEAD")
"""They never change anything. POST is let through where a route is registered for it."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_REASONS = {
    400: "bad request",
    403: "unknown Host",
    404: "not found",
    405: "only GET and HEAD",
    408: "the body took too long",
    500: "internal error",
    503: "not now",
}


def own_names(machine: str, listen_host: str, configured: Iterable[str]) -> frozenset[str]:
    """The names under which this server may be asked for: itself, the machine's name, what the owner added."""
    names = {"localhost", listen_host, *configured}
    if machine:
        names |= {machine, f"{machine}.local"}
    return frozenset(name.lower().removesuffix(".") for name in names if name)


def host_status(hosts: Sequence[str], names: frozenset[str]) -> int:
    """HTTP status for the values of the Host header: 200 to go on, 400 for none, several or rubbish, else 403.

    Any literal address passes: DNS rebinding needs a name that its attacker controls.
    """
    if len(hosts) != 1 or (match := _HOST.fullmatch(hosts[0])) is None:
        return 400
    host = match[1].lower()
    if host.startswith("["):
        return 200 if _is_address(host[1:-1]) else 400
    return 200 if host.removesuffix(".") in names or _is_address(host) else 403


def is_foreign(request: web.Request, public: str = "") -> bool:
    """Whether a page of another server made a browser send this; programs other than browsers name no Origin.

    `public`: an origin of this server besides that of the Host header, which a proxy may have replaced.
    """
    origins = request.headers.getall("Origin", [])
    own = {f"{scheme}://{request.headers.get('Host', '')}".lower() for scheme in ("http", "https")}
    return any(origin.lower() not in own and (not public or origin.lower() != public) for origin in origins)


def guard(names: Callable[[], frozenset[str]], *, reading: bool = True, public: str = "") -> Middleware:
    """The middleware that lets only requests for this server through, and gives errors their shape.

    Methods other than METHODS need a route of their own and a sender that is no foreign page. `reading`: that is what
    the server is for; else it says of all but its routes that they are not there. `public`: as for `is_foreign`.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        status = host_status(request.headers.getall("Host", []), names())
        if status != 200:
            return problem(status)
        refused = request.match_info.http_exception
        if request.method not in METHODS:
            if refused is not None and (reading or isinstance(refused, web.HTTPMethodNotAllowed)):
                return problem(405, allowed=_allowed(refused))
            if refused is None and is_foreign(request, public):
                return problem(403, "not from a page of another server")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return problem(error.status, allowed=_allowed(error))

    return check


def _allowed(refused: web.HTTPException) -> Iterable[str]:
    return sorted(refused.allowed_methods) if isinstance(refused, web.HTTPMethodNotAllowed) else METHODS


def problem(status: int, message: str | None = None, *, allowed: Iterable[str] = METHODS) -> web.Response:
    """An error as `{"error": "..."}`; the message is ours, never a part of the request. `allowed`: for 405."""
    reason = message or _REASONS.get(status, "not possible")
    response = web.Response(
        status=status,
        body=json_bytes({"error": reason}),
        content_type="application/json",
        headers={**HEADERS, "Cache-Control": "no-store"},
    )
    if status == 405:
        response.headers["Allow"] = ", ".join(allowed)
    return response


async def add_headers(_: web.BaseRequest, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: last word over every header that must not be missing; a page with forms sets one."""
    referrer = response.headers.get("Referrer-Policy", HEADERS["Referrer-Policy"])
    response.headers.update({**HEADERS, "Referrer-Policy": referrer})
    response.headers.setdefault("Cache-Control", "no-store")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
