"""Toxics: what may be said of one, and what each does to the bytes of a stream."""

import math
from collections.abc import Sequence
from random import Random

import pytest

from replaykit.errors import UsageError
from replaykit.toxic import ATTRIBUTES, Ending, Memory, RefusedError, Step, Toxic, sliced, treated


def steps(
    toxic: Toxic,
    data: bytes | None,
    *,
    age: float = 0.0,
    memory: Memory | None = None,
    late: float = 0.0,
    seed: int = 0,
) -> list[Step]:
    """List what a toxic does with a piece; each wait takes some seconds longer than was asked for."""
    going = treated(toxic, data, age, Memory() if memory is None else memory, Random(seed))
    found: list[Step] = []
    try:
        step = next(going)
        while True:
            found.append(step)
            step = going.send(step + late if isinstance(step, float) else 0.0)
    except StopIteration:
        return found


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_a_toxic_has_all_attributes_of_its_type(kind: str):
    """What is not said of a toxic is as in Toxiproxy: downstream, every connection, zeros, a name made of both."""
    expected = {
        "attributes": ATTRIBUTES[kind],
        "name": f"{kind}_downstream",
        "type": kind,
        "stream": "downstream",
        "toxicity": 1,
    }

    assert expected == Toxic("", kind).as_json() == Toxic.read({"type": kind}).as_json()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"type": "lag"}, "invalid toxic type"),
        ({}, "invalid toxic type"),
        ({"type": "latency", "stream": "both"}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "latency", "attributes": {"latency": "1"}}, "bad request body: latency is no whole number"),
        ({"type": "latency", "attributes": {"latency": 1.5}}, "bad request body: latency is no whole number"),
        ({"type": "latency", "attributes": {"latency": True}}, "bad request body: latency is no whole number"),
        ({"type": "latency", "attributes": {"latency": 2**63}}, "bad request body: latency is no whole number"),
        ({"type": "latency", "attributes": [1]}, "bad request body: this is no JSON object"),
        ({"type": "latency", "toxicity": "1"}, "bad request body: toxicity is no number"),
        ({"type": "latency", "toxicity": math.nan}, "bad request body: toxicity is no number"),
        ({"type": 7}, "bad request body: type is no text"),
        ({"type": "latency", "name": 7}, "bad request body: name is no text"),
        ([], "bad request body: this is no JSON object"),
        ("latency", "bad request body: this is no JSON object"),
    ],
)
def test_what_is_no_toxic_is_refused(data: object, message: str):
    """What Toxiproxy refuses is refused in its words, with its status; it is a wrong use too."""
    with pytest.raises(RefusedError) as refused:
        Toxic.read(data)

    assert (400, message) == (refused.value.status, refused.value.happened)
    assert isinstance(refused.value, UsageError)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, attributes in ATTRIBUTES.items() for name in attributes]
)
def test_nothing_is_below_nothing(kind: str, name: str):
    """Negative times, sizes and rates are refused, when a toxic is made and when it is changed; 0 is not."""
    with pytest.raises(RefusedError, match=f"{name} of a {kind} is below 0: -1") as refused:
        Toxic("", kind).changed({"attributes": {name: -1}})

    assert 400 == refused.value.status
    assert 0 == Toxic("", kind, attributes={name: 0}).attributes[name]


@pytest.mark.parametrize(
    ("kind", "name", "day"),
    [
        ("latency", "latency", 86_400_000), ("latency", "jitter", 86_400_000), ("timeout", "timeout", 86_400_000),
        ("reset_peer", "timeout", 86_400_000), ("slow_close", "delay", 86_400_000),
        ("slicer", "delay", 86_400_000_000),
    ],
)  # fmt: skip
def test_no_time_is_longer_than_a_day(kind: str, name: str, day: int):
    """A day is borne, in the unit of the attribute; what is longer is refused."""
    with pytest.raises(RefusedError, match=f"{name} of a {kind} is longer than a day: {day + 1} ") as refused:
        Toxic.read({"type": kind, "attributes": {name: day + 1}})

    assert 400 == refused.value.status
    assert day == Toxic("", kind, attributes={name: day}).attributes[name]


def test_sizes_may_be_large():
    """Bytes and rates are as large as numbers are in Toxiproxy."""
    assert 2**63 - 1 == Toxic("", "limit_data", attributes={"bytes": 2**63 - 1}).attributes["bytes"]
    assert 2**63 - 1 == Toxic("", "slicer", attributes={"average_size": 2**63 - 1}).attributes["average_size"]


def test_keys_are_read_as_go_reads_them():
    """Keys may be in upper case, null says nothing, and what is not known is ignored."""
    data = {
        "Type": "latency",
        "NAME": "late",
        "toxicity": None,
        "x": 1,
        "attributes": {"Latency": 7, "jitter": None, "y": 2},
    }

    assert Toxic("late", "latency", attributes={"latency": 7}) == Toxic.read(data)


