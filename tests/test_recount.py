"""The recount itself: it accepts tables that are right, and finds each way in which a row can be wrong."""

import json
from collections.abc import Callable

import pytest
from stand.events import counted, defined, encode, received, sold
from stand.recount import Log, recount
from stand.tables import (
    DeadLetter,
    Message,
    Movement,
    Position,
    Remembered,
    Stock,
    Tables,
)
from stand.topics import Record

TOPIC = "t"


def log_of(*partitions: list) -> Log:
    """Records from (offset, event or bytes); a missing offset is one that readers cannot see."""
    return {(TOPIC, number): [Record(TOPIC, number, offset, b"k", encode(value), (("h", None),))
                              for offset, value in records]
            for number, records in enumerate(partitions)}


def world() -> tuple[Log, Tables]:
    """Two partitions and the tables that a right service leaves behind."""
    log = log_of(
        [(0, received("A", 10, id="a1")), (1, sold("A", 4, id="a2")), (2, sold("A", 7, id="a3")),
         (4, b"not json"), (5, sold("A", 4, id="a2")), (6, sold("A", 5, id="a2")), (7, counted("A", 9, id="a4"))],
        [(0, received("B", 1, id="b1")), (1, sold("A", 4, id="a2")), (2, defined("B", "limit", 2, id="b2")),
         (3, sold("B", 3, id="b3")), (4, sold("B", 1, id="b4")), (5, defined("B", "deny", id="b5")),
         (6, sold("B", 9, id="later"))],
    )
    conflict = log[(TOPIC, 0)][5]
    tables = Tables(
        offsets=[Position(TOPIC, 0, 1, 0, 8, 3, 1, 1, 2, 0, 1, 0, "m", None),
                 Position(TOPIC, 1, 1, 0, 6, 3, 2, 1, 0, 0, 0, 0, "m", None)],
        inbox=[Remembered("", "a1", "", "applied", None, TOPIC, 0, 0),
               Remembered("", "a2", "", "applied", None, TOPIC, 0, 1),
               Remembered("", "a3", "", "rejected", "insufficient_stock", TOPIC, 0, 2),
               Remembered("", "a4", "", "applied", None, TOPIC, 0, 7),
               Remembered("", "b1", "", "applied", None, TOPIC, 1, 0),
               Remembered("", "b2", "", "applied", None, TOPIC, 1, 2),
               Remembered("", "b3", "", "applied", None, TOPIC, 1, 3),
               Remembered("", "b4", "", "rejected", "insufficient_stock", TOPIC, 1, 4),
               Remembered("", "b5", "", "rejected", "policy_conflict", TOPIC, 1, 5)],
        stock=[Stock("", "A", "main", 9, 0, 3, "deny", None), Stock("", "B", "main", -2, 0, 2, "limit", 2)],
        movements=[Movement("", "A", "main", 1, 10, 10, "a1", "", "stock.received"),
                   Movement("", "A", "main", 2, -4, 6, "a2", "", "stock.sold"),
                   Movement("", "A", "main", 3, 3, 9, "a4", "", "stock.counted"),
                   Movement("", "B", "main", 1, 1, 1, "b1", "", "stock.received"),
                   Movement("", "B", "main", 2, -3, -2, "b3", "", "stock.sold")],
        dead_letters=[DeadLetter(TOPIC, 0, 1, 4, "not_json", b"k", b"not json", [b"h", None]),
                      DeadLetter(TOPIC, 0, 1, 6, "id_conflict", b"k", conflict.value, [b"h", None])],
    )
    tables.outbox = messages(tables.movements, tables.inbox)
    return log, tables


def messages(movements: list[Movement], inbox: list[Remembered]) -> list[Message]:
    """Those of each movement and each rejection, as the service writes them."""
    told = []
    for row in movements:
        said = {"sku": row.sku, "location": row.location, "version": row.version, "on_hand": row.on_hand}
        told.append((row, {**said, "delta": row.delta, "event_kind": row.kind}))
        if row.on_hand <= 0 < row.on_hand - row.delta:
            told.append((row, {**said, "kind": "stock.depleted"}))
        if row.on_hand - row.delta <= 0 < row.on_hand and row.version > 1:
            told.append((row, {**said, "kind": "stock.restored"}))
    told += [(row, {"kind": "stock.rejected", "source": row.source, "reason": row.reason})
             for row in inbox if row.outcome == "rejected"]
    return [Message(number, "out", b"k", row.event_id, json.dumps(payload).encode())
            for number, (row, payload) in enumerate(told)]


def test_right_tables_have_no_differences():
    assert recount(*world()) == []


def change(table: str, number: int, **columns) -> Callable[[Tables], None]:
    def corrupt(tables: Tables) -> None:
        rows = getattr(tables, table)
        rows[number] = rows[number]._replace(**columns)
    return corrupt


def remove(table: str, number: int) -> Callable[[Tables], None]:
    return lambda tables: getattr(tables, table).pop(number)


def together(*corruptions: Callable[[Tables], None]) -> Callable[[Tables], None]:
    return lambda tables: [corrupt(tables) for corrupt in corruptions]


def repeat(table: str, number: int, **columns) -> Callable[[Tables], None]:
    return lambda tables: getattr(tables, table).append(getattr(tables, table)[number]._replace(**columns))


