"""Rows that other clients use at the same time: nothing is lost, and only who needs a held row waits."""

import random
import threading
import time
from uuid import uuid4

import psycopg
import pytest
from stand.events import adjusted, received, sold
from stand.installation import Installation
from stand.sampling import Sampler

OTHER = "another-client"  # the source of its movements


class OtherClient:
    """Raises stock by one at a time, each in a serializable read-modify-write of its own, with a movement for it.

    What it writes is a number computed from what it read, so an update that went lost on either side shows in the sums.
    """

    def __init__(self, installation: Installation, skus: list[str]):
        self._installation, self._skus = installation, skus
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._problem: BaseException | None = None
        self.raised = dict.fromkeys(skus, 0)
        self.conflicts = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._leave.set()
        self._thread.join(timeout=60)
        if self._problem:
            raise self._problem

    def _work(self) -> None:
        choose = random.Random(5)
        try:
            with self._installation.database.connect(autocommit=False) as connection:
                connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
                while not self._leave.wait(0.001):
                    sku = choose.choice(self._skus)
                    try:
                        with connection.transaction():
                            self._raise(connection, sku)
                        self.raised[sku] += 1
                    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                        self.conflicts += 1
        except BaseException as problem:  # handed to the block's end
            self._problem = problem

    def _raise(self, connection: psycopg.Connection, sku: str) -> None:
        on_hand, version = connection.execute("select on_hand, version from stock where sku = %s", [sku]).fetchone()
        connection.execute("update stock set on_hand = %s, version = %s where sku = %s",
                           [on_hand + 1, version + 1, sku])
        connection.execute(
            """insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
               values ('', %s, 'main', %s, 1, %s, 'stock.adjusted', %s, %s)""",
            [sku, version + 1, on_hand + 1, uuid4().hex, OTHER])


@pytest.mark.parametrize("isolation", [[], ["--isolation", "serializable"]], ids=["default", "serializable"])
def test_serializable_isolation_prevents_lost_updates(installation: Installation, isolation: list[str]):
    """Another client changes the very same rows, serializably, all the time: both clients' updates are all there."""
    skus, partitions, rounds = ["A", "B", "C"], 6, 1200
    topic = installation.topic(partitions)
    installation.feed.send_all(topic, 0, [received(sku, 10_000) for sku in skus])
    installation.start_all(2, *isolation)
    installation.await_caught_up()
    choose, sums = random.Random(6), dict.fromkeys(skus, 10_000)
    with Sampler(installation, frozenset({OTHER})), OtherClient(installation, skus) as other:
        for number in range(rounds):
            sku, quantity, partition = choose.choice(skus), choose.choice([-3, -2, -1, 1, 2, 4]), number % partitions
            if number % 3 == 0:
                event = adjusted(sku, quantity)
            else:
                event = received(sku, quantity) if quantity > 0 else sold(sku, -quantity)
            installation.feed.send(topic, partition, event)
            sums[sku] += quantity
            if number % 40 == 0:  # many small batches, so that the two clients meet often
                installation.feed.flush()
                installation.await_true(lambda half=number / 2: sum(installation.database.nexts().values()) > half,
                                        "progress")
        installation.feed.flush()
        installation.await_caught_up()
        installation.await_true(lambda: min(other.raised.values()) > 20, "the other client to have changed every row")
    installation.check(frozenset({OTHER}))
    for sku in skus:
        assert installation.database.stock(sku).on_hand == sums[sku] + other.raised[sku]
        assert other.raised[sku] == installation.database.value(
            "select count(*) from movements where sku = %s and event_source = %s", sku, OTHER)


def test_per_product_locking_prevents_hotspot_contention(installation: Installation):
    """Who holds one SKU's row holds up that SKU alone: the others go through while it is held, and it follows."""
    partitions, hot = 8, "SKU-0"
    skus = [f"SKU-{number}" for number in range(partitions)]  # one a partition
    topic = installation.topic(partitions)
    for partition, sku in enumerate(skus):
        installation.feed.send_all(topic, partition, [received(sku, 1000)])
    installation.start("--lanes", "1")  # one transaction at a time: whoever waits in it holds up everybody
    installation.await_caught_up()

    with installation.database.connect(autocommit=False) as holder:
        holder.execute("select 1 from stock where sku = %s for update", [hot])
        installation.feed.send_all(topic, 0, [received("before-the-held-one", 1)])
        began = time.monotonic()
        for _ in range(50):
            for partition, sku in enumerate(skus):
                installation.feed.send(topic, partition, sold(sku, 1))
            installation.feed.send(topic, 1, received(f"new-{uuid4().hex}", 1))
        installation.feed.flush()
        installation.await_true(lambda: list(installation.behind()) == [(topic, 0)], "the other partitions", within=10)
        # The bound: a held row costs the others a few lock timeouts, not the time for which it is held.
        assert time.monotonic() - began < 10
        # And it goes on like that: each of these would wait again, were a held row in the way.
        for number in range(5):
            installation.feed.send_all(topic, 1 + number, [sold(skus[1 + number], 1)])
            installation.await_true(lambda: list(installation.behind()) == [(topic, 0)], "the others", within=5)
        installation.await_true(lambda: installation.database.stock("before-the-held-one") is not None,
                                "what stands before the held one in its own partition")
        held = installation.database.stock(hot)
        assert (held.on_hand, held.version) == (1000, 1)
        assert installation.database.nexts()[(topic, 0)] == 2
        holder.rollback()
    installation.check()
    assert {installation.database.stock(sku).on_hand for sku in [hot, skus[6], skus[7]]} == {950}
    assert {installation.database.stock(sku).on_hand for sku in skus[1:6]} == {949}


def test_version_based_optimistic_locking(installation: Installation):
    """Of two events that ask for the same version one wins; the version grows by one with each movement."""
    skus, rounds, partitions = [f"SKU-{number}" for number in range(25)], 4, 6
    topic = installation.topic(partitions)
    installation.start_all(2)
    for version in range(rounds):  # version 0: the row does not exist yet
        for number, sku in enumerate(skus):
            # The rivals travel in partitions of their own, read by one member or two.
            for rival in range(2):
                quantity, place = 10 + rival, (number + rival * (1 + number % (partitions - 1))) % partitions
                installation.feed.send(topic, place, received(sku, quantity, if_version=version))
        installation.feed.flush()
        installation.await_caught_up()
        rows = installation.database.rows("select sku, version from stock")
        assert {(row.sku, row.version) for row in rows} == {(sku, version + 1) for sku in skus}
    late = [received(sku, 1, if_version=1) for sku in skus] + [sold("never-seen", 1, if_version=3)]
    installation.feed.send_all(topic, 0, late)
    installation.check()

    outcomes = installation.database.rows("select outcome::text, reason, count(*) as number from inbox group by 1, 2")
    assert {(row.outcome, row.reason): row.number for row in outcomes} == {
        ("applied", None): rounds * len(skus),
        ("rejected", "version_mismatch"): rounds * len(skus) + len(late),
    }
    ledger = installation.database.rows(
        "select sku, array_agg(version order by version) as versions from movements group by 1")
    assert all(row.versions == list(range(1, rounds + 1)) for row in ledger)
    assert installation.database.stock("never-seen") is None
