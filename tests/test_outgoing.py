"""The check of the outgoing topic: it accepts what is right, and finds each way in which a message can be wrong."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from stand.outgoing import outgoing
from stand.recount import Log
from stand.tables import Message, Movement, Tables
from stand.topics import Record

TOPIC = "out"


def world() -> tuple[Log, Tables]:
    """A ledger of two SKUs, in a partition each, and what was told of it."""
    movements = [Movement("", "A", "main", 1, 10, 10, "a1", "", "stock.received"),
                 Movement("", "B", "main", 1, 5, 5, "b1", "shop", "stock.received"),
                 Movement("", "A", "main", 2, -4, 6, "a2", "", "stock.sold"),
                 Movement("x", "A", "main", 1, 7, 7, "a2", "", "stock.received"),
                 Movement("", "B", "main", 2, -1, 4, "b2", "", "stock.sold")]
    messages = [Message(1000 * number, TOPIC, row.sku.encode(), row.event_id, payload(row))
                for number, row in enumerate(movements, 1)]
    log: Log = {(TOPIC, 0): [], (TOPIC, 1): []}
    for message in messages:
        partition = int(message.key == b"B")
        place = log[(TOPIC, partition)]
        place.append(Record(TOPIC, partition, 2 * len(place), message.key, message.payload,
                            (("ce_id", str(message.id).encode()),)))
    return log, Tables(movements=movements, outbox=messages)


def payload(row: Movement) -> bytes:
    return json.dumps({"tenant": row.tenant, "sku": row.sku, "location": row.location, "version": row.version,
                       "follows": row.version - 1, "delta": row.delta, "on_hand": row.on_hand,
                       "event_id": row.event_id, "source": row.event_source, "event_kind": row.kind}).encode()


def test_a_right_topic_has_no_differences():
    assert outgoing(*world()) == []


@pytest.mark.parametrize("version, differences", [(1, 1), (2, 0), (3, 1)])
def test_what_is_told_beside_movements_stands_behind_its_version(version, differences):
    log, tables = world()
    told = {"kind": "stock.low", "sku": "B", "location": "main", "version": version}
    message = Message(9000, TOPIC, b"B", "b2", json.dumps(told).encode())
    tables.outbox.append(message)
    log[(TOPIC, 1)].append(Record(TOPIC, 1, 90, message.key, message.payload, (("ce_id", b"9000"),)))
    assert len(outgoing(log, tables)) == differences


def test_movements_of_another_client_are_not_told():
    log, tables = world()
    tables.movements.append(Movement("", "A", "main", 3, 1, 7, "x", "them", "stock.adjusted"))
    assert outgoing(log, tables, frozenset({"them"})) == []
    assert outgoing(log, tables)


A, B = (TOPIC, 0), (TOPIC, 1)


def lose(place, number: int) -> Callable[[Log], None]:
    return lambda log: log[place].pop(number)


def repeat(place, number: int, where=None, **changes) -> Callable[[Log], None]:
    return lambda log: log[where or place].append(replace(log[place][number], **changes))


def change(place, number: int, **changes) -> Callable[[Log], None]:
    def corrupt(log: Log) -> None:
        log[place][number] = replace(log[place][number], **changes)
    return corrupt


def swap(log: Log) -> None:
    log[A][0], log[A][1] = log[A][1], log[A][0]


CORRUPTIONS = {
    "a lost message": lose(A, 1),
    "the last message lost": lose(B, 1),
    "a message twice": repeat(A, 2, offset=9),
    "a message twice, as another one": repeat(A, 2, offset=9, headers=(("ce_id", b"77"),)),
    "a message in another partition too": repeat(A, 0, where=B, partition=1, offset=9),
    "messages out of order": swap,
    "a message with another value": change(A, 1, value=payload(Movement("", "A", "main", 2, -3, 7, "a2", "", "k"))),
    "a message with another key": change(A, 1, key=b"C"),
    "a message without its id": change(A, 1, headers=()),
    "a message with the id of another": change(A, 1, headers=(("ce_id", b"1000"),)),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_a_wrong_topic_is_found(corrupt):
    log, tables = world()
    corrupt(log)
    assert outgoing(log, tables)


@pytest.mark.parametrize("follows", [0, 2, None])
def test_a_message_that_follows_something_else_is_found(follows):
    log, tables = world()
    wrong = json.dumps({**json.loads(log[A][1].value), "follows": follows}).encode()
    log[A][1] = replace(log[A][1], value=wrong)
    tables.outbox[2] = tables.outbox[2]._replace(payload=wrong)
    assert outgoing(log, tables)
