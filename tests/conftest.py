"""Servers for the run, and an installation of its own for each test."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from stand import servers
from stand.installation import Installation

_run = ExitStack()  # what the run as a whole holds: servers, the binary


def pytest_sessionstart(session: pytest.Session) -> None:
    """In the first process only: build the service and have servers; xdist's workers inherit the environment."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being ended cleans up too
    directory = Path(_run.enter_context(tempfile.TemporaryDirectory(prefix="onhand-tests-")))
    os.environ["ONHAND_BINARY"] = str(servers.build(directory))
    if servers.given() is None:
        started, _, _ = _run.enter_context(servers.private_servers())
        os.environ[servers.DATABASE_VARIABLE] = started.database_url
        os.environ[servers.BROKERS_VARIABLE] = started.brokers


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        _run.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Leave the outcome on the item, where the fixture that ends the service finds it."""
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


_failed = pytest.StashKey[bool]()


@pytest.fixture
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """A schema, a group and topics of the test's own; its processes' logs are shown when it fails."""
    one = Installation(Path(os.environ["ONHAND_BINARY"]), servers.given(), tmp_path)
    try:
        yield one
    finally:
        if request.node.stash.get(_failed, True):
            print(one.logs())
        one.close()
