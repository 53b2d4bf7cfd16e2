"""Clients in settings: names under [[client]] become ids, wherever they stand."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from sensor.base.fields import ClientRef, Mac, is_mac
from sensor.base.settings import may_be_secret

T = TypeVar("T")


def with_ids(value: T, macs: Mapping[str, str], problems: list[str], path: str = "") -> T:
    """The same settings with every ClientRef in them as a client's id; what is none becomes a problem.

    `macs`: name -> MAC. A dataclass whose `key` is text has its keys there, whatever field holds it.
    """
    if isinstance(value, ClientRef):
        return _id_of(value, macs, problems, path)  # type: ignore[return-value]
    if isinstance(value, tuple):
        items = (with_ids(each, macs, problems, _path(path, at, each)) for at, each in enumerate(value))
        return tuple(items)  # type: ignore[return-value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    path = getattr(value, "key", path)
    changed: dict[str, Any] = {}
    for each in fields(value):
        old = getattr(value, each.name)
        where = path if each.name == "settings" else f"{path}.{each.name}".removeprefix(".")
        new = with_ids(old, macs, problems, where)
        if new is not old and new != old:
            changed[each.name] = new
    return replace(value, **changed) if changed else value


def named(value: object) -> set[str]:
    """All clients that settings name, by id once `with_ids` has been there."""
    if isinstance(value, ClientRef):
        return {str(value)}
    if isinstance(value, tuple):
        return {client for each in value for client in named(each)}
    if not is_dataclass(value) or isinstance(value, type):
        return set()
    return {client for each in fields(value) for client in named(getattr(value, each.name))}


def _path(path: str, at: int, item: object) -> str:
    if isinstance(item, ClientRef):
        return path
    name = getattr(item, "name", None)
    return f"{path}[{at}]" if name is None else f'{path}[{at}] ("{name}")'


def _id_of(client: ClientRef, macs: Mapping[str, str], problems: list[str], path: str) -> ClientRef:
    if client in macs:
        return ClientRef(macs[client])
    if is_mac(client):
        try:
            return ClientRef(Mac(client))
        except ValueError as error:
            problems.append(f"{path}: {error}")
            return client
    known = f"; known: {', '.join(sorted(macs))}" if macs else ""
    shown = "..." if may_be_secret(path, client) else client
    problems.append(f'{path}: "{shown}" is no MAC and no name under [[client]]{known}')
    return client
