"""What is wrong with a record parks that record, whole, with its reason; the records around it are applied."""

import base64
import json
from pathlib import Path
from typing import Any

from stand.events import received
from stand.installation import Installation

CASES = Path(__file__).resolve().parents[1] / "inventory" / "testdata"


def cases(name: str) -> list[dict[str, Any]]:
    """The cases of a file, in the form that its README describes."""
    return [filled(case, case.get("fill", "") * case.get("times", 0))
            for case in json.loads((CASES / name).read_text())]


def filled(part: Any, fill: str) -> Any:
    """part with its placeholders filled in."""
    if isinstance(part, str):
        return part.replace("<FILL>", fill)
    if isinstance(part, dict):
        return {name: filled(inner, fill) for name, inner in part.items()}
    return [filled(inner, fill) for inner in part] if isinstance(part, list) else part


def data(case: dict[str, Any], name: str) -> bytes | None:
    """A value in one of the two ways to write it."""
    if f"{name}_base64" in case:
        return base64.b64decode(case[f"{name}_base64"])
    return None if case[name] is None else case[name].encode()


def headers(case: dict[str, Any]) -> list[tuple[str, bytes | None]]:
    return [(header["key"], data(header, "value")) for header in case.get("headers", [])]


def can_be_sent(case: dict[str, Any]) -> bool:
    """This client's header keys are C strings; the Go tests send the others."""
    return all("\0" not in header.get("key", "\0") for header in case.get("headers", []))


def test_every_kind_of_bad_record_is_parked_and_its_neighbours_are_applied(installation: Installation):
    bad, partitions = [case for case in cases("bad.json") if can_be_sent(case)], 3
    assert len(bad) >= 40
    topic = installation.topic(partitions, **{"max.message.bytes": str(4 << 20)})
    sent: dict[tuple[int, int], dict] = {}
    ends = [0] * partitions
    for number, case in enumerate(bad):
        partition = number % partitions
        sent[(partition, ends[partition])] = case
        installation.feed.send(topic, partition, data(case, "value"), key=b"key", headers=headers(case))
        for _ in range(2):  # so many good ones that nobody takes it for a storm
            installation.feed.send(topic, partition, received("GOOD", 1))
        ends[partition] += 3
    installation.feed.flush()
    installation.start_all(2)
    installation.await_caught_up()

    rows = installation.database.rows('select partition, "offset", reason, key, value, headers from dead_letters')
    found = {(row.partition, row.offset): row for row in rows}
    assert found.keys() == sent.keys()
    for place, case in sent.items():
        row = found[place]
        assert row.reason == case["reason"], case["name"]
        flat = [part for key, value in headers(case) for part in (key.encode(), value)]
        assert (row.key, row.value, list(row.headers)) == (b"key", data(case, "value"), flat), case["name"]
    stock = installation.database.rows("select sku, on_hand, version from stock")
    assert [tuple(row) for row in stock] == [("GOOD", 2 * len(bad), 2 * len(bad))]
    position = installation.database.rows(
        "select sum(applied) as applied, sum(parked) as parked, count(halt_reason) as halted from offsets")[0]
    assert (position.applied, position.parked, position.halted) == (2 * len(bad), len(bad), 0)


def test_records_that_only_look_bad_are_applied_as_plain_data(installation: Installation):
    good = cases("good.json")
    topic = installation.topic(1, **{"max.message.bytes": str(4 << 20)})
    for case in good:
        installation.feed.send(topic, 0, data(case, "value"), headers=headers(case))
    installation.feed.flush()
    installation.start()
    installation.await_caught_up()
    assert installation.database.value("select count(*) from dead_letters") == 0
    for case in good:
        want = case["want"]
        row = installation.database.stock(want["sku"], want["location"], want["tenant"])
        assert row and row.on_hand == want["on_hand"], case["name"]
        outcome = installation.database.rows(
            "select outcome::text from inbox where (tenant, event_id, source) = (%s, %s, %s)",
            want["tenant"], want["id"], want["source"])
        assert [tuple(one) for one in outcome] == [("applied",)], case["name"]


def test_the_same_id_with_another_content_is_parked_and_a_corrected_record_is_applied(installation: Installation):
    topic = installation.topic(2)
    installation.start()
    first = received("A", 1, id="one")
    installation.feed.send_all(topic, 0, [first, {**first, "quantity": 2}, b"{", received("A", 5, id="two")])
    installation.check()
    # What was parked left no memory: the same id, corrected, counts.
    installation.feed.send_all(topic, 1, [{**first, "sku": "B"}, received("A", "5", id="three")])
    installation.check()
    installation.feed.send_all(topic, 1, [received("A", 5, id="three"), {**first, "reason": "only a remark"}])
    installation.check()
    assert installation.database.stock("A")[3:6] == (11, 0, 3)
    reasons = installation.database.rows("select reason from dead_letters order by partition, \"offset\"")
    assert [row.reason for row in reasons] == ["id_conflict", "not_json", "id_conflict", "wrong_type_quantity"]
