"""`idlewire geo update`: a newer database of countries and owners, looked at before it replaces the one in use."""

import asyncio
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sensor.base.times import rfc3339
from sensor.config import Config
from sensor.deliver.http import shown_place
from sensor.enrich.embedded import place, shipped_at
from sensor.enrich.updated import FILE, check_age, examined
from sensor.errors import ConfigError, DataError
from sensor.geo_fetch import Fetched, fetch
from sensor.store.state_file import StateFile

UNSET = (
    "geo.update_url: not set, so nothing is fetched. Set it, or update_url_file, to a database in mmdb format: "
    "https://download.db-ip.com/free/dbip-country-lite-{month}.mmdb.gz (DB-IP Lite, free, countries only), or "
    "https://ipinfo.io/data/ipinfo_lite.mmdb?token=YOURS (IPinfo Lite, free token from https://ipinfo.io/lite)"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an update led to."""

    changed: bool
    name: str
    built_at: int
    """ns since 1970."""
    path: Path
    received: int
    """Bytes; 0: the server says that the file is the same."""
    newer: bool
    """Than the one that is built in; else that one is used."""

    def as_text(self) -> str:
        """For people: one line."""
        what = f"{self.name} of {rfc3339(self.built_at)[:10]}"
        use = "" if self.newer else "; the one that is built in is no older, and used"
        if not self.changed:
            return f"{what} is still the newest{use}"
        return f"{what} is in {self.path}{use or '; a sensor that runs takes it within the hour'}"

    def as_json(self) -> str:
        """For programs: one object."""
        database = {"name": self.name, "built_at": rfc3339(self.built_at), "path": str(self.path)}
        outcome = "updated" if self.changed else "unchanged"
        return json.dumps(
            {"outcome": outcome, "received_bytes": self.received, "used": self.newer, "database": database}
        )


def url_of(config: Config) -> str:
    """What to fetch; a secret. ConfigError: nothing is configured, or it would not be used."""
    secret = config.geo.update
    secret.read("geo.")
    if not secret.reveal():
        raise ConfigError(UNSET)
    if config.geo.databases:
        raise ConfigError(
            "geo.databases: names files, so that an update would not be used; take it out, or update them"
        )
    return secret.reveal()


def update(config: Config, url: str, now: int, *, force: bool = False) -> Outcome:
    """Fetches, examines, then replaces; whatever goes wrong, the file that was there stays. DataError says what it was.

    `now`: ns since 1970. `force`: fetch it also if it is the same, and take it also if it is older.
    """
    target = config.state_dir / FILE
    url = url.replace("{month}", rfc3339(now)[:7])
    asked = shown_place(url)
    about = StateFile(target.with_suffix(".json"))
    known = {} if force else _known(target, about, url)
    try:
        target.parent.mkdir(parents=True, mode=0o755, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        part = Path(name)
    except OSError as error:
        raise DataError(f"state_dir: cannot write in {target.parent}: {error.strerror}: start it with sudo") from None
    try:
        with os.fdopen(handle, "wb") as out:
            fetched = asyncio.run(fetch(url, out, known))
            if fetched is not None:
                _settle(out)
        if fetched is None:
            return _outcome(target, target, 0)
        return _take(part, target, about, url, fetched, now, force=force, asked=asked)
    except OSError as error:
        raise DataError(f"state_dir: cannot write {target}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _settle(out: BinaryIO) -> None:
    out.flush()
    # Readable for the user that the sensor becomes, whoever fetched it.
    os.fchmod(out.fileno(), 0o644)
    os.fsync(out.fileno())


def _take(
    part: Path, target: Path, about: StateFile, url: str, fetched: Fetched, now: int, *, force: bool, asked: str
) -> Outcome:  # fmt: skip
    try:
        found = _outcome(part, target, fetched.received)
        check_age(found.built_at, 0 if force else _in_use(target), now)
    except DataError as error:
        raise DataError(f"{asked}: what came {error}; what was there stays") from None
    digest = _digest(part)
    changed = digest != _digest(target)
    if changed:
        place(part, target)
    about.write({"url": _hash(url), "sha256": digest, "etag": fetched.etag, "modified": fetched.modified})
    return Outcome(changed, found.name, found.built_at, target, fetched.received, found.newer)


def _outcome(file: Path, target: Path, received: int) -> Outcome:
    """About a file that can be used; as if it were unchanged."""
    source = examined(file).source
    try:
        return Outcome(False, source.name, source.built_at, target, received, source.built_at > shipped_at())
    finally:
        source.close()


def _in_use(target: Path) -> int:
    """When the newest that is there was built, ns."""
    try:
        return max(shipped_at(), _outcome(target, target, 0).built_at)
    except DataError:
        return shipped_at()


def _known(target: Path, about: StateFile, url: str) -> Mapping[str, str]:
    """What to ask with whether it changed; nothing where the file is not what came from this URL."""
    facts = about.read() if target.exists() else None
    if facts is None or facts.get("url") != _hash(url) or facts.get("sha256") != _digest(target):
        return {}
    with suppress(DataError):
        _outcome(target, target, 0)
        return {key: str(facts.get(key, "")) for key in ("etag", "modified")}
    return {}


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _hash(url: str) -> str:
    """Tells whether it is the same URL, and not what is in it."""
    return hashlib.sha256(url.encode()).hexdigest()
