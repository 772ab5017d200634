"""The ledger against the events that were decided: gapless, exact, and every decision right.

The order of two events on one stock row is only known where they share a partition. Elsewhere the ledger tells which
came first, and a decision must be right in at least one of the states that its partition's movements before and after
it leave open: where all events of a row share a partition, that is exactly one state.
"""

import json
from collections import Counter, defaultdict
from typing import NamedTuple

from .decisions import Policy, Refused, State, decide
from .decoder import MOVES, Asked
from .tables import Message, Movement, Remembered, Tables
from .topics import Place

Shelf = tuple[str, str, str]  # tenant, SKU, location
Sku = tuple[str, str]  # tenant, SKU


class Decided(NamedTuple):
    """An event, and the inbox row that says what became of it."""

    asked: Asked
    row: Remembered

    @property
    def sku(self) -> Sku:
        return self.asked.shelf[:2]

    @property
    def applied(self) -> bool:
        return self.row.outcome == "applied"

    @property
    def policy(self) -> Policy:
        return Policy(self.asked.backorder, self.asked.backorder_limit)


class Ledger:
    """Stock, movements and messages; differences holds what does not fit."""

    def __init__(self, tables: Tables, decided: dict[Place, list[Decided]], foreign: frozenset[str]):
        self.differences: list[str] = []
        self._states: dict[Shelf, list[State]] = defaultdict(lambda: [State(0, 0)])
        self._movement_of: dict[tuple[str, str, str], Movement] = {}
        self._announced: Counter[tuple] = Counter()  # what must be told beside movements
        self._movements(tables, foreign)
        self._stock(tables)
        self._policies(decided)
        for events in decided.values():
            self._decisions(events)
        applied = {one.asked.identity for events in decided.values() for one in events if one.applied}
        for identity in self._movement_of.keys() - applied:
            self._say(f"{identity}: moved stock, but no inbox row says applied")
        self._messages(tables)

    def _say(self, text: str) -> None:
        self.differences.append(text)

    def _movements(self, tables: Tables, foreign: frozenset[str]) -> None:
        for row in sorted(tables.movements, key=lambda row: row[:4]):
            states = self._states[row[:3]]
            if row.version != states[-1].version + 1:
                self._say(f"{row[:3]}: version {row.version} follows {states[-1].version}")
            if row.on_hand != states[-1].on_hand + row.delta:
                self._say(f"{row[:3]} version {row.version}: {states[-1].on_hand} {row.delta:+d} is not {row.on_hand}")
            states.append(State(row.version, row.on_hand))
            if row.event_source in foreign:
                continue
            identity = (row.tenant, row.event_id, row.event_source)
            if identity in self._movement_of:
                self._say(f"{identity}: moved stock twice")
            self._movement_of[identity] = row
            before, after = states[-2:]
            if before.on_hand > 0 >= after.on_hand:
                self._announced["stock.depleted", row[:3], row.version] += 1
            if before.version > 0 and before.on_hand <= 0 < after.on_hand:
                self._announced["stock.restored", row[:3], row.version] += 1

    def _stock(self, tables: Tables) -> None:
        stock = {row[:3]: row for row in tables.stock}
        for shelf in stock.keys() | self._states.keys():
            states, row = self._states[shelf], stock.get(shelf)
            if row is None or (row.version, row.on_hand) != states[-1]:
                self._say(f"{shelf}: the ledger ends at {states[-1]}, stock is {row}")
            elif row.on_hand < Policy(row.backorder, row.backorder_limit).floor or row.reserved < 0:
                self._say(f"{shelf}: oversold: {row}")

    def _policies(self, decided: dict[Place, list[Decided]]) -> None:
        """Note each SKU's policies, and whether all its events share a partition, so that their order is known."""
        self._every_policy: dict[Sku, set[Policy]] = defaultdict(lambda: {Policy()})
        homes: dict[Sku, set[Place]] = defaultdict(set)
        for place, events in decided.items():
            for one in events:
                homes[one.sku].add(place)
                if one.asked.kind not in MOVES and one.applied:
                    self._every_policy[one.sku].add(one.policy)
        self._at_home = {sku for sku, places in homes.items() if len(places) == 1}

    def _decisions(self, events: list[Decided]) -> None:
        """Check one partition's decisions, in the order of the log."""
        latest = self._latest_versions(events)
        earliest: dict[Shelf, int] = defaultdict(int)
        current: dict[Sku, Policy] = defaultdict(Policy)
        for one, last in zip(events, latest):
            shelf = one.asked.shelf
            if one.asked.kind not in MOVES:
                if one.sku in self._at_home:
                    self._definition(one, earliest)
                if one.applied:
                    current[one.sku] = one.policy
                continue
            allowed = {current[one.sku]} if one.sku in self._at_home else self._every_policy[one.sku]
            if one.applied:
                earliest[shelf] = self._applied(one, earliest[shelf], allowed)
            else:
                earliest[shelf] = self._rejected(one, earliest[shelf], last, allowed)

    def _latest_versions(self, events: list[Decided]) -> list[int]:
        """For each event the last version of its shelf before the partition's own next movement there."""
        upcoming: dict[Shelf, int] = {}
        answer = []
        for one in reversed(events):
            answer.append(upcoming.get(one.asked.shelf, len(self._states[one.asked.shelf]) - 1))
            movement = self._movement_of.get(one.asked.identity)
            if one.applied and movement:
                upcoming[one.asked.shelf] = movement.version - 1
        return answer[::-1]

    def _definition(self, one: Decided, versions: dict[Shelf, int]) -> None:
        present = [self._states[shelf][version].on_hand for shelf, version in versions.items() if shelf[:2] == one.sku]
        fits = all(on_hand >= one.policy.floor for on_hand in present)
        if one.applied != fits or (not fits and one.row.reason != "policy_conflict"):
            self._say(f"{one.asked}: {one.row.outcome} {one.row.reason}, on hand {present}")

    def _applied(self, one: Decided, first: int, allowed: set[Policy]) -> int:
        """Check an applied event; return the version that it made."""
        asked, movement = one.asked, self._movement_of.get(one.asked.identity)
        if movement is None or movement[:3] != asked.shelf or movement.kind != asked.kind:
            self._say(f"{asked}: applied, but its movement is {movement}")
            return first
        states = self._states[asked.shelf]
        if movement.version <= first or movement.version >= len(states):
            self._say(f"{asked}: version {movement.version} after {first}, in a ledger of {len(states) - 1}")
            return first
        before = states[movement.version - 1]
        answers = {_answer(asked, before, policy) for policy in allowed}
        if movement.delta not in answers:
            self._say(f"{asked}: applied with {movement.delta:+d} on {before}, expected one of {answers}")
        return movement.version

    def _rejected(self, one: Decided, first: int, last: int, allowed: set[Policy]) -> int:
        """Check a rejected event; return the earliest version at which its rejection was right."""
        if one.asked.identity in self._movement_of:
            self._say(f"{one.asked}: rejected, but it moved stock")
        states = self._states[one.asked.shelf]
        for version in range(first, min(last, len(states) - 1) + 1):
            if any(_answer(one.asked, states[version], policy) == one.row.reason for policy in allowed):
                return version
        self._say(f"{one.asked}: rejected as {one.row.reason}, right in none of the versions {first}..{last}")
        return first

    def _messages(self, tables: Tables) -> None:
        """Each movement has its message, and those of what it crossed, and each rejection one (I6), in order (I7)."""
        sent = sorted(tables.outbox, key=lambda message: message.id)
        told = [_told(message) for message in sent if kind_of(message.payload) == CHANGED]
        expected, found = Counter(self._movement_of.values()), Counter(told)
        for movement in expected - found:
            self._say(f"no message tells of {movement}")
        for movement in found - expected:
            self._say(f"a message tells of what did not happen, or twice: {movement}")
        latest: dict[Shelf, int] = defaultdict(int)
        for movement in told:
            shelf, version = movement[:3], movement.version
            if version <= latest[shelf]:
                self._say(f"the messages of {shelf} are out of order: {version} after {latest[shelf]}")
            latest[shelf] = version
        self._announced.update(("stock.rejected", row[:3], row.reason) for row in tables.inbox if row.outcome == "rejected")
        announced = Counter(_announcement(message) for message in sent if kind_of(message.payload) != CHANGED)
        for what in self._announced - announced:
            self._say(f"no message tells of {what}")
        for what in announced - self._announced:
            self._say(f"a message tells of what was not so, or twice: {what}")


CHANGED = "stock.changed"


def kind_of(payload: bytes | None) -> str:
    """What a message tells of."""
    return json.loads(payload or b"{}").get("kind", CHANGED)


def _announcement(message: Message) -> tuple:
    """What a message tells of that is not a movement: without thresholds there are few kinds."""
    fields = json.loads(message.payload)
    if fields["kind"] == "stock.rejected":
        return fields["kind"], (fields.get("tenant", ""), message.event_id, fields.get("source", "")), fields["reason"]
    return fields["kind"], (fields.get("tenant", ""), fields["sku"], fields["location"]), fields["version"]


def _told(message: Message) -> Movement:
    """The movement that a message tells of."""
    fields = json.loads(message.payload)
    return Movement(fields.get("tenant", ""), fields["sku"], fields["location"], fields["version"], fields["delta"],
                    fields["on_hand"], message.event_id, fields.get("source", ""), fields["event_kind"])


def _answer(asked: Asked, state: State, policy: Policy) -> int | str:
    try:
        return decide(asked, state, policy)
    except Refused as reason:
        return str(reason)
