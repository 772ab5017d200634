"""Members that freeze, are asked to leave, or are asked twice."""

from stand.events import received, sold
from stand.installation import Installation
from stand.member import Member
from stand.sampling import Sampler
from stand.waiting import until


def test_frozen_member_is_fenced_and_rejoins(installation: Installation):
    """A member stands still past its session timeout, another takes over; thawed, it does no harm and works again."""
    partitions = 4
    topic = installation.topic(partitions)

    def feed(rounds: int) -> None:
        for number in range(rounds):
            for partition in range(partitions):
                make = sold if number % 3 == 2 else received
                installation.feed.send(topic, partition, make(f"SKU-{partition}", 1 + number % 4))
        installation.feed.flush()

    with Sampler(installation):
        frozen = installation.start()
        feed(100)
        installation.await_caught_up()
        with installation.database.connect(autocommit=False) as holder:
            # Somebody holds the inbox, so the member is in the middle of batches that it cannot finish.
            holder.execute("lock table inbox in exclusive mode")
            feed(300)
            installation.await_true(lambda: installation.database.is_waited_for("inbox"), "a batch in hand")
            frozen.freeze()
            heir = installation.start()
            installation.await_shared()
            holder.rollback()
        feed(100)
        installation.await_caught_up()
        # Thawed, it first goes on with what it has in hand: all of that is long done.
        frozen.thaw()
        feed(200)
        installation.await_shared()
        feed(100)
        installation.check()
        heir.terminate()
        assert heir.wait(30) == 0
        feed(50)
        installation.check()
        assert frozen.running()


def test_orderly_shutdown_is_quick_and_leaves_kafka_up_to_date(installation: Installation):
    """Asked to end, a member finishes what it has in hand, says where it is, and leaves at once."""
    topic = installation.topic(3)
    places = [(topic, partition) for partition in range(3)]
    member = installation.start()
    for partition in range(3):
        installation.feed.send_all(topic, partition, [received(f"SKU-{partition}", 1) for _ in range(2000)])
    installation.await_true(lambda: sum(installation.database.nexts().values()) > 500, "some of the records")
    member.terminate()
    assert member.wait(10) == 0
    assert installation.topics.members(installation.group) == 0, "it left the group"
    assert installation.topics.committed(installation.group, places) == installation.database.nexts()
    again = installation.start()
    installation.check()
    assert stops_at_once(again)


def test_second_signal_ends_at_once_and_loses_nothing(installation: Installation):
    """A member that cannot finish, because the database stalls, ends when it is asked a second time."""
    topic = installation.topic(2)
    member = installation.start()
    installation.feed.send_all(topic, 0, [received("A", 1)])
    installation.await_caught_up()
    with installation.database.connect(autocommit=False) as holder:
        holder.execute("lock table inbox in exclusive mode")
        installation.feed.send_all(topic, 0, [received("A", 1) for _ in range(10)])
        installation.await_true(lambda: installation.database.is_waited_for("inbox"), "a batch in hand")
        member.terminate()
        installation.members.remove(member)  # a status of failure is now what is asked for
        until(lambda: member.interrupt() or not member.running(), within=2, what="it to end", every=0.005)
        assert member.wait(0) != 0
        holder.rollback()
    installation.start()
    installation.check()
    assert installation.database.stock("A").on_hand == 11


def stops_at_once(member: Member) -> bool:
    member.terminate()
    return member.wait(5) == 0
