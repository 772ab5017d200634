"""The topic that messages leave to, as any reader sees it: each message once, in order, and as the ledger has it."""

import json
from collections import Counter, defaultdict
from typing import Any

from .ledger import CHANGED, kind_of
from .recount import Log
from .tables import Message, Movement, Tables
from .topics import Place, Record

Shelf = tuple[str, str, str]  # tenant, SKU, location


def outgoing(log: Log, tables: Tables, foreign: frozenset[str] = frozenset()) -> list[str]:
    """Differences between what was read from the outgoing topic and the tables; none means that all is told once.

    log holds all records of each partition that a read_committed reader sees, from its start. foreign are event
    sources of another client, whose movements nobody is told of.
    """
    topic = Outgoing(log)
    topic.compare(tables.outbox)
    topic.compare_ledger([row for row in tables.movements if row.event_source not in foreign])
    return topic.differences


class Outgoing:
    """What was read; differences holds what does not fit."""

    def __init__(self, log: Log):
        self.differences: list[str] = []
        self._records = [record for place in sorted(log) for record in log[place]]
        for place in log:
            self._order(place, log[place])
        homes: dict[bytes | None, set[Place]] = defaultdict(set)
        for record in self._records:
            homes[record.key].add((record.topic, record.partition))
        self.differences += [f"key {key!r} is in {sorted(places)}" for key, places in homes.items() if len(places) > 1]

    def _say(self, text: str) -> None:
        self.differences.append(text)

    def _order(self, place: Place, records: list[Record]) -> None:
        """Versions rise in the order of the log, and each says what it follows."""
        latest: dict[Shelf, int] = defaultdict(int)
        for record in records:
            if kind_of(record.value) != CHANGED:
                self._beside(record, latest)
                continue
            told = _told(record)
            shelf, version = told[:3], told.version
            if version <= latest[shelf]:
                self._say(f"{place} offset {record.offset}: version {version} of {shelf} after {latest[shelf]}")
            if _fields(record)["follows"] != version - 1:
                self._say(f"{place} offset {record.offset}: version {version} follows {_fields(record)['follows']}")
            latest[shelf] = version

    def _beside(self, record: Record, latest: dict[Shelf, int]) -> None:
        """What is told beside movements stands behind the version that it is about, and before the next one. A rejection
        because there is no row rests on nothing that could be locked: another partition may have made it meanwhile."""
        fields = _fields(record)
        if "version" not in fields:
            return  # a rejection that is not about a shelf
        if fields["version"] == 0:
            return
        shelf = (fields.get("tenant", ""), fields["sku"], fields["location"])
        if fields["version"] != latest[shelf]:
            self._say(f"offset {record.offset}: {fields['kind']} of version {fields['version']} of {shelf} "
                      f"after {latest[shelf]}")

    def compare(self, messages: list[Message]) -> None:
        """Each of the outbox's messages is there, once, byte for byte, under its own id; and nothing else is."""
        times = Counter(_id(record) for record in self._records)
        found = {_id(record): record for record in self._records}
        for message in messages:
            record = found.get(message.id)
            if record is None:
                self._say(f"message {message.id} was not sent")
            elif times[message.id] > 1:
                self._say(f"message {message.id} was sent {times[message.id]} times")
            elif (record.topic, record.key, record.value) != (message.topic, message.key, message.payload):
                self._say(f"message {message.id} was sent as {record}, not as {message}")
        for stranger in found.keys() - {message.id for message in messages}:
            self._say(f"{found[stranger]}: the outbox has no such message")

    def compare_ledger(self, movements: list[Movement]) -> None:
        """Each movement is told once, and nothing is told that did not happen."""
        changes = [record for record in self._records if kind_of(record.value) == CHANGED]
        told, happened = Counter(map(_told, changes)), Counter(movements)
        self.differences += [f"nobody was told of {movement}" for movement in happened - told]
        self.differences += [f"told of what did not happen, or twice: {movement}" for movement in told - happened]


def _fields(record: Record) -> dict[str, Any]:
    return json.loads(record.value or b"{}")


def _id(record: Record) -> int:
    """The message's id, which is also that of its CloudEvent."""
    return next((int(value) for name, value in record.headers if name == "ce_id" and value), -1)


def _told(record: Record) -> Movement:
    fields = _fields(record)
    return Movement(fields.get("tenant", ""), fields["sku"], fields["location"], fields["version"], fields["delta"],
                    fields["on_hand"], fields["event_id"], fields.get("source", ""), fields["event_kind"])
