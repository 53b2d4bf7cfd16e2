"""A Home Assistant on loopback that speaks its WebSocket API, and misbehaves on request."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

TOKEN = "eyJ.s3cret-token"


class FakeHomeAssistant:
    """States of entities; what clients sent; and how to answer."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.received: list[dict[str, Any]] = []
        self.answers_pings = True
        self.accepts_token = True
        self.accepts_subscription = True
        self.answers_subscriptions = True
        self.services = {"mobile_app_pixel"}
        self.on_update = lambda: None
        """What the phone does when it is asked for a fresh reading."""
        self.connections: list[web.WebSocketResponse] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """On the port of the last time."""
        application = web.Application()
        application.router.add_get("/api/websocket", self._serve)
        application.router.add_get("/moved/api/websocket", self._redirect)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for socket in self.connections:
            await socket.close()
        self.connections.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def drop(self) -> None:
        """All connections die without a word."""
        for socket in self.connections:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self.connections.clear()

    def set(self, entity: str, state: str, changed: float, **attributes: Any) -> None:
        """As a state that was there before anybody asked."""
        self.states[entity] = {"s": state, "a": attributes, "c": "01JXYZ", "lc": changed}

    async def change(self, entity: str, state: str, changed: float) -> None:
        """As it happens, told to all who subscribed."""
        self.states[entity] |= {"s": state, "lc": changed}
        await self.say({"id": 1, "type": "event", "event": {"c": {entity: {"+": {"s": state, "lc": changed}}}}})

    async def say(self, message: Any) -> None:
        for socket in self.connections:
            await (socket.send_str(message) if isinstance(message, str) else socket.send_json(message))

    async def _redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(f"{self.url}/api/websocket")

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "auth_required", "ha_version": "2026.11.0"})
        hello = await socket.receive_json()
        self.received.append(hello)
        if hello != {"type": "auth", "access_token": TOKEN} or not self.accepts_token:
            await socket.send_json({"type": "auth_invalid", "message": f"Invalid {hello}"})
            await socket.close()
            return socket
        await socket.send_json({"type": "auth_ok", "ha_version": "2026.11.0"})
        self.connections.append(socket)
        last = 0
        async for frame in socket:
            assert frame.type is WSMsgType.TEXT
            message = json.loads(frame.data)
            self.received.append(message)
            # Home Assistant refuses ids that do not grow.
            assert message["id"] > last
            last = message["id"]
            await self._answer(socket, message)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        number = message["id"]
        failed = {"id": number, "type": "result", "success": False, "error": {"code": "unknown", "message": "no"}}
        done = {"id": number, "type": "result", "success": True, "result": None}
        match message["type"]:
            case "ping" if self.answers_pings:
                await socket.send_json({"id": number, "type": "pong"})
            case "subscribe_entities" if not self.answers_subscriptions:
                pass
            case "subscribe_entities" if not self.accepts_subscription:
                await socket.send_json(failed)
            case "subscribe_entities":
                await socket.send_json(done)
                wanted = {key: state for key, state in self.states.items() if key in message["entity_ids"]}
                await socket.send_json({"id": number, "type": "event", "event": {"a": wanted}})
            case "call_service":
                known = message["domain"] == "notify" and message["service"] in self.services
                await socket.send_json(done if known else failed)
                if known:
                    self.on_update()


@asynccontextmanager
async def serving() -> AsyncIterator[FakeHomeAssistant]:
    fake = FakeHomeAssistant()
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()
