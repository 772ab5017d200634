"""One installation under test: a schema, a consumer group and topics of its own, and the processes that serve them."""

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import uuid4

import psycopg

from .feed import Feed, TransactionalFeed
from .member import Member
from .outgoing import outgoing
from .recount import Log, recount
from .servers import Servers
from .tables import Database
from .topics import Place, Topics
from .waiting import until


class Installation:
    """Everything that one test needs. close() ends the processes and leaves nothing behind."""

    def __init__(self, binary: Path, servers: Servers, directory: Path, session_timeout: str = "6s"):
        name = uuid4().hex[:12]
        self.schema, self.group = f"client_{name}", f"client.{name}"
        self.topics = Topics(servers.brokers)
        self.database = Database(servers.database_url, self.schema)
        self.names: list[str] = []
        self.outgoing = f"{self.group}.changes"
        self.members: list[Member] = []
        self._binary, self._servers, self._directory = binary, servers, directory
        self._session_timeout = session_timeout
        self._numbers = count(1)
        self._feed: Feed | None = None
        self._feeds: list[Feed] = []
        done = self.command("migrate", "up")
        assert done.returncode == 0, done.stderr
        self.topics.create(self.outgoing, 3)

    @property
    def feed(self) -> Feed:
        """The test's own producer."""
        self._feed = self._feed or self.new_feed()
        return self._feed

    def new_feed(self) -> Feed:
        """A producer whose acknowledged records are looked for in the log."""
        self._feeds.append(Feed(self._servers.brokers))
        return self._feeds[-1]

    def new_transactional_feed(self) -> TransactionalFeed:
        """The same; what it committed is looked for."""
        feed = TransactionalFeed(self._servers.brokers)
        self._feeds.append(feed)
        return feed

    @property
    def brokers(self) -> str:
        return self._servers.brokers

    def topic(self, partitions: int, **config: str) -> str:
        """Make a topic that members started from now on subscribe to."""
        name = f"{self.group}.{len(self.names)}"
        self.topics.create(name, partitions, **config)
        self.names.append(name)
        return name

    def command(self, *arguments: str, within: float = 120) -> subprocess.CompletedProcess:
        """Run one of the service's commands to its end."""
        return subprocess.run([self._binary, *arguments], env={**os.environ, **self._environment()},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within)

    def start(self, *arguments: str) -> Member:
        """Start a member of the group; it is ended with the installation at the latest."""
        name = f"member-{next(self._numbers)}"
        member = Member([str(self._binary), "run", *arguments], self._environment(), name,
                        self._directory / f"{name}.log")
        self.members.append(member)
        return member

    def start_all(self, number: int, *arguments: str) -> list[Member]:
        """Start so many members and return when each of them holds partitions."""
        started = [self.start(*arguments) for _ in range(number)]
        self.await_shared()
        return started

    def await_shared(self, within: float = 60) -> None:
        """Return when the members that run and are not frozen, and nobody else, hold all partitions, each some."""
        places = self.topics.places(self.names)

        def shared() -> bool:
            self.check_running()
            rows = self.database.rows("select owner from offsets where topic = any(%s)", self.names)
            owners = {row.owner for row in rows}
            # An owner's name is host, process id and something random.
            holders = {int(owner.split("-")[-2]) for owner in owners if owner}
            return (len(rows) == len(places) and None not in owners
                    and holders == {member.pid for member in self.members if member.running() and not member.frozen})
        until(shared, within=within, what="the members to share the partitions", every=0.2)

    def check_running(self) -> None:
        """A member that ended by itself is a failure at once, not a deadline later."""
        for member in self.members:
            if not member.running() and member.wait(0) > 0:
                raise AssertionError(f"{member.name} ended with status {member.wait(0)}:\n{member.log()[-2000:]}")

    def behind(self) -> dict:
        """The partitions whose records are not all dealt with, with next and the end of the log."""
        nexts = self.database.nexts()
        return {place: (nexts.get(place), end) for place, end in self._ends().items()
                if end > 0 and nexts.get(place, 0) < end}

    def _ends(self) -> dict:
        """What the broker says, or what it acknowledged if that is more."""
        ends = self.topics.ends(self.topics.places(self.names))
        for feed in self._feeds:
            for place, end in list(feed.ends.items()):
                ends[place] = max(ends.get(place, 0), end)
        return ends

    def await_caught_up(self, within: float = 60) -> None:
        """Return when every record that is in the log now has been dealt with."""
        def caught_up() -> bool:
            self.check_running()
            return not self.behind()
        try:
            until(caught_up, within=within, what="all records to be dealt with", every=0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}; behind: {dict(list(self.behind().items())[:8])}") from None

    def await_published(self, within: float = 60) -> None:
        """Return when every message that is in the outbox now has left."""
        last = self.database.value("select coalesce(max(id), 0) from outbox")

        def published() -> bool:
            self.check_running()
            return self.database.value("select done from outbox_relay") >= last
        until(published, within=within, what="all messages to leave", every=0.1)

    def await_true(self, condition: Callable[[], bool], what: str, within: float = 30) -> None:
        def holds() -> bool:
            self.check_running()
            return condition()
        until(holds, within=within, what=what)

    def differences(self, foreign: frozenset[str] = frozenset()) -> list[str]:
        """What an independent recount of the topics finds wrong with the tables and with what was told of them."""
        tables = self.database.snapshot()
        told = self.topics.read(self.topics.places([self.outgoing]))
        log = self.topics.read(self.topics.places(self.names))
        return self._missing(log) + recount(log, tables, foreign) + outgoing(told, tables, foreign)

    def _missing(self, log: Log) -> list[str]:
        """Partitions of which the log holds less than was acknowledged."""
        acknowledged = Counter[Place]()
        for feed in self._feeds:
            acknowledged.update(dict(feed.acknowledged))
        return [f"{place}: {number} records were acknowledged, {len(log.get(place, ()))} are in the log"
                for place, number in acknowledged.items() if len(log.get(place, ())) < number]

    def check(self, foreign: frozenset[str] = frozenset()) -> None:
        """Wait until all records are dealt with, and told of; then each must have counted, and been told, once.

        Kafka answers the end of a transaction before readers see it, so what is missing is looked for again for a while.
        What is there twice stays there twice.
        """
        found: list[str] = []

        def right() -> bool:
            self.await_caught_up()
            self.await_published()
            found[:] = self.differences(foreign)
            return not found
        try:
            until(right, within=10, what="a recount without differences", every=0.2)
        except AssertionError:
            if not found:
                raise
            raise AssertionError(f"{len(found)} differences, the first: " + "\n".join(found[:10])) from None

    def close(self) -> None:
        for member in self.members:
            member.end()
        self.topics.delete([*self.names, self.outgoing])
        with psycopg.connect(self._servers.database_url, autocommit=True) as connection:
            connection.execute(f"drop schema if exists {self.schema} cascade")

    def logs(self, lines: int = 40) -> str:
        """The last lines of each member's log."""
        return "\n".join(f"--- {m.name} (pid {m.pid})\n" + "\n".join(m.log().splitlines()[-lines:])
                         for m in self.members)

    def _environment(self) -> dict[str, str]:
        return {
            "ONHAND_DATABASE_URL": self._servers.database_url,
            "ONHAND_BROKERS": self._servers.brokers,
            "ONHAND_TOPIC": ",".join(self.names),
            "ONHAND_GROUP": self.group,
            "ONHAND_OUTBOX_TOPIC": self.outgoing,
            "ONHAND_SCHEMA": self.schema,
            "ONHAND_LISTEN": "127.0.0.1:0",
            "ONHAND_SESSION_TIMEOUT": self._session_timeout,
        }
