"""Fixtures of what is installed: a fresh Debian root, and the namespaces of tests/system around it."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from daemon import Hook
from fresh import Root, debian, fresh, missing_for_install
from lab import Lab, missing, remove_leftovers
from traffic import Internet


@pytest.fixture(scope="session")
def able() -> None:
    """Skips, with the reason, where nothing can be installed; makes the Debian where there is none yet."""
    reason = missing_for_install() or missing()
    if reason:
        pytest.skip(reason)
    remove_leftovers()
    debian()


@pytest.fixture
def root(able: None) -> Iterator[Root]:
    """A fresh Debian that goes again."""
    with fresh() as made:
        yield made


@pytest.fixture(scope="module")
def lab(able: None) -> Iterator[Lab]:
    """A box that routes for its clients."""
    with Lab.routing() as made:
        yield made


@pytest.fixture(scope="module")
def internet(lab: Lab) -> Iterator[Internet]:
    folder = Path(tempfile.mkdtemp(prefix="idlewire-lab-"))
    services = Internet(lab.net, folder)
    services.start()
    yield services
    services.stop()
    shutil.rmtree(folder)


@pytest.fixture
def hook(lab: Lab) -> Iterator[Hook]:
    """An open web server for webhooks in the box."""
    server = Hook(lab.box)
    server.open()
    yield server
    server.close()
