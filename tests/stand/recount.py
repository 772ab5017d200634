"""Counts again, from the topics alone, what the tables must say, and names each difference."""

from collections import Counter, defaultdict

from .decoder import Asked, Bad, read
from .ledger import Decided, Ledger
from .tables import DeadLetter, Remembered, Tables
from .topics import Place, Record

Log = dict[Place, list[Record]]


def recount(log: Log, tables: Tables, foreign: frozenset[str] = frozenset()) -> list[str]:
    """Differences between what was read from the topics and the tables; none means that every record counted once.

    log holds all records of each partition that a read_committed reader sees, from its start. foreign are event
    sources of another client that writes stock and movements beside the service.
    """
    fates = Fates(log, tables)
    ledger = Ledger(tables, fates.decided, foreign)
    return fates.differences + ledger.differences


class Fates:
    """What became of each record: exactly one thing (I3, I5)."""

    def __init__(self, log: Log, tables: Tables):
        self.differences: list[str] = []
        # The events that inbox rows stand for, by partition, in the order of the log.
        self.decided: dict[Place, list[Decided]] = defaultdict(list)
        self._records = {(*place, record.offset): record for place, records in log.items() for record in records}
        self._known = {(row.tenant, row.event_id, row.source): row for row in tables.inbox}
        self._inbox_at = {(row.topic, row.partition, row.offset): row for row in tables.inbox}
        self._parked_at = {(row.topic, row.partition, row.offset): row for row in tables.dead_letters}
        self._positions = {(row.topic, row.partition): row for row in tables.offsets}
        if len(self._inbox_at) != len(tables.inbox):
            self._say("two inbox rows name one record")
        for place in sorted(log):
            self._partition(place, log[place])
        for where in (self._inbox_at.keys() | self._parked_at.keys()) - self._records.keys():
            self._say(f"{where}: a row for a record that is not in the log")

    def _say(self, text: str) -> None:
        self.differences.append(text)

    def _partition(self, place: Place, records: list[Record]) -> None:
        position = self._positions.get(place)
        if position is None:
            if records:
                self._say(f"{place}: no offsets row")
            return
        read_so_far = [record for record in records if position.start <= record.offset < position.next]
        counted = Counter(self._fate(record) for record in read_so_far)
        counted["skipped"] = position.next - position.start - len(read_so_far)
        for name in ("applied", "rejected", "duplicate", "parked", "ignored", "skipped", "jumped"):
            if getattr(position, name) != counted[name]:
                self._say(f"{place}: offsets says {getattr(position, name)} {name}, recounted {counted[name]}")
        for record in records:
            where = (*place, record.offset)
            if record.offset >= position.next and (where in self._inbox_at or where in self._parked_at):
                self._say(f"{where}: left a trace, but next is {position.next}")

    def _fate(self, record: Record) -> str:
        where = (record.topic, record.partition, record.offset)
        row, letter = self._inbox_at.get(where), self._parked_at.get(where)
        if row and letter:
            self._say(f"{where}: both in the inbox and parked")
        try:
            asked = read(record)
        except Bad as why:
            if letter:
                self._whole(record, letter)
            else:
                self._say(f"{where}: bad ({why}) and not parked")
            return "parked"
        if letter:
            self._conflict(asked, record, letter)
            return "parked"
        if row:
            if asked.identity != (row.tenant, row.event_id, row.source):
                self._say(f"{where}: holds {asked.identity}, inbox says {row}")
            self.decided[where[:2]].append(Decided(asked, row))
            return row.outcome
        self._duplicate(asked, record)
        return "duplicate"

    def _whole(self, record: Record, letter: DeadLetter) -> None:
        headers = [part for name, value in record.headers for part in (name.encode(), value)]
        same = (record.key, record.value, headers) == (letter.key, letter.value, list(letter.headers))
        if not same or not letter.reason:
            self._say(f"{letter[:4]}: the dead letter is not the record, or has no reason")

    def _original(self, asked: Asked) -> tuple[Remembered, Asked] | None:
        """The inbox row of an identity, and what the record that it names asks for."""
        row = self._known.get(asked.identity)
        record = self._records.get((row.topic, row.partition, row.offset)) if row else None
        try:
            return (row, read(record)) if row and record else None
        except Bad:
            return None  # said where that record was counted

    def _conflict(self, asked: Asked, record: Record, letter: DeadLetter) -> None:
        self._whole(record, letter)
        original = self._original(asked)
        if letter.reason != "id_conflict" or not original or original[1].content == asked.content:
            self._say(f"{letter[:4]}: a good record was parked as {letter.reason}")

    def _duplicate(self, asked: Asked, record: Record) -> None:
        where = (record.topic, record.partition, record.offset)
        original = self._original(asked)
        if original is None:
            self._say(f"{where}: lost: {asked.identity} has no inbox row")
            return
        row, first = original
        if first.content != asked.content:
            self._say(f"{where}: counted as a duplicate of {row}, but asks for something else")
        if (row.topic, row.partition) == where[:2] and row.offset > record.offset:
            self._say(f"{where}: counted as a duplicate of the later record {row.offset}")
