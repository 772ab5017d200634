"""Stock is exact, whoever produces and however many partitions and processes take part."""

import random
from concurrent.futures import ThreadPoolExecutor

from stand.events import Event, adjusted, counted, received, returned, sold
from stand.installation import Installation
from stand.sampling import Sampler


def test_no_race_with_sequential_updates(installation: Installation):
    """One SKU, one partition, one event after the other: stock, version and each step are what arithmetic says."""
    topic = installation.topic(1)
    installation.start()
    choose = random.Random(1)
    on_hand, steps, rejected = 0, [], 0
    events: list[Event] = []
    for _ in range(400):
        quantity = choose.randint(1, 9)
        make, after = choose.choice([
            (received, on_hand + quantity), (returned, on_hand + quantity), (sold, on_hand - quantity),
            (sold, on_hand - quantity), (adjusted, on_hand + quantity), (counted, quantity)])
        events.append(make("SKU", quantity))
        if after < 0:
            rejected += 1
        else:
            steps.append((after - on_hand, after))
            on_hand = after
    # The first half one by one, each waiting for the one before; the rest at once, so that they share batches.
    for event in events[:50]:
        installation.feed.send_all(topic, 0, [event])
        installation.await_caught_up()
    installation.feed.send_all(topic, 0, events[50:])
    installation.check()

    row = installation.database.stock("SKU")
    assert (row.on_hand, row.version) == (on_hand, len(steps))
    ledger = installation.database.rows("select delta, on_hand from movements where sku = 'SKU' order by version")
    assert [tuple(step) for step in ledger] == steps
    assert installation.database.value("select count(*) from inbox where outcome = 'rejected'") == rejected
    assert rejected > 20, "the run must hold refusals too"


def test_concurrent_updates_consistency(installation: Installation):
    """Eight producers at once write to three SKUs through every partition: the sums are exact."""
    skus, producers, rounds, partitions = ["A", "B", "C"], 8, 250, 6
    topic = installation.topic(partitions)
    installation.feed.send_all(topic, 0, [received(sku, 100_000) for sku in skus])
    installation.start_all(2)
    installation.await_caught_up()  # or a sale in another partition may come before there is stock

    def produce(number: int) -> dict[str, int]:
        choose, feed, sums = random.Random(number), installation.new_feed(), dict.fromkeys(skus, 0)
        for _ in range(rounds):
            sku, quantity, make = choose.choice(skus), choose.randint(1, 9), choose.choice([received, sold])
            sums[sku] += quantity if make is received else -quantity
            feed.send(topic, choose.randrange(partitions), make(sku, quantity))
        feed.flush()
        return sums

    with ThreadPoolExecutor(producers) as pool:
        sums = list(pool.map(produce, range(producers)))
    installation.check()
    for sku in skus:
        assert installation.database.stock(sku).on_hand == 100_000 + sum(one[sku] for one in sums)
    assert installation.database.value("select sum(version) from stock") == producers * rounds + len(skus)
    assert installation.database.value("select count(*) from inbox where outcome = 'rejected'") == 0


def test_concurrent_partition_simulation(installation: Installation):
    """A hundred and more partitions, members that join, leave and die: never negative, and exact at the end."""
    partitions, skus = 120, [f"SKU-{number}" for number in range(40)]
    topic = installation.topic(partitions)
    choose = random.Random(3)

    def feed(number: int) -> None:
        for _ in range(number):
            sku, quantity = choose.choice(skus), choose.randint(1, 5)
            make = choose.choices([received, sold, returned], [3, 6, 1])[0]  # demand beyond supply
            # Most events of a SKU share a partition; some do not, so that members meet on one row.
            home = choose.randrange(partitions) if choose.random() < 0.2 else hash_of(sku) % partitions
            installation.feed.send(topic, home, make(sku, quantity))
        installation.feed.flush()

    with Sampler(installation) as sampler:
        first = installation.start()
        feed(1500)
        second = installation.start()
        feed(1500)
        installation.await_shared()
        third = installation.start()
        feed(1500)
        installation.await_shared()
        feed(1500)
        first.terminate()
        feed(1500)
        assert first.wait(30) == 0
        installation.await_shared()
        feed(1500)
        second.kill()
        installation.start()
        feed(1500)
        installation.await_shared()
        third.terminate()
        feed(1500)
        installation.check()
    assert sampler.samples > 20
    assert installation.database.value("select count(*) from offsets where start = 0") == partitions
    assert installation.database.value("select count(*) from inbox") == 8 * 1500


def hash_of(text: str) -> int:
    """The same in every run, unlike hash()."""
    return sum(text.encode())
