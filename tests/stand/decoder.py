"""An own reading of the short form: what a record asks for, or that it must be parked."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from .topics import Record

SIGNED = {"stock.adjusted"}  # quantities that may be negative
MAY_BE_ZERO = {"stock.counted"}
MOVES = {"stock.received", "stock.sold", "stock.returned", "stock.adjusted", "stock.counted"}
MAX_INT = 2**63 - 1
MAX_TEXT = 255  # bytes
MAX_RECORD = 1 << 20

_FIELDS = {"id", "kind", "sku", "quantity", "location", "time", "source", "tenant", "if_version", "reason", "lines",
           "backorder", "backorder_limit"}
_LETTERS = {name.replace("_", "") for name in _FIELDS}


class Asked(NamedTuple):
    """A good event."""

    tenant: str
    id: str
    source: str
    kind: str
    sku: str
    location: str
    quantity: int
    if_version: int | None
    backorder: str
    backorder_limit: int | None

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.tenant, self.id, self.source)

    @property
    def content(self) -> tuple:
        """What must be equal for a second copy to be the same event."""
        return self[3:]

    @property
    def shelf(self) -> tuple[str, str, str]:
        """The stock row that it moves."""
        return (self.tenant, self.sku, self.location)


class Bad(Exception):
    """The record itself is wrong."""


def read(record: Record) -> Asked:
    """What the record asks for; Bad if it must end as a dead letter."""
    if not record.value or len(record.value) > MAX_RECORD:
        raise Bad("no value, or a huge one")
    kinds = [value for name, value in record.headers if name.lower() == "content-type"]
    if any(kind is None or kind.split(b";")[0].strip() != b"application/json" for kind in kinds):
        raise Bad("content type")
    try:
        fields = json.loads(record.value.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_float,
                            parse_constant=_no_float)
    except (ValueError, RecursionError) as problem:
        raise Bad(str(problem)) from problem
    if not isinstance(fields, dict):
        raise Bad("not an object")
    return _asked(fields)


def _asked(fields: dict[str, Any]) -> Asked:
    for name in fields.keys() - _FIELDS:
        if name.lower().replace("_", "").replace("-", "") in _LETTERS:
            raise Bad(f"misspelt {name}")
    if "lines" in fields:
        raise Bad("lines")
    kind = _text(fields, "kind", needed=True)
    source = _text(fields, "source")
    if source.startswith("onhand:"):
        raise Bad("reserved source")
    if "time" in fields:
        _time(fields["time"])
    moves = kind in MOVES
    if not moves and kind != "sku.defined":
        raise Bad("unknown kind")
    quantity = _quantity(fields, kind) if moves else 0
    version = fields.get("if_version") if moves else None
    if version is not None and not (_is_integer(version) and version >= 0):
        raise Bad("if_version")
    backorder, limit = ("", None) if moves else _policy(fields)
    return Asked(_text(fields, "tenant"), _text(fields, "id", needed=True), source, kind,
                 _text(fields, "sku", needed=True), (_text(fields, "location") or "main") if moves else "",
                 quantity, version, backorder, limit)


def _quantity(fields: dict[str, Any], kind: str) -> int:
    quantity = fields.get("quantity")
    if not _is_integer(quantity) or abs(quantity) > MAX_INT:
        raise Bad("quantity")
    if (quantity < 0 and kind not in SIGNED) or (quantity == 0 and kind not in MAY_BE_ZERO):
        raise Bad("quantity")
    return quantity


def _policy(fields: dict[str, Any]) -> tuple[str, int | None]:
    backorder, limit = fields.get("backorder", "deny"), fields.get("backorder_limit")
    if backorder not in ("deny", "allow", "limit") or (backorder == "limit") != (limit is not None):
        raise Bad("backorder")
    if limit is not None and not (_is_integer(limit) and 0 <= limit <= MAX_INT):
        raise Bad("backorder_limit")
    return backorder, limit


def _text(fields: dict[str, Any], name: str, needed: bool = False) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or (needed and not value) or "\0" in value:
        raise Bad(name)
    try:
        if len(value.encode()) > MAX_TEXT:
            raise Bad(name)
    except UnicodeEncodeError as problem:  # half of a surrogate pair
        raise Bad(name) from problem
    return value


def _time(value: Any) -> None:
    try:
        if datetime.fromisoformat(value).tzinfo is None:
            raise Bad("time")
    except (TypeError, ValueError) as problem:
        raise Bad("time") from problem


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _no_float(text: str) -> None:
    raise ValueError(f"{text} is no integer")
