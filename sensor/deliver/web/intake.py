"""POST: what somebody sends to be acted upon, read within limits and handed on; who takes it judges the token."""

import asyncio
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import aiohttp
from aiohttp import web

from sensor.deliver.shapes import json_bytes
from sensor.deliver.web.security import problem
from sensor.model.posted import MAX_BODY, Answer, Posted

BODY_SECONDS = 5.0
"""For a whole body."""


class Intake(Protocol):
    """Whoever takes what is posted to one path."""

    async def __call__(self, posted: Posted) -> Answer:
        """Never raises."""


def post_route(path: str, intake: Intake) -> web.RouteDef:
    """Posts to the path go to `intake`."""

    async def take(request: web.Request) -> web.Response:
        posted = await read_post(request)
        return posted if isinstance(posted, web.Response) else _response(await intake(posted))

    return web.post(path, take)


async def read_post(request: web.Request) -> Posted | web.Response:
    """What was sent, or the answer to whoever cannot send it."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
    except TimeoutError:
        return _closing(problem(408))
    except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError):
        return _closing(problem(400))
    return Posted(
        body,
        request.headers.get("Content-Type", ""),
        request.headers.get("Authorization"),
        sender_address(request.remote),
        request.match_info.get("id", ""),
    )


def sender_address(remote: str | None) -> str:
    """Without the interface of a link-local address, and as IPv4 where IPv6 only wraps it."""
    address = (remote or "").partition("%")[0]
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


async def _body(request: web.Request) -> bytes:
    """What there is of it, but no more than shows that it is too large."""
    body = b""
    while len(body) <= MAX_BODY and (chunk := await request.content.read(MAX_BODY + 1 - len(body))):
        body += chunk
    return body


def _response(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=json_bytes(answer.body), content_type="application/json")
    if answer.retry_after is not None:
        response.headers["Retry-After"] = str(answer.retry_after)
    if answer.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response if answer.status != 413 else _closing(response)


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response
