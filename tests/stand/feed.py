"""Producers."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import uuid4

from confluent_kafka import KafkaException, Producer

from .events import Event, encode
from .topics import Place


class Feed:
    """An idempotent producer. What flush() returned from is in the log once, in the order of send() per partition."""

    def __init__(self, brokers: str, **config):
        self._producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 2,
                                   "message.max.bytes": 8 << 20, "queue.buffering.max.messages": 1_000_000,
                                   "log_level": 2, **config})
        self._problems: list = []
        # What the broker acknowledged, by partition: how many records, and the offset after the last one.
        self.acknowledged: dict[Place, int] = defaultdict(int)
        self.ends: dict[Place, int] = defaultdict(int)

    def send(self, topic: str, partition: int, value: Event | bytes | None, *, key: bytes | None = None,
             headers: list[tuple[str, bytes | None]] | None = None) -> None:
        """Queue one record. An event without a key of its own travels under its SKU, as the README asks."""
        if key is None and isinstance(value, dict):
            key = value.get("sku", "").encode()
        self._producer.produce(topic, encode(value), key, partition, on_delivery=self._delivered, headers=headers or [])
        self._producer.poll(0)

    def send_all(self, topic: str, partition: int, values: Iterable[Event | bytes | None]) -> None:
        for value in values:
            self.send(topic, partition, value)
        self.flush()

    def flush(self, within: float = 60) -> None:
        """Return when the broker has acknowledged everything that was sent."""
        left = self._producer.flush(within)
        if left or self._problems:
            raise RuntimeError(f"{left} records unacknowledged after {within:g} s; problems: {self._problems[:3]}")

    def _delivered(self, problem, message) -> None:
        if problem is not None:
            self._problems.append(problem)
            return
        offset = message.offset()  # None if the broker had the record already when it came once more
        self._acknowledge((message.topic(), message.partition()), 0 if offset is None else offset + 1)

    def _acknowledge(self, place: Place, end: int) -> None:
        self.acknowledged[place] += 1
        self.ends[place] = max(self.ends[place], end)


class TransactionalFeed(Feed):
    """A producer whose records become visible at commit(), or never, at abort()."""

    def __init__(self, brokers: str):
        super().__init__(brokers, **{"transactional.id": f"stand-{uuid4().hex}"})
        self._undecided: list[tuple[Place, int]] = []
        self._producer.init_transactions(30)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def commit(self) -> None:
        self.flush()
        self._producer.commit_transaction(30)
        for place, end in self._undecided:
            super()._acknowledge(place, end)
        self._undecided.clear()

    def abort(self) -> None:
        """Make sure that the records are in the log, then take them back: readers must step over them."""
        self.flush()
        try:
            self._producer.abort_transaction(30)
        except KafkaException as problem:
            raise RuntimeError(f"abort: {problem}") from problem
        self._undecided.clear()

    def _acknowledge(self, place: Place, end: int) -> None:
        """Readers are not to see it before the transaction is committed."""
        self._undecided.append((place, end))
