"""Promises that end: in time, too late, and while members die."""

import random

from stand.events import event, received
from stand.installation import Installation

ENDS = """
select r.reservation, r.state,
       (select count(*) from inbox i where i.source = 'onhand:expiry' and i.event_id = r.reservation) as lapses,
       (select count(distinct m.version) from movements m
        where m.kind = 'stock.expired' and m.event_id = r.reservation) as expired,
       (select count(*) from inbox i where i.event_id = 'end-' || r.reservation and i.outcome = 'applied') as fulfilled
from reservations r"""


def reserved(sku: str, reservation: str, quantity: int, **fields):
    return event("stock.reserved", sku, reservation=reservation, quantity=quantity, **fields)


def lapsed(installation: Installation) -> int:
    return installation.database.value("select count(*) from reservations where state = 'expired'")


def test_each_reservation_ends_once_whoever_is_killed(installation: Installation):
    """Some are fulfilled in time, some at the very moment, some never; three members, of which one after the other is
    killed, let the rest lapse: by the log where it goes on, by the clock where it does not."""
    choose = random.Random(6)
    topic = installation.topic(6)
    members = installation.start_all(3)
    for partition in range(6):
        installation.feed.send(topic, partition, received(f"SKU-{partition}", 10_000))
    number = 0
    for wave in range(6):
        for _ in range(60):
            partition = choose.randrange(6)
            sku, reservation = f"SKU-{partition}", f"r{number}"
            number += 1
            installation.feed.send(topic, partition, reserved(sku, reservation, 2, ttl=choose.choice([1, 2, 3, 600])))
            if choose.random() < 0.5:
                installation.feed.send(topic, partition, event(
                    "stock.fulfilled", sku, id=f"end-{reservation}", reservation=reservation, quantity=2))
        for late in range(max(0, number - 150), number, 7):  # again for some, in another partition, as they lapse
            installation.feed.send(topic, choose.randrange(5), {
                "id": f"again-{late}-{wave}", "kind": "stock.fulfilled", "reservation": f"r{late}"})
        installation.feed.flush()
        before = lapsed(installation)
        installation.await_true(lambda before=before: lapsed(installation) > before, "time to pass")
        if wave < 3:
            members[wave].kill()
            members.append(installation.start())
    installation.await_caught_up()
    rows = installation.database.rows
    installation.await_true(lambda: not rows("select from reservations where state = 'open' and expires_at < now() + "
                                             "interval '60 s'"), "everything that is due to lapse", within=60)
    ends = rows(ENDS)
    assert len(ends) == number
    for end in ends:
        once = 1 if end.state == "expired" else 0
        assert (end.lapses, end.expired) == (once, once), end
        assert end.fulfilled == 0 or end.state == "fulfilled", end
    states = {state: sum(end.state == state for end in ends) for state in ("open", "expired", "fulfilled")}
    assert states["expired"] > number // 10, states
    assert states["fulfilled"] > number // 10, states
    stock = rows("select sum(on_hand) as on_hand, sum(reserved) as reserved from stock")[0]
    assert stock.on_hand == 60_000 - 2 * states["fulfilled"]
    assert stock.reserved == 2 * states["open"]
    installation.await_published()
    proof = installation.command("verify", "--outbox")
    assert proof.returncode == 0, proof.stdout + proof.stderr
