"""The public columns of one installation's tables, read by a client that is not the service."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from .topics import Place


class Position(NamedTuple):
    topic: str
    partition: int
    incarnation: int
    start: int
    next: int
    applied: int
    rejected: int
    duplicate: int
    parked: int
    ignored: int
    skipped: int
    jumped: int
    owner: str | None
    halt_reason: str | None


class Remembered(NamedTuple):
    tenant: str
    event_id: str
    source: str
    outcome: str
    reason: str | None
    topic: str
    partition: int
    offset: int


class Stock(NamedTuple):
    tenant: str
    sku: str
    location: str
    on_hand: int
    reserved: int
    version: int
    backorder: str
    backorder_limit: int | None


class Movement(NamedTuple):
    tenant: str
    sku: str
    location: str
    version: int
    delta: int
    on_hand: int
    event_id: str
    event_source: str
    kind: str


class DeadLetter(NamedTuple):
    topic: str
    partition: int
    incarnation: int
    offset: int
    reason: str
    key: bytes | None
    value: bytes | None
    headers: list[bytes | None]


class Message(NamedTuple):
    id: int
    topic: str
    key: bytes | None
    event_id: str
    payload: bytes


@dataclass
class Tables:
    """All rows, as one snapshot saw them."""

    offsets: list[Position] = field(default_factory=list)
    inbox: list[Remembered] = field(default_factory=list)
    stock: list[Stock] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    outbox: list[Message] = field(default_factory=list)


_SOURCES = {"offsets": Position, "inbox": Remembered, "stock": Stock, "movements": Movement,
            "dead_letters": DeadLetter, "outbox": Message}


class Database:
    """One schema. Every call uses a short connection of its own, so that a restarted server does not matter."""

    def __init__(self, url: str, schema: str):
        self._url, self._schema = url, schema

    def connect(self, **options: Any) -> psycopg.Connection:
        return psycopg.connect(self._url, options=f"-c search_path={self._schema}", connect_timeout=10,
                               **{"autocommit": True, **options})

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.connect(row_factory=namedtuple_row) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def value(self, sql: str, *parameters: Any) -> Any:
        return self.rows(sql, *parameters)[0][0]

    def do(self, sql: str, *parameters: Any) -> None:
        with self.connect() as connection:
            connection.execute(sql, parameters or None)

    def nexts(self) -> dict[Place, int]:
        return {(row.topic, row.partition): row.next for row in self.rows("select topic, partition, next from offsets")}

    def stock(self, sku: str, location: str = "main", tenant: str = "") -> Stock | None:
        rows = self.rows(f"select {', '.join(Stock._fields)} from stock where (tenant, sku, location) = (%s, %s, %s)",
                         tenant, sku, location)
        return Stock(*rows[0]) if rows else None

    def is_waited_for(self, table: str) -> bool:
        """Whether some transaction waits for a lock on the whole table."""
        return self.value("select count(*) from pg_locks where not granted and relation = to_regclass(%s)", table) > 0

    def snapshot(self) -> Tables:
        """All tables at one moment."""
        tables = Tables()
        with self.connect(autocommit=False) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            for name, row in _SOURCES.items():
                columns = ", ".join(f'"{column}"' for column in row._fields)
                cursor = connection.execute(f"select {columns} from {name}")
                setattr(tables, name, [row(*values) for values in cursor])
        return tables
