"""More demand than stock, from many sides at once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from stand.events import received, returned, sold
from stand.installation import Installation
from stand.sampling import Sampler


def test_high_concurrent_load_no_corruption(installation: Installation):
    """Five hundred operations at the same moment on five hot SKUs: what there was is sold, and not one piece more."""
    operations, partitions, stocked = 500, 12, 40
    skus = [f"HOT-{number}" for number in range(5)]
    topic = installation.topic(partitions)
    installation.feed.send_all(topic, 0, [received(sku, stocked) for sku in skus])
    members = installation.start_all(3)
    installation.await_caught_up()
    starting = threading.Barrier(operations)

    def operate(number: int) -> None:
        event = sold(skus[number % len(skus)], 1)
        starting.wait(timeout=60)
        installation.feed.send(topic, number % partitions, event)
        if number % 10 == 0:  # some come twice, in another partition
            installation.feed.send(topic, (number + 1) % partitions, event)

    with Sampler(installation) as sampler:
        with ThreadPoolExecutor(operations) as pool:
            list(pool.map(operate, range(operations)))
        installation.feed.flush()
        installation.check()
        assert {installation.database.stock(sku)[3:6] for sku in skus} == {(0, 0, stocked + 1)}
        assert outcomes(installation) == {"applied": len(skus) * (stocked + 1),
                                          "rejected": operations - len(skus) * stocked}

        # The same again with returns among the sales, and a member that dies in the middle of it.
        choose = random.Random(10)
        for number in range(6000):
            make, quantity = (returned, 2) if choose.random() < 0.3 else (sold, choose.randint(1, 3))
            installation.feed.send(topic, choose.randrange(partitions), make(choose.choice(skus), quantity))
            if number == 3000:
                installation.feed.flush()
                installation.await_true(lambda: sum(installation.database.nexts().values()) > 2000, "some of the load")
                members[0].kill()
        installation.feed.flush()
        installation.check()
    assert sampler.samples > 5
    assert sum(outcomes(installation).values()) == len(skus) + operations + 6000


def outcomes(installation: Installation) -> dict[str, int]:
    rows = installation.database.rows("select outcome::text as outcome, count(*) as number from inbox group by 1")
    return {row.outcome: row.number for row in rows}
