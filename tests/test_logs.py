"""Logs that are not just one visible record after the other, and topics that change while they are read."""

from stand.events import received, sold
from stand.feed import Feed
from stand.installation import Installation
from stand.sampling import Sampler


def test_aborted_records_count_for_nothing_and_the_position_reaches_the_end(installation: Installation):
    """Markers and aborted records are passed over, also at the end of the log, where no record follows."""
    topic = installation.topic(2)
    feed = installation.new_transactional_feed()
    with Sampler(installation):
        installation.start()
        for number in range(20):
            feed.begin()
            for partition in range(2):
                feed.send(topic, partition, received("A", 1) if number % 2 else sold("A", 1000))
            feed.abort() if number % 4 == 0 else feed.commit()
        feed.begin()
        feed.send(topic, 0, received("A", 1_000_000))
        feed.abort()
        # The position must stand behind the last marker, or the lag would never be 0.
        installation.check()
    position = installation.database.rows("select sum(applied) as applied, sum(rejected) as rejected, "
                                          "sum(skipped) as skipped from offsets")[0]
    # 2 partitions, 20 transactions: 5 aborted, 5 of refused sales, 10 of receipts; and one more record and marker.
    assert (position.applied, position.rejected, position.skipped) == (20, 10, 2 * (20 + 5) + 2)


def test_an_open_transaction_holds_back_what_follows_it(installation: Installation):
    """What an undecided transaction may still take back is not read, and is not lost either."""
    topic = installation.topic(1)
    installation.start()
    feed = installation.new_transactional_feed()
    installation.feed.send_all(topic, 0, [received("A", 1)])
    feed.begin()
    feed.send(topic, 0, received("A", 10))
    feed.flush()
    # Acknowledged, but not to be waited for, as it would be from one of the installation's own producers.
    Feed(installation.brokers).send_all(topic, 0, [received("A", 100)])
    installation.check()
    assert installation.database.stock("A").on_hand == 1
    feed.commit()
    installation.check()
    assert installation.database.stock("A").on_hand == 111


def test_partitions_and_topics_that_appear_later_are_read_from_their_start(installation: Installation):
    """A topic that does not exist yet is waited for while others go on; a new partition's first record counts."""
    topic = installation.topic(1)
    missing = f"{topic}.later"
    members = [installation.start("--check-interval", "1s", "--topic", f"{topic},{missing}") for _ in range(2)]
    installation.feed.send_all(topic, 0, [received("A", 1)])
    installation.await_true(lambda: installation.database.nexts() == {(topic, 0): 1}, "the topic that exists")

    installation.topics.create(missing, 2)
    installation.names.append(missing)
    installation.feed.send_all(missing, 1, [received("A", 10)])
    installation.topics.grow(topic, 3)
    installation.new_feed().send_all(topic, 2, [received("A", 100)])  # one that knows of the new partition
    installation.await_shared()
    installation.check()
    assert installation.database.stock("A").on_hand == 111
    assert installation.database.value("select count(*) from offsets where start = 0") == 5
    assert all(member.running() for member in members)
