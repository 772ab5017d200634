"""Events as a producer writes them: the short form on the wire."""

import json
import uuid
from typing import Any

Event = dict[str, Any]


def event(kind: str, sku: str, *, id: str | None = None, **fields: Any) -> Event:
    return {"id": id or uuid.uuid4().hex, "kind": kind, "sku": sku, **fields}


def received(sku: str, quantity: int, **fields: Any) -> Event:
    return event("stock.received", sku, quantity=quantity, **fields)


def sold(sku: str, quantity: int, **fields: Any) -> Event:
    return event("stock.sold", sku, quantity=quantity, **fields)


def returned(sku: str, quantity: int, **fields: Any) -> Event:
    return event("stock.returned", sku, quantity=quantity, **fields)


def adjusted(sku: str, quantity: int, **fields: Any) -> Event:
    return event("stock.adjusted", sku, quantity=quantity, **fields)


def counted(sku: str, quantity: int, **fields: Any) -> Event:
    return event("stock.counted", sku, quantity=quantity, **fields)


def defined(sku: str, backorder: str, limit: int | None = None, **fields: Any) -> Event:
    more = {} if limit is None else {"backorder_limit": limit}
    return event("sku.defined", sku, backorder=backorder, **more, **fields)


def encode(value: Event | bytes | None) -> bytes | None:
    """An event as bytes; bytes (and a tombstone) stay what they are."""
    return json.dumps(value).encode() if isinstance(value, dict) else value
