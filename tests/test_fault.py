"""Faults: what each kind says of itself is what the proxy and the client can do."""

from typing import Annotated, Any

import pytest

import replaykit
from replaykit import Command, fault, gen
from replaykit.command import Refs, command_of, generators_of
from replaykit.fault import MOST_STEPS, Fault, HttpFault, NetworkFault, ProcessFault, StreamFault
from replaykit.generator import draw
from replaykit.source import DEFAULT_SIZE, Source, derive
from replaykit.tampering import Tampering
from replaykit.toxic import ATTRIBUTES, Toxic

DRAWS = range(40)


def leaves(kind: type[Fault]) -> list[type[Fault]]:
    """List the kinds of faults that are done, which have none below them in the module."""
    below = [each for each in kind.__subclasses__() if each.__module__ == fault.__name__]
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


KINDS = leaves(Fault)
STREAMED = [each for each in KINDS if issubclass(each, StreamFault)]


def drawn(kind: type[Command], seed: int) -> Any:
    """Draw a command."""
    source = Source(derive(seed, 1))
    args = {}
    for name, generator in generators_of(kind).items():
        args[name] = generator.build(draw(generator, source, DEFAULT_SIZE))
    return command_of(kind, kind.version, args, Refs())


def test_there_are_all_kinds():
    """Eight of the network, three of the process, four of HTTP, and no other."""
    counted = [sum(issubclass(each, base) for each in KINDS) for base in (NetworkFault, ProcessFault, HttpFault)]

    assert [8, 3, 4] == counted
    assert set(ATTRIBUTES) == {each.toxic for each in STREAMED}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_is_a_command_with_a_length(kind: type[Fault]):
    """Its tag says what it is, it is rarer than a command, or not by much, and it lasts one to four commands."""
    steps = {drawn(kind, seed).steps for seed in DRAWS}

    assert kind.tag.startswith("fault_")
    assert kind.weight == (fault.OFTEN if kind is fault.Timeout else fault.RARE)
    assert set(range(1, MOST_STEPS + 1)) == steps
    assert not kind.idempotent


def test_tags_are_all_different():
    """Each kind is found again in a bundle."""
    assert len(KINDS) == len({each.tag for each in KINDS})


@pytest.mark.parametrize("kind", STREAMED, ids=lambda kind: kind.__name__)
def test_what_is_drawn_is_a_toxic(kind: type[StreamFault]):
    """Toxiproxy takes all of it, in both directions, and each of its attributes is named."""
    toxics = []
    for seed in DRAWS:
        one = drawn(kind, seed)
        toxics.append(Toxic("x", one.toxic, one.stream, one.share, one.attributes()))

        assert set(ATTRIBUTES[kind.toxic]) == set(one.attributes())

    assert {"upstream", "downstream"} == {each.stream for each in toxics}
    assert {1.0} == {each.toxicity for each in toxics}
    assert 1 < len({tuple(each.attributes.values()) for each in toxics})


@pytest.mark.parametrize("kind", [each for each in KINDS if issubclass(each, HttpFault)], ids=lambda kind: kind.tag)
def test_what_is_drawn_is_a_tampering(kind: type[HttpFault]):
    """The client takes all of it."""
    for seed in DRAWS:
        one = drawn(kind, seed)
        own = {name: getattr(one, name) for name in ("status", "reached", "keep") if hasattr(one, name)}
        made = Tampering(kind=one.kind, share=one.share, **own)

        assert own == {name: getattr(made, name) for name in own}


def test_another_range_is_a_subclass():
    """What is not said again stays."""

    class Crawl(fault.Latency, tag="fault_crawl", weight=2):
        milliseconds: Annotated[int, gen.integers(200, 201)]

    made = drawn(Crawl, 1)

    assert (2, "latency") == (Crawl.weight, made.toxic)
    assert made.attributes()["latency"] in {200, 201}
    assert 0 <= made.jitter <= 10


def test_only_those_that_stop_the_process_blind_those_who_look():
    """Who reads has a line of his own, unless nobody is there."""
    assert {fault.Kill, fault.Pause} == {each for each in KINDS if each.blinds}
    assert replaykit.fault is fault
