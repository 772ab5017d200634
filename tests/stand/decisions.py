"""An own model of one decision: what an event must do to a stock row that it finds in a certain state."""

from typing import NamedTuple

from .decoder import MAX_INT, Asked


class State(NamedTuple):
    """A stock row after its movement number `version`; version 0 is the row that is not there yet."""

    version: int
    on_hand: int


class Policy(NamedTuple):
    backorder: str = "deny"
    limit: int | None = None

    @property
    def floor(self) -> int:
        """The least that a sale may leave."""
        return {"deny": 0, "allow": -MAX_INT - 1, "limit": -(self.limit or 0)}[self.backorder]


class Refused(Exception):
    """A business "no"; its argument is the reason."""


def decide(asked: Asked, state: State, policy: Policy) -> int:
    """The delta of the movement that the event makes; Refused if it makes none."""
    if asked.if_version is not None and asked.if_version != state.version:
        raise Refused("version_mismatch")
    delta = {"stock.received": asked.quantity, "stock.returned": asked.quantity, "stock.adjusted": asked.quantity,
             "stock.sold": -asked.quantity, "stock.counted": asked.quantity - state.on_hand}[asked.kind]
    after = state.on_hand + delta
    if policy.backorder != "allow" and delta < 0 and after < policy.floor:
        if asked.kind == "stock.sold":
            raise Refused("insufficient_stock")
        if asked.kind == "stock.adjusted":
            raise Refused("below_zero")
    if abs(after) > MAX_INT or abs(delta) > MAX_INT:
        raise Refused("overflow")
    return delta
