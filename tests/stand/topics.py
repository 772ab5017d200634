"""Topics: making them, their ends, their records, and what a group committed for them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

from .waiting import until

Place = tuple[str, int]  # topic, partition


@dataclass(frozen=True, slots=True)
class Record:
    """One record as any client can read it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Topics:
    """What the broker knows. Every call is bounded in time."""

    def __init__(self, brokers: str):
        self._brokers = brokers
        self._admin = AdminClient({"bootstrap.servers": brokers, "log_level": 2})

    def create(self, name: str, partitions: int, **config: str) -> None:
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
        for future in self._admin.create_topics([new]).values():
            future.result(30)
        until(lambda: len(self._led(name)) == partitions, within=30, what=f"the topic {name}")

    def grow(self, name: str, partitions: int) -> None:
        for future in self._admin.create_partitions([NewPartitions(name, partitions)]).values():
            future.result(30)
        until(lambda: len(self._led(name)) == partitions, within=30, what=f"{partitions} partitions of {name}")

    def delete(self, names: list[str]) -> None:
        if not names:
            return
        for future in self._admin.delete_topics(names, operation_timeout=30).values():
            future.result(30)

    def places(self, names: Iterable[str]) -> list[Place]:
        """All partitions of these topics, once each has a leader: one that is left out would pass for read."""
        return [place for name in names for place in until(
            lambda name=name: self._led(name), within=30, what=f"a leader of each partition of {name}")]

    def _led(self, name: str) -> list[Place]:
        """The topic's partitions; none as long as the broker does not know of it, or of the leader of one."""
        topic = self._admin.list_topics(name, timeout=30).topics[name]
        if topic.error or any(about.error or about.leader < 0 for about in topic.partitions.values()):
            return []
        return [(name, number) for number in sorted(topic.partitions)]

    def starts(self, places: list[Place]) -> dict[Place, int]:
        return self._offsets(places, OffsetSpec.earliest())

    def ends(self, places: list[Place]) -> dict[Place, int]:
        """Last stable offsets: where a read_committed reader stands when it has read everything."""
        return self._offsets(places, OffsetSpec.latest())

    def committed(self, group: str, places: list[Place]) -> dict[Place, int]:
        """What the group committed to Kafka; partitions without a commit are absent."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(*place) for place in places])
        answer = self._admin.list_consumer_group_offsets([asked], request_timeout=30)[group].result(30)
        return {(at.topic, at.partition): at.offset for at in answer.topic_partitions if at.offset >= 0}

    def members(self, group: str) -> int:
        """How many members the group has."""
        try:
            return len(self._admin.describe_consumer_groups([group], request_timeout=30)[group].result(30).members)
        except KafkaException as problem:
            if problem.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    def read(self, places: list[Place]) -> dict[Place, list[Record]]:
        """All records of these partitions that a read_committed reader sees, from the start of the log to its end."""
        found: dict[Place, list[Record]] = {place: [] for place in places}
        starts, ends = self.starts(places), self.ends(places)
        open_places = {place for place in places if ends[place] > starts[place]}
        reader = Consumer({
            "bootstrap.servers": self._brokers, "group.id": "recount", "isolation.level": "read_committed",
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error", "log_level": 2,
        })
        try:
            reader.assign([TopicPartition(*place, starts[place]) for place in sorted(open_places)])
            deadline = time.monotonic() + 30
            while open_places:
                messages = reader.consume(10_000, timeout=0.1)
                if messages:
                    deadline = time.monotonic() + 30
                elif time.monotonic() > deadline:
                    raise TimeoutError(f"nothing to read for 30 s with {len(open_places)} partitions unread")
                for message in messages:
                    place = (message.topic(), message.partition())
                    if (problem := message.error()) is None:
                        found[place].append(_record(message))
                    elif problem.code() == KafkaError._PARTITION_EOF:
                        open_places.discard(place)
                    else:
                        raise KafkaException(problem)
        finally:
            reader.close()
        return found

    def _offsets(self, places: list[Place], which: OffsetSpec) -> dict[Place, int]:
        asked = {TopicPartition(*place): which for place in places}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=30)
        return {(at.topic, at.partition): future.result(30).offset for at, future in answers.items()}


def _record(message) -> Record:
    return Record(message.topic(), message.partition(), message.offset(), message.key(), message.value(),
                  tuple(message.headers() or ()))
