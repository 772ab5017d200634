"""Crashes while events flow: members, the database and the broker, at moments drawn from a seed."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from .installation import Installation
from .member import Member
from .servers import PrivateServer
from .traffic import Traffic


@dataclass(frozen=True)
class Plan:
    """What is to happen in one run."""

    seed: int
    events: int
    members: int
    kills: int
    freezes: int
    database_crashes: int
    broker_crashes: int
    seconds: float  # for all of it; the moments are spread over this time
    session_timeout: int  # of the members, in seconds


class Crashes:
    """An installation under traffic, and the faults that befall it. One line is printed for each."""

    def __init__(self, plan: Plan, installation: Installation, database: PrivateServer, broker: PrivateServer):
        self._plan, self._installation = plan, installation
        self._database, self._broker = database, broker
        self._choose = random.Random(plan.seed)
        topics = [installation.topic(8), installation.topic(4)]
        self._traffic = Traffic(plan.seed, installation.topics.places(topics))
        self._transactions = installation.new_transactional_feed()
        self._frozen: list[tuple[float, Member]] = []  # with the time at which each is to go on
        self._began = time.monotonic()
        self._sent = self._done = 0
        self.members = [installation.start() for _ in range(plan.members)]
        self.died = 0  # members that ended without being told to

    def run(self) -> None:
        """Feed and break things, until all faults have happened, all events are sent and every member is awake."""
        steps = self._steps()
        share = -(-self._plan.events // len(steps))
        for number, fault in enumerate(steps):
            left = self._plan.seconds - (time.monotonic() - self._began)
            before = self._dealt_with()
            self._send(min(share, self._plan.events - self._sent))
            self._await_moment(before, share, within=max(left / (len(steps) - number), 0.5))
            fault()
            self.replace_the_dead()
        while self._frozen:
            self._thaw_those_due(wait=True)

    def say(self, text: str) -> None:
        done = self._dealt_with()
        print(f"{time.monotonic() - self._began:7.1f} s  {done:>7} of {self._sent:>7} done  {text}", flush=True)

    def replace_the_dead(self) -> None:
        """A member may only end when it is told to; one that did not is counted, and another one comes."""
        for member in [member for member in self.members if not member.running()]:
            self.died += 1
            self.say(f"{_name(member)} ENDED BY ITSELF with status {member.wait(0)}; its last lines:")
            print("\n".join(member.log().splitlines()[-15:]), flush=True)
            self._replace(member)

    def _steps(self) -> list[Callable[[], None]]:
        """All faults, in a random order; some kills hit several members at once."""
        plan, steps, kills = self._plan, [], self._plan.kills
        while kills > 0:
            together = min(self._choose.choices([1, 2, 3], [6, 3, 1])[0], kills, plan.members)
            steps.append(lambda number=together: self._kill(number))
            kills -= together
        steps += [self._freeze] * plan.freezes
        steps += [self._crash_database] * plan.database_crashes
        steps += [self._crash_broker] * plan.broker_crashes
        self._choose.shuffle(steps)
        return steps or [lambda: None]

    def _send(self, number: int) -> None:
        """Send events: some in transactions; of those that are aborted nothing may be left."""
        events = list(self._traffic.take(number))
        self._sent += number
        apart = number // 10
        for sent in events[apart:]:
            self._installation.feed.send(*sent)
        self._transactions.begin()
        for sent in events[:apart]:
            self._transactions.send(*sent)
        self._transactions.commit()
        self._transactions.begin()
        for sent in events[:apart // 4]:
            self._transactions.send(sent.topic, sent.partition, b"never to be seen")
        self._transactions.abort()
        self._installation.feed.flush()

    def _await_moment(self, before: int, share: int, within: float) -> None:
        """Return at a random moment: mostly in the middle of the work just sent, sometimes whatever is going on."""
        target = before + self._choose.random() * share
        anyhow, whatever = self._choose.random() * within, self._choose.random() < 0.3
        deadline = time.monotonic() + (anyhow if whatever else within)
        pause = threading.Event()
        while self._dealt_with() < target and time.monotonic() < deadline:
            self._thaw_those_due()
            pause.wait(0.005)

    def _dealt_with(self) -> int:
        """Records dealt with; the last number known while the database is away."""
        try:
            self._done = self._installation.database.value(
                "select coalesce(sum(applied + rejected + duplicate + parked), 0)::bigint from offsets")
        except psycopg.OperationalError:
            pass
        return self._done

    def _kill(self, number: int) -> None:
        awake = [member for member in self.members if not member.frozen]
        victims = self._choose.sample(awake, min(number, len(awake)))
        if self._choose.random() < 0.5:
            victims = self._with_publisher(victims, awake)
        for victim in victims:
            victim.send_kill()  # all of them first: they die together
        self.say("kill " + " and ".join(map(_name, victims)))
        for victim in victims:
            victim.kill()
            self._replace(victim)
        if number > len(victims):  # the others are frozen: those who just came must do
            self._kill(number - len(victims))

    def _with_publisher(self, victims: list[Member], awake: list[Member]) -> list[Member]:
        """The same number of victims, with the member among them that publishes outgoing messages, if it is known."""
        try:
            owner = self._installation.database.value("select coalesce(owner, '') from outbox_relay")
        except psycopg.OperationalError:
            return victims
        publisher = [member for member in awake if owner.split("-")[-2:-1] == [str(member.pid)]]
        return (publisher + [member for member in victims if member not in publisher])[:len(victims)]

    def _freeze(self) -> None:
        awake = [member for member in self.members if not member.frozen]
        victim = self._choose.choice(awake)
        if self._choose.random() < 0.5:
            victim = self._with_publisher([victim], awake)[0]
        victim.freeze()
        seconds = self._plan.session_timeout + 1 + 2 * self._choose.random()
        self._frozen.append((time.monotonic() + seconds, victim))
        self.say(f"freeze {_name(victim)} for {seconds:.1f} s")
        if len(awake) == 2:
            self._thaw_those_due(wait=True)  # somebody must be left to freeze or kill

    def _thaw_those_due(self, wait: bool = False) -> None:
        if wait and self._frozen:
            threading.Event().wait(max(0.0, self._frozen[0][0] - time.monotonic()))
        for due, member in list(self._frozen):
            if due <= time.monotonic():
                self._frozen.remove((due, member))
                member.thaw()
                self.say(f"thaw {_name(member)}")

    def _crash_database(self) -> None:
        self.say("stop the database at once")
        self._database.stop("immediate")
        self._database.start()

    def _crash_broker(self) -> None:
        self.say("kill the broker")
        self._broker.stop("kill")
        self._broker.start()

    def _replace(self, member: Member) -> None:
        self.members[self.members.index(member)] = self._installation.start()


def _name(member: Member) -> str:
    return f"{member.name} (pid {member.pid})"