CORRUPTIONS = {
    "a position that went too far": change("offsets", 0, next=9, applied=4),
    "a position that lags behind its effects": change("offsets", 0, next=7, applied=2),
    "a counter that counts a duplicate as applied": change("offsets", 1, applied=4, duplicate=0),
    "a partition without a position": remove("offsets", 1),
    "a lost event": together(remove("inbox", 4), remove("movements", 3), remove("stock", 1),
                             change("movements", 3, version=1, on_hand=-3)),
    "an applied event without an inbox row": remove("inbox", 0),
    "an applied event counted as rejected": change("inbox", 1, outcome="rejected", reason="insufficient_stock"),
    "a rejected event counted as applied": change("inbox", 2, outcome="applied", reason=None),
    "a rejection for the wrong reason": change("inbox", 2, reason="version_mismatch"),
    "a rejection of what would fit": together(
        change("inbox", 1, outcome="rejected", reason="insufficient_stock"),
        change("inbox", 2, outcome="applied", reason=None),
        change("movements", 1, delta=-7, on_hand=3, event_id="a3"), change("movements", 2, delta=6)),
    "a definition that breaks its own policy": together(change("inbox", 8, outcome="applied", reason=None),
                                                        change("offsets", 1, applied=4, rejected=1)),
    "a later copy that won": change("inbox", 1, offset=5),
    "an inbox row of nobody": repeat("inbox", 0, event_id="ghost", offset=99),
    "an inbox row beyond next": repeat("inbox", 0, event_id="later", partition=1, offset=6),
    "an inbox row with another id": change("inbox", 0, event_id="other"),
    "a doubled movement": together(repeat("movements", 4, version=3, on_hand=-5),
                                   change("stock", 1, on_hand=-5, version=3)),
    "a lost movement": remove("movements", 2),
    "a gap in the ledger": together(remove("movements", 1), change("stock", 0, on_hand=13)),
    "a movement of another size": together(change("movements", 2, delta=4, on_hand=10), change("stock", 0, on_hand=10)),
    "a movement on another shelf": together(change("movements", 3, location="x"), repeat("stock", 0, location="x")),
    "a movement of a rejected event": change("movements", 2, event_id="a3"),
    "a sum that does not fit": change("movements", 1, on_hand=7),
    "stock that is not the sum": change("stock", 0, on_hand=10),
    "a stock version that is not the ledger's": change("stock", 0, version=4),
    "a lost stock row": remove("stock", 0),
    "a stock row without a ledger": repeat("stock", 0, sku="C"),
    "stock below its limit": change("stock", 1, backorder_limit=1),
    "a bad record without a dead letter": remove("dead_letters", 0),
    "a dead letter with another value": change("dead_letters", 0, value=b"not jsom"),
    "a dead letter with another key": change("dead_letters", 0, key=None),
    "a dead letter without its headers": change("dead_letters", 0, headers=[]),
    "a good record that was parked": repeat("dead_letters", 0, offset=1),
    "an id conflict that was swallowed": together(remove("dead_letters", 1),
                                                  change("offsets", 0, duplicate=2, parked=1)),
    "a dead letter of nobody": repeat("dead_letters", 0, offset=50),
    "a lost message": remove("outbox", 0),
    "a doubled message": repeat("outbox", 0, id=99),
    "nobody is told that the last was sold": remove("outbox", 5),
    "an event that nobody is told of": remove("outbox", 6),
    "a rejection twice": repeat("outbox", 6, id=99),
    "a rejection for another reason": change("outbox", 6, payload=b'{"kind":"stock.rejected","reason":"overflow"}'),
    "messages out of order": together(change("outbox", 0, id=2), change("outbox", 2, id=0)),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_a_corrupted_table_is_found(corrupt):
    log, tables = world()
    sent = list(tables.outbox)
    corrupt(tables)
    if tables.outbox == sent:  # else the messages alone would give it away
        tables.outbox = messages(tables.movements, tables.inbox)
    assert recount(log, tables)


def test_order_between_partitions_is_taken_from_the_ledger():
    """A rejection is right if the shelf was empty at any moment between its partition's own movements."""
    log = log_of([(0, received("A", 1, id="in"))], [(0, sold("A", 1, id="x")), (1, sold("A", 1, id="y"))])
    inbox = [Remembered("", "in", "", "applied", None, TOPIC, 0, 0),
             Remembered("", "x", "", "rejected", "insufficient_stock", TOPIC, 1, 0),
             Remembered("", "y", "", "applied", None, TOPIC, 1, 1)]
    movements = [Movement("", "A", "main", 1, 1, 1, "in", "", "stock.received"),
                 Movement("", "A", "main", 2, -1, 0, "y", "", "stock.sold")]
    tables = Tables(
        offsets=[Position(TOPIC, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, "m", None),
                 Position(TOPIC, 1, 1, 0, 2, 1, 1, 0, 0, 0, 0, 0, "m", None)],
        inbox=inbox, movements=movements, stock=[Stock("", "A", "main", 0, 0, 2, "deny", None)],
        outbox=messages(movements, inbox))
    assert recount(log, tables) == []


def test_movements_of_another_client_count_for_the_sum_alone():
    log, tables = world()
    tables.movements.append(Movement("", "A", "main", 4, 1, 10, "x", "them", "stock.adjusted"))
    tables.stock[0] = tables.stock[0]._replace(on_hand=10, version=4)
    assert recount(log, tables, frozenset({"them"})) == []
    assert recount(log, tables)
