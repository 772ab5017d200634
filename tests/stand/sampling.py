"""Looking again and again while the service runs: what must hold at every moment."""

import threading
from typing import Self

import psycopg

from .installation import Installation
from .waiting import until

# Each query returns rows only where a promise is broken, as one snapshot sees it.
_NEVER = {
    "stock below its floor": """
        select tenant, sku, location, on_hand from stock
        where on_hand < case backorder when 'deny' then 0 when 'limit' then -backorder_limit else on_hand end
           or reserved < 0""",
    "stock that is not the sum of its movements": """
        select coalesce(s.sku, m.sku), s.on_hand, s.version, m.total, m.latest, m.number
        from stock s full join (
            select tenant, sku, location, sum(delta) as total, max(version) as latest, count(*) as number
            from movements group by tenant, sku, location) m using (tenant, sku, location)
        where (s.on_hand, s.version, s.version) is distinct from (m.total, m.latest, m.number)""",
    "movements that are not the applied events": """
        select i.event_id, m.event_id from (
            select tenant, event_id, source from inbox where outcome = 'applied') i
        full join (select tenant, event_id, event_source as source from movements) m using (tenant, event_id, source)
        where (i.event_id is null and m.source <> all (%(foreign)s)) or m.event_id is null""",
    "positions whose records are not all there (I1)": """
        select o.topic, o.partition, o.next, o.applied, o.rejected, o.parked, i.applied, i.rejected, d.parked, i.highest
        from offsets o
        left join (select topic, partition, count(*) filter (where outcome = 'applied') as applied,
                          count(*) filter (where outcome = 'rejected') as rejected, max("offset") as highest
                   from inbox group by topic, partition) i using (topic, partition)
        left join (select topic, partition, count(*) as parked from dead_letters group by topic, partition) d
            using (topic, partition)
        where (o.applied, o.rejected, o.parked)
              is distinct from (coalesce(i.applied, 0), coalesce(i.rejected, 0), coalesce(d.parked, 0))
           or o.next <= i.highest""",
}


class Sampler:
    """Samples in a thread of its own while its block runs; leaving the block fails if a sample was wrong.

    Beside the tables it looks at what the group committed to Kafka: read first, it may never be past the stored
    position, which only grows.
    """

    def __init__(self, installation: Installation, foreign: frozenset[str] = frozenset()):
        self._installation, self._foreign = installation, list(foreign)
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_left, daemon=True)
        self._problem: BaseException | None = None
        self.samples = 0
        self.highest: dict = {}  # stored positions, as last seen
        self.committed: dict = {}  # the group's offsets in Kafka, as last seen

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind, problem, trace) -> None:
        self._leave.set()
        self._thread.join(timeout=60)
        if self._problem and kind is None:
            raise self._problem

    def look(self, times: int) -> None:
        """Return after so many more samples, 20 a second at most; fail at the first wrong one."""
        wanted = self.samples + times

        def looked() -> bool:
            self.check()
            return self.samples >= wanted
        until(looked, within=60, what=f"{times} samples")

    def check(self) -> None:
        """Fail now if a sample was wrong."""
        if self._problem:
            raise self._problem

    def _sample_until_left(self) -> None:
        try:
            while not self._leave.is_set():
                self._sample()
                self.samples += 1
                self._leave.wait(0.05)
        except BaseException as problem:  # handed to the block's end
            self._problem = problem

    def _sample(self) -> None:
        places = self._installation.topics.places(self._installation.names)
        # Not before somebody is in the group: a new broker is still loading its internal topics then, and the client
        # library may crash on that answer.
        joined = self._installation.database.value("select count(owner) from offsets")
        committed = self._installation.topics.committed(self._installation.group, places) if joined else {}
        with self._installation.database.connect(autocommit=False) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            stored = {(topic, partition): next_ for topic, partition, next_ in
                      connection.execute("select topic, partition, next from offsets")}
            for what, query in _NEVER.items():
                found = connection.execute(query, {"foreign": self._foreign}).fetchall()
                assert not found, f"{what}: {found[:5]}"
        for place, offset in committed.items():
            assert offset <= stored.get(place, -1), f"{place}: Kafka holds {offset}, stored is {stored.get(place)}"
        for place, next_ in self.highest.items():
            assert stored[place] >= next_, f"{place}: the stored position went back from {next_} to {stored[place]}"
        self.highest, self.committed = stored, committed
