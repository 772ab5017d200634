"""Traffic as a shop makes it on a bad day: seeded, so that a run can be repeated."""

import random
import uuid
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from .events import Event, adjusted, counted, defined, received, returned, sold
from .topics import Place

_BAD = (b"not json", b"", None, b"[]", b'{"id":"x"', b'{"id":"","kind":"stock.sold","sku":"A","quantity":1}',
        b'{"id":"x","kind":"stock.sold","sku":"A","quantity":1.5}', b'{"id":"x","id":"y"}', b"\xff\xfe",
        b'{"id":"x","kind":"stock.sold","sku":"A","quantity":"1"}', b'{"id":"x","kind":"no.such","sku":"A"}',
        b'{"id":"x","kind":"stock.sold","sku":"A\\u0000","quantity":1}')


class Sent(NamedTuple):
    topic: str
    partition: int
    value: Event | bytes | None


class Traffic:
    """An endless stream of events: a few hot SKUs, demand beyond supply, copies, conflicts and nonsense."""

    def __init__(self, seed: int, places: list[Place], skus: int = 400):
        self._choose = random.Random(seed)
        self._places = sorted(places)
        self._skus = [f"SKU-{number}" for number in range(skus)]
        self._recent: deque[Sent] = deque(maxlen=5000)

    def take(self, number: int) -> Iterator[Sent]:
        for _ in range(number):
            yield self._next()

    def _next(self) -> Sent:
        dice = self._choose.random()
        if dice < 0.01:
            return Sent(*self._choose.choice(self._places), self._choose.choice(_BAD))
        if dice < 0.11 and self._recent:
            return self._copy(self._choose.choice(self._recent), elsewhere=dice < 0.06, changed=dice > 0.107)
        event = self._event()
        sent = Sent(*self._home(event["sku"]), event)
        self._recent.append(sent)
        return sent

    def _copy(self, original: Sent, elsewhere: bool, changed: bool) -> Sent:
        """The same event again, as from a producer that is not sure; changed asks for something else by the same id."""
        event = {**original.value, "time": "2026-01-02T03:04:05Z"}
        if changed and "quantity" in event:
            event["quantity"] += 1 + event["quantity"] ** 2
        place = self._choose.choice(self._places) if elsewhere else original[:2]
        return Sent(*place, event)

    def _event(self) -> Event:
        sku = self._skus[int(len(self._skus) * self._choose.random() ** 3)]  # a few SKUs get most events
        quantity = self._choose.randint(1, 6)
        fields = {"id": str(uuid.UUID(int=self._choose.getrandbits(128)))}
        if self._choose.random() < 0.1:
            fields["location"] = "shop"
        if self._choose.random() < 0.05:
            fields["tenant"] = "second"
        if self._choose.random() < 0.02:
            fields["if_version"] = self._choose.randint(0, 20)
        make = self._choose.choices([received, sold, returned, adjusted, counted, defined], [35, 50, 5, 7, 2, 1])[0]
        if make is defined:
            fields = {name: fields[name] for name in ("id", "tenant") if name in fields}
            backorder = self._choose.choice(["deny", "allow", "limit"])
            return defined(sku, backorder, 5 if backorder == "limit" else None, **fields)
        if make is adjusted and self._choose.random() < 0.6:
            quantity = -quantity
        return make(sku, quantity, **fields)

    def _home(self, sku: str) -> Place:
        """All events of a SKU share a partition, copies apart."""
        return self._places[crc32(sku.encode()) % len(self._places)]
