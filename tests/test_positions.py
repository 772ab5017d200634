"""The position and the effect commit together (I1), and Kafka's own offset only ever follows."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from stand.events import received, sold
from stand.installation import Installation
from stand.sampling import Sampler


@contextmanager
def refusing_writes(installation: Installation) -> Iterator[None]:
    """Every insert into the inbox fails, as on a full disk."""
    with _trigger(installation, "create trigger refuse before insert on inbox for each row execute function refuse()"):
        yield


@contextmanager
def refusing_commits(installation: Installation) -> Iterator[None]:
    """Everything works until the commit, which fails."""
    with _trigger(installation, "create constraint trigger refuse after insert on inbox deferrable initially deferred "
                                "for each row execute function refuse()"):
        yield


@contextmanager
def stalling(installation: Installation) -> Iterator[None]:
    """Inserts into the inbox neither fail nor succeed: somebody holds the table."""
    with installation.database.connect(autocommit=False) as holder:
        holder.execute("lock table inbox in exclusive mode")
        yield
        holder.rollback()


@contextmanager
def _trigger(installation: Installation, create: str) -> Iterator[None]:
    _alter(installation, """
        create sequence if not exists refusals;  -- what it counted outlives the rollback
        create or replace function refuse() returns trigger language plpgsql as $$ begin
            perform nextval('refusals');
            raise exception 'no space left on device' using errcode = '53100';
        end $$""")
    _alter(installation, create)
    try:
        yield
    finally:
        _alter(installation, "drop trigger refuse on inbox")


def _alter(installation: Installation, sql: str) -> None:
    """Change the table, however busy it is."""
    def changed() -> bool:
        try:
            with installation.database.connect() as connection:
                connection.execute("set lock_timeout = '2s'")
                connection.execute(sql)
                return True
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return False
    installation.await_true(changed, "the trigger", within=60)


@pytest.mark.parametrize("hindrance", [refusing_writes, refusing_commits, stalling])
def test_offset_not_committed_before_db_write(installation: Installation, hindrance):
    """While the database refuses or stalls no position moves, through kills too; afterwards all is applied once."""
    partitions = 4
    topic = installation.topic(partitions)
    places = [(topic, partition) for partition in range(partitions)]

    def feed(rounds: int) -> None:
        for number in range(rounds):
            for partition in range(partitions):
                make = sold if number % 3 == 2 else received
                installation.feed.send(topic, partition, make(f"SKU-{partition}", 1 + number % 4))
        installation.feed.flush()

    with Sampler(installation) as sampler:
        members = installation.start_all(2)
        feed(100)
        installation.await_caught_up()
        before = installation.database.nexts()
        with hindrance(installation):
            feed(50)
            _await_attempt(installation, hindrance)
            sampler.look(60)  # as long as it takes a careless one to write to Kafka what it has read
            members[0].kill()
            members[0] = installation.start()
            feed(50)
            installation.await_shared()
            _await_attempt(installation, hindrance)
            sampler.look(60)
            members[1].terminate()
            assert members[1].wait(30) == 0, "it can still be shut down"
            sampler.check()
            assert installation.database.nexts() == before
            committed = installation.topics.committed(installation.group, places)
            assert all(offset <= before[place] for place, offset in committed.items()), committed
            members[0].kill()
        installation.start()
        installation.check()
        feed(25)
        installation.check()
        # Kafka's offset follows, so that lag tools work.
        installation.await_true(lambda: installation.topics.committed(installation.group, places)
                                == installation.database.nexts(), "Kafka's offsets to follow", within=30)
    assert sampler.samples > 20


def _await_attempt(installation: Installation, hindrance) -> None:
    """Return when the service has run into the hindrance since now."""
    if hindrance is stalling:
        installation.await_true(lambda: installation.database.is_waited_for("inbox"), "a batch in hand")
        return
    refusals = "select last_value from refusals"
    before = installation.database.value(refusals)
    installation.await_true(lambda: installation.database.value(refusals) > before, "a batch that was refused")
