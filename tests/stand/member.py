"""One process of the service."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .waiting import until


class Member:
    """A running `onhand run`. Whoever starts one ends it: end() is always safe."""

    def __init__(self, command: list[str], environment: dict[str, str], name: str, log: Path):
        self.name = name
        self.frozen = False
        self._log = log
        # Should the tests themselves be killed, the kernel ends the service.
        parent = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with log.open("ab") as output:
            self._process = subprocess.Popen(parent + command, env={**os.environ, **environment},
                                             stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def terminate(self) -> None:
        """Ask for an orderly shutdown."""
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def send_kill(self) -> None:
        """End it with no chance to do anything."""
        self._process.send_signal(signal.SIGKILL)

    def kill(self) -> None:
        """send_kill, and wait until it is gone."""
        self.send_kill()
        self._process.wait(timeout=30)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does, and wait until the kernel says that it stands."""
        self._process.send_signal(signal.SIGSTOP)
        self.frozen = True
        until(lambda: self._state() in "TZ", within=10, what=f"{self.name} to stand still", every=0.002)

    def thaw(self) -> None:
        self.frozen = False
        self._process.send_signal(signal.SIGCONT)

    def wait(self, within: float) -> int:
        """Its exit status; TimeoutExpired if it has not ended by then."""
        return self._process.wait(timeout=within)

    def end(self) -> None:
        """Have it gone, whatever state it is in."""
        if self.running():
            self.kill()

    def _state(self) -> str:
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0]
