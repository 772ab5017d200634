"""Waiting for a condition, never for time alone."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Late(AssertionError):
    """A condition did not come true in time."""


def until(condition: Callable[[], T], *, within: float, what: str, every: float = 0.05) -> T:
    """Return the first true answer of condition; raise Late, naming what and the last answer, after within seconds."""
    pause = threading.Event()
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Late(f"waited {within:g} s for {what}; last answer: {answer!r}")
        pause.wait(every)
