"""What leaves: each movement is told once, whoever is killed, and operators decide about what does not leave."""

import json

from stand.events import received, sold
from stand.installation import Installation
from stand.member import Member


def feed(installation: Installation, topic: str, rounds: int) -> None:
    for number in range(rounds):
        for partition in range(3):
            make = sold if number % 3 == 2 else received
            installation.feed.send(topic, partition, make(f"SKU-{partition}-{number % 20}", 1 + number % 4))
    installation.feed.flush()


def leader(installation: Installation) -> Member | None:
    """The member that holds the lease on the outbox, if it is one that can use it."""
    owner = installation.database.value(
        "select coalesce((select owner from outbox_relay where lease_until > clock_timestamp()), '')")
    able = (member for member in installation.members if member.running() and not member.frozen)
    return next((member for member in able if owner and member.pid == int(owner.split("-")[-2])), None)


def test_each_movement_is_told_once_and_in_order_whoever_is_killed(installation: Installation):
    """The member that publishes is killed, asked to leave, or frozen past its lease, while events flow."""
    topic = installation.topic(12)  # some for everyone, however many there are in the end
    installation.start_all(3)
    for how in ("kill", "terminate", "freeze", "kill"):
        feed(installation, topic, 200)
        installation.await_true(lambda: leader(installation) is not None, "a leader")
        led = leader(installation)
        feed(installation, topic, 50)
        getattr(led, how)()
        installation.start()
        feed(installation, topic, 200)
        installation.await_true(lambda led=led: leader(installation) not in (None, led), "another leader")
        if how == "freeze":
            led.thaw()
    installation.await_shared()
    installation.check()


def test_a_topic_that_comes_late_gets_what_waited_for_it(installation: Installation):
    """The inbox goes on without it, status says what is wrong, and everything leaves once it is there."""
    installation.topics.delete([installation.outgoing])
    topic = installation.topic(3)
    installation.start()
    feed(installation, topic, 50)
    installation.await_caught_up()
    installation.await_true(lambda: installation.outgoing in installation.command("outbox", "show").stdout,
                            "show to name the topic")
    status = json.loads(installation.command("status", "-o", "json").stdout)["outbox"]
    assert status["waiting"] == installation.database.value("select count(*) from outbox")
    assert installation.outgoing in status["waiting_for"]
    installation.topics.create(installation.outgoing, 3)
    installation.check()


def test_an_operator_decides_about_an_outbox_that_stands_still(installation: Installation):
    """A database that went back halts the outbox; it goes on where the operator says, and that is on record."""
    topic = installation.topic(3)
    member = installation.start()
    feed(installation, topic, 30)
    installation.check()
    member.terminate()
    assert member.wait(30) == 0

    installation.database.do("update outbox_relay set done = 0, intent = 0, done_turn = 0, intent_turn = 0")
    installation.start()
    reason = "database_lost_commits"
    installation.await_true(
        lambda: installation.database.value("select halt_reason from outbox_relay") == reason, "the outbox to halt")
    assert reason in installation.command("status").stdout
    assert "--from kafka" in installation.command("outbox", "show").stdout
    refused = installation.command("outbox", "resume", "--from", "kafka")
    assert refused.returncode == 2 and "--because" in refused.stderr
    feed(installation, topic, 10)
    installation.await_caught_up()
    assert installation.database.value("select halt_reason from outbox_relay") == reason

    done = installation.command("outbox", "resume", "--from", "kafka", "--because", "nothing was lost, this is a test")
    assert done.returncode == 0, done.stderr
    installation.check()
    assert installation.database.value("select because from operator_actions") == "nothing was lost, this is a test"
    again = installation.command("outbox", "resume", "--from", "kafka", "--because", "once more")
    assert again.returncode == 5 and "not halted" in again.stderr
