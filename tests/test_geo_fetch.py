"""Files by https from a real server: whole ones, and what else a server can send."""

import asyncio
import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor import geo_fetch
from sensor.errors import DataError
from sensor.geo_fetch import Fetched, Unpacking, fetch
from tests.far_database import TOKEN, FarDatabase, serving, world


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FarDatabase, Path]]:
    folder = tmp_path_factory.mktemp("far")
    with serving(folder) as far:
        yield far, folder / "ca.pem"


@pytest.fixture
def far(server: tuple[FarDatabase, Path], monkeypatch: pytest.MonkeyPatch) -> FarDatabase:
    """As it was made, and trusted."""
    far, authority = server
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    port = far.port
    far.__init__()  # type: ignore[misc]
    far.port = port
    return far


def fetched(
    far: FarDatabase, known: dict[str, str] | None = None, url: str | None = None
) -> tuple[bytes, Fetched | None]:
    out = io.BytesIO()
    found = asyncio.run(fetch(url or far.url(), out, known or {}))
    return out.getvalue(), found


def refusal(far: FarDatabase, url: str | None = None) -> str:
    """The one line, without token, path or place."""
    with pytest.raises(DataError) as caught:
        fetched(far, url=url)
    line = str(caught.value)
    assert TOKEN not in line
    assert "\n" not in line
    assert line.startswith(f"https://127.0.0.1:{far.port}/…: ")
    return line.partition("…: ")[2]


def test_a_file_as_it_is_and_one_that_is_packed(far: FarDatabase) -> None:
    far.etag = '"one"'
    assert fetched(far) == (world(), Fetched(len(world()), '"one"', ""))
    assert far.asked[0][0] == f"/data/lite.mmdb?token={TOKEN}"
    far.gzipped(world())
    assert fetched(far)[0] == world()


def test_what_is_known_costs_nothing(far: FarDatabase) -> None:
    far.etag = '"one"'
    assert fetched(far, {"etag": '"one"'}) == (b"", None)
    assert fetched(far, {"etag": '"another"'})[1] is not None


def test_redirects_are_followed_by_https_only(far: FarDatabase) -> None:
    far.status, far.location = 302, "/elsewhere?sig=a%2Fb"
    assert fetched(far)[0] == world()
    assert far.asked[-1][0] == "/elsewhere?sig=a%2Fb"
    far.status, far.location = 302, f"http://127.0.0.1:{far.port}/{TOKEN}"
    assert refusal(far) == "redirects to http://: only https is followed"
    far.status, far.location = 302, "file:///etc/passwd"
    assert refusal(far) == "redirects to nowhere"


def test_it_does_not_go_round_for_ever(far: FarDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_fetch, "MAX_REDIRECTS", 0)
    far.status, far.location = 302, "/again"
    assert refusal(far) == "more than 0 redirects"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (403, "answered 403: is the token in the URL right?"),
        (404, "answered 404: there is no such file (any more, or yet)"),
        (429, "answered 429: too many downloads, try again tomorrow"),
        (500, "answered 500"),
    ],
)
def test_other_answers(far: FarDatabase, status: int, line: str) -> None:
    far.status = status
    assert refusal(far) == line


def test_too_much_is_not_taken(far: FarDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_fetch, "MAX_DOWNLOAD", 1_000_000)
    far.length = 1_000_001
    assert refusal(far) == "the file is larger than 1000000 bytes"
    far.endless, far.length = True, -1
    assert refusal(far) == "the file is larger than 1000000 bytes"


def test_a_bomb_is_not_unpacked(far: FarDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_fetch, "MAX_UNPACKED", 5_000_000)
    far.gzipped(bytes(50_000_000))
    assert refusal(far) == "the file unpacks to more than 5000000 bytes"


def test_a_slow_one_and_a_silent_one(far: FarDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geo_fetch, "TOTAL_SECONDS", 0.3)
    far.pause = 0.02
    assert refusal(far) == "not done within 0.3 s"
    monkeypatch.setattr(geo_fetch, "TOTAL_SECONDS", 30)
    monkeypatch.setattr(geo_fetch, "SILENT_SECONDS", 0.2)
    far.pause = 30
    assert refusal(far) == "nothing came for 0.2 s"


def test_one_that_ends_early(far: FarDatabase) -> None:
    far.length = len(far.body) + 1
    assert refusal(far) == "the file ended early"
    far.length = None
    far.body = gzip.compress(world())[:-9]
    assert refusal(far) == "the file ended early"
    far.body = b""
    assert refusal(far) == "the file is empty"


def test_a_disk_that_is_full(far: FarDatabase) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(DataError, match="No space left on device"):
        asyncio.run(fetch(far.url(), full, {}))


def test_who_is_not_trusted_and_who_is_not_there(far: FarDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert refusal(far) == "its certificate cannot be trusted"
    with pytest.raises(DataError, match=r"^https://127.0.0.1:1/…: ClientConnectorError"):
        fetched(far, url=f"https://127.0.0.1:1/{TOKEN}")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_unpacking_whatever_the_pieces(size: int) -> None:
    """Of several members, too (RFC 1952, 2.2)."""
    content = random.Random(1).randbytes(2_000) + bytes(2_000_000)
    for packed, wanted in [
        (gzip.compress(content), content),
        (gzip.compress(b"a") + gzip.compress(b"b"), b"ab"),
        (b"plain", b"plain"),
    ]:
        out = io.BytesIO()
        unpacking = Unpacking(out, "here")
        for at in range(0, len(packed), size):
            unpacking.feed(packed[at : at + size])
        unpacking.finish()
        assert out.getvalue() == wanted


def test_no_gzip_behind_its_mark() -> None:
    with pytest.raises(DataError, match=r"^here: the file is damaged: no gzip"):
        Unpacking(io.BytesIO(), "here").feed(b"\x1f\x8bnothing of the kind")
