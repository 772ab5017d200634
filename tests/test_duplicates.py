"""An event takes effect once, wherever and whenever its copies arrive (I3)."""

from stand.events import received, sold
from stand.installation import Installation


def counters(installation: Installation) -> dict[str, int]:
    row = installation.database.rows(
        "select sum(applied) as applied, sum(rejected) as rejected, sum(duplicate) as duplicate from offsets")[0]
    return {name: int(value) for name, value in row._asdict().items()}


def test_duplicate_event_not_double_processed(installation: Installation):
    """The same id again in the same partition, in another, in another topic, and after each kind of restart."""
    topic, other = installation.topic(2), installation.topic(1)
    member = installation.start()
    receipt, refused = received("A", 10, id="receipt"), sold("A", 11, id="refused")
    again = [receipt, refused]
    installation.feed.send_all(topic, 0, again)
    installation.await_caught_up()
    assert counters(installation) == {"applied": 1, "rejected": 1, "duplicate": 0}

    installation.feed.send_all(topic, 0, again)  # same partition
    installation.feed.send_all(topic, 1, again)  # other partition
    installation.feed.send_all(other, 0, again)  # other topic
    installation.check()
    assert counters(installation) == {"applied": 1, "rejected": 1, "duplicate": 6}

    # A refusal is final: its copy is not decided anew when there is enough.
    installation.feed.send_all(topic, 0, [received("A", 5, id="more"), refused])
    installation.check()
    assert installation.database.stock("A").on_hand == 15

    for how in ("terminate", "kill"):
        getattr(member, how)()
        member.wait(30)
        installation.feed.send_all(topic, 1, again)
        member = installation.start()
        installation.feed.send_all(other, 0, again)
        installation.check()
    assert counters(installation) == {"applied": 2, "rejected": 1, "duplicate": 6 + 1 + 8}
    assert installation.database.stock("A")[3:6] == (15, 0, 2)


def test_concurrent_duplicate_handling(installation: Installation):
    """The same ids at the same moment in twelve partitions of three members: one application each."""
    partitions, ids = 12, 300
    topic = installation.topic(partitions)
    members = installation.start_all(3)

    def everywhere(name: str) -> None:
        for number in range(ids):
            event = received(f"SKU-{number % 7}", 1, id=f"{name}-{number}")
            for partition in range(partitions):
                installation.feed.send(topic, partition, event)
        installation.feed.flush()

    everywhere("live")
    installation.check()
    # And once more as a backlog that all three meet at the same moment.
    for member in members:
        member.terminate()
    for member in members:
        assert member.wait(30) == 0
    everywhere("backlog")
    installation.start_all(3)
    installation.check()

    assert counters(installation) == {"applied": 2 * ids, "rejected": 0, "duplicate": 2 * ids * (partitions - 1)}
    assert installation.database.value("select sum(on_hand) from stock") == 2 * ids
    assert installation.database.value("select count(*) from movements") == 2 * ids
