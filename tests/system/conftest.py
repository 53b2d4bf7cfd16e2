"""Fixtures of the tests with real namespaces, real servers and the real daemon."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from daemon import Hook, Sensor
from lab import Lab, missing, remove_leftovers
from traffic import Internet


@pytest.fixture(scope="session")
def able() -> Iterator[None]:
    """Skips, with the reason, where no lab can be built."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    remove_leftovers()
    yield
    remove_leftovers()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that anybody may enter (pytest's own only root can): the sensor does not stay root."""
    made = Path(tempfile.mkdtemp(prefix="idlewire-lab-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def lab(able: None) -> Iterator[Lab]:
    """A box that routes for its clients."""
    with Lab.routing() as made:
        yield made


@pytest.fixture(scope="module")
def bridging_lab(able: None) -> Iterator[Lab]:
    """A box that only bridges towards another router."""
    with Lab.bridging() as made:
        yield made


@pytest.fixture(scope="module")
def internet(lab: Lab, folder: Path) -> Iterator[Internet]:
    services = Internet(lab.net, folder)
    services.start()
    yield services
    services.stop()


@pytest.fixture(scope="module")
def far_internet(bridging_lab: Lab, folder: Path) -> Iterator[Internet]:
    services = Internet(bridging_lab.net, folder)
    services.start()
    yield services
    services.stop()


@pytest.fixture
def hook(lab: Lab) -> Iterator[Hook]:
    """An open web server for webhooks in the box."""
    server = Hook(lab.box)
    server.open()
    yield server
    server.close()


@pytest.fixture
def sensor(lab: Lab) -> Iterator[Sensor]:
    """A sensor of this test's own, not started yet."""
    made = Path(tempfile.mkdtemp(prefix="idlewire-lab-"))
    made.chmod(0o755)
    daemon = Sensor(lab.box, made)
    yield daemon
    daemon.kill()
    shutil.rmtree(made, ignore_errors=True)
