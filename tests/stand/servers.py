"""The broker and the database that a run talks to."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATABASE_VARIABLE = "ONHAND_TEST_DATABASE_URL"
BROKERS_VARIABLE = "ONHAND_TEST_BROKERS"


@dataclass(frozen=True)
class Servers:
    """Where the broker and the database listen."""

    database_url: str
    brokers: str


def given() -> Servers | None:
    """The servers that the environment names, if it names both."""
    url, brokers = os.environ.get(DATABASE_VARIABLE), os.environ.get(BROKERS_VARIABLE)
    return Servers(url, brokers) if url and brokers else None


class PrivateServer:
    """One server that a script of this project starts in a directory of its own, where it keeps its data and port."""

    def __init__(self, script: str, directory: Path):
        self._script = ROOT / "scripts" / script
        self._directory = directory
        self.address = ""

    def start(self, *options: str) -> None:
        """Start the server, or start it again on the same port with the same data."""
        self.address = self._run("start", str(self._directory), *options).strip()

    def stop(self, *how: str) -> None:
        self._run("stop", str(self._directory), *how)

    def _run(self, *arguments: str) -> str:
        # A server that the script leaves running must not hold our pipe open: its output goes to files.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            done = subprocess.run([self._script, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                  timeout=600)
            out.seek(0)
            errors.seek(0)
            if done.returncode != 0:
                what = " ".join([self._script.name, *arguments])
                raise RuntimeError(f"{what}: exit status {done.returncode}\n{errors.read()}")
            return out.read()


@contextmanager
def private_servers(keep: bool = False) -> Iterator[tuple[Servers, PrivateServer, PrivateServer]]:
    """A database and a broker for one run; both are stopped and their data is gone afterwards, unless told to keep."""
    directory = Path(tempfile.mkdtemp(prefix="onhand-stand-"))
    directory.chmod(0o755)  # the database runs as an unprivileged user and must get in
    database, broker = PrivateServer("postgres", directory / "postgres"), PrivateServer("kafka", directory / "kafka")
    started = []
    try:
        for server in (database, broker):
            started.append(server)
            server.start(*([] if keep else ["--throwaway", str(os.getpid())]))
        yield Servers(database.address, broker.address), database, broker
    finally:
        for server in [] if keep else started:
            try:
                server.stop()
            except (RuntimeError, subprocess.TimeoutExpired) as problem:
                print(f"stopping: {problem}")
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def build(directory: Path) -> Path:
    """The service's binary: the one that ONHAND_BINARY names, or built now from the tree into directory."""
    if named := os.environ.get("ONHAND_BINARY"):
        return Path(named)
    binary = directory / "onhand"
    subprocess.run(["go", "build", "-o", binary, "./cmd/onhand"], cwd=ROOT, check=True)
    return binary