def test_a_change_keeps_what_it_does_not_name():
    """Attributes and toxicity can be changed, each by itself; type, stream and name stay."""
    toxic = Toxic("late", "latency", "upstream", 0.5, {"latency": 7, "jitter": 3})
    changed = toxic.changed({"attributes": {"jitter": 4}, "type": "timeout", "stream": "downstream"})

    assert Toxic("late", "latency", "upstream", 0.5, {"latency": 7, "jitter": 4}) == changed
    assert 0.25 == toxic.changed({"toxicity": 0.25}).toxicity


def test_latency_counts_from_when_a_piece_came():
    """A piece waits for the latency, less what it has waited already."""
    toxic = Toxic("", "latency", attributes={"latency": 100})

    assert [0.1, b"x"] == steps(toxic, b"x")
    assert [pytest.approx(0.07), b"x"] == steps(toxic, b"x", age=0.03)
    assert [0.0, Ending.CLOSE] == steps(toxic, None)


def test_jitter_is_uniform_around_the_latency():
    """Latencies lie in the range of the jitter, evenly."""
    toxic = Toxic("", "latency", attributes={"latency": 100, "jitter": 10})
    waits = [float(steps(toxic, b"x", seed=seed)[0]) * 1000 for seed in range(2000)]  # type: ignore[arg-type]

    assert 90 <= min(waits) < 91
    assert 109 < max(waits) <= 110
    assert pytest.approx(100, abs=0.5) == sum(waits) / len(waits)
    assert pytest.approx(1000, abs=100) == sum(wait < 100 for wait in waits)


def test_bandwidth_sends_pieces_of_a_tenth_of_a_second():
    """More than what may go in 0.1 s is cut; each piece waits for its time."""
    toxic = Toxic("", "bandwidth", attributes={"rate": 1})

    assert [0.1, b"x" * 100, 0.1, b"x" * 100, pytest.approx(0.05), b"x" * 50] == steps(toxic, b"x" * 250)


def test_bandwidth_makes_up_for_what_took_longer():
    """Where a wait took too long, the next is shorter, so that the rate holds."""
    toxic, memory = Toxic("", "bandwidth", attributes={"rate": 1}), Memory()
    first, second = (steps(toxic, b"x" * 50, memory=memory, late=0.01) for _ in range(2))

    assert [pytest.approx(0.05), pytest.approx(0.04)] == [first[0], second[0]]


def test_no_bandwidth_lets_nothing_through():
    """With a rate of 0 a piece waits for ever."""
    assert [math.inf] == steps(Toxic("", "bandwidth"), b"x")


@pytest.mark.parametrize(("average", "variation"), [(10, 0), (10, 5), (1, 0), (0, 0), (5, 90), (64, 63)])
def test_slices_are_the_data(average: int, variation: int):
    """However data is sliced, nothing is lost, and no piece is empty or larger than the largest."""
    data = bytes(range(256)) * 3
    pieces = sliced(data, average, variation, Random(1))

    assert data == b"".join(pieces)
    assert all(1 <= len(piece) <= max(1, average + variation) for piece in pieces)


def test_slicer_waits_after_each_slice():
    """Each slice is followed by the delay, in microseconds."""
    found = steps(Toxic("", "slicer", attributes={"average_size": 5, "delay": 2000}), b"0123456789")

    assert [b"01234", 0.002, b"56789", 0.002] == found


@pytest.mark.parametrize(
    ("limit", "pieces", "expected"),
    [
        (5, [b"012", b"345"], [b"012", b"34", Ending.CLOSE]),
        (6, [b"012", b"345"], [b"012", b"345", Ending.CLOSE]),
        (7, [b"012", b"345"], [b"012", b"345"]),
        (0, [b"012"], [b"", Ending.CLOSE]),
    ],
)
def test_limit_data_closes_once_it_is_reached(limit: int, pieces: Sequence[bytes], expected: list[Step]):
    """So many bytes are passed on, over all pieces; then the connection is closed."""
    toxic, memory = Toxic("", "limit_data", attributes={"bytes": limit}), Memory()

    assert expected == [step for piece in pieces for step in steps(toxic, piece, memory=memory)]


def test_slow_close_delays_only_the_end():
    """Data goes through at once, the end of it later."""
    toxic = Toxic("", "slow_close", attributes={"delay": 100})

    assert [b"x"] == steps(toxic, b"x")
    assert [0.1, Ending.CLOSE] == steps(toxic, None)


def test_timeout_swallows_data():
    """Nothing is passed on; with a time, silence for so long ends the connection."""
    toxic = Toxic("", "timeout", attributes={"timeout": 100})

    assert ([], [0.0, Ending.CLOSE]) == (steps(toxic, b"x"), steps(toxic, None))
    assert (0.1, None, None) == (toxic.silence, Toxic("", "timeout").silence, Toxic("", "latency").silence)


@pytest.mark.parametrize("data", [b"x", None])
def test_reset_peer_resets_at_the_first_that_comes(data: bytes | None):
    """What comes first, data or the end, is swallowed, and the connection is reset after the time."""
    assert [0.1, Ending.RESET] == steps(Toxic("", "reset_peer", attributes={"timeout": 100}), data)
