"""Reshrinking: a bundle is shrunk again against a real service on the loopback, and never gets worse."""

import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest

from replaykit import (
    Adapter,
    Budget,
    Command,
    Event,
    Model,
    Observation,
    check,
    expects,
    gen,
    handles,
    observes,
    on,
    same,
)
from replaykit.adapter import Adapters
from replaykit.bundle import Bundle, Provenance, Shrinking
from replaykit.errors import StaleError, Terminated, TruncatedBundleError, UnreachableError, UnwritableError
from replaykit.finding import Finding
from replaykit.oracle import generators_for
from replaykit.reader import read
from replaykit.reshrinking import MOST_RUNS, Reshrunk, reshrink
from replaykit.run import execute
from replaykit.sequence import Call, Fixed, Sequence
from replaykit.watcher import Watcher
from replaykit.writer import save

# --- the service --------------------------------------------------------------------------------


class Service(ThreadingHTTPServer):
    """A shelf that takes everything, but for what `refuses` says of the names on it and of the new one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.names: list[str] = []
        self.refuses: Callable[[list[str], str], int] = lambda _names, _name: 0  # the status, where it does
        self.loses: Callable[[list[str]], bool] = lambda _: False  # the last name, where they are read
        self.resets = 0
        self.leaving = False  # hang up after the next answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Service

    def do_POST(self) -> None:
        if self.path == "/reset":
            self.server.resets += 1
            self.server.names.clear()
            self.answer(200, b"")
            return
        name = self.path.rpartition("/")[2]
        status = self.server.refuses(self.server.names, name) or 201
        self.server.names.append(name)
        self.answer(status, b"")

    def do_GET(self) -> None:
        names = self.server.names
        self.answer(200, ",".join(names[:-1] if self.server.loses(names) else names).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.close_connection |= self.server.leaving
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def service():
    """Serve on a free port of the loopback."""
    served = Service()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


# --- the model and the adapter ------------------------------------------------------------------


class Put(Command):
    name: Annotated[str, gen.text("abcdefgh", min_size=1, max_size=4)]


class Taken(Event):
    status: int


class Names(Observation):
    names: list[str]


class Shelf(Model):
    commands: ClassVar = (Put,)
    count: int = 0

    @expects
    def put(self, cmd: Put) -> Taken:
        return Taken(status=201)

    @on
    def taken(self, event: Taken) -> None:
        self.count += 1

    @check(at="end")
    def nothing_is_lost(self, seen: Names) -> None:
        same(len(seen.names), self.count)


class ShelfApi(Adapter[Shelf]):
    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def put(self, cmd: Put) -> Taken:
        return Taken(status=self.http.post(f"/{cmd.name}").status_code)

    @observes
    def names(self) -> Names:
        return Names(names=[name for name in self.http.get("/").text.split(",") if name])


def puts(*names: str) -> Sequence:
    return tuple(Call(label=label, tag="put", args={"name": name}) for label, name in enumerate(names))


LONG = puts("abc", "d", "abc", "ef", "g", "abc", "h", "d")
PROVENANCE = Provenance(
    model="shelf:Shelf", adapter="shelf:ShelfApi", model_digest="0123456789abcdef", campaign_seed=7, run=3, seed=11,
    commands=20, url="http://127.0.0.1:1", revision="f" * 40, recorded="2026-01-01T00:00:00+00:00",
)  # fmt: skip


def twice(names: list[str], name: str) -> int:
    """Refuse a name that is there already."""
    return 409 if name in names else 0


def recorded(service: Service, path: Path, sequence: Sequence = LONG, **more: Any) -> Bundle:
    """Run a sequence, and save what failed."""
    adapters = Adapters(Shelf, ShelfApi, service.url, {})
    trace = execute(Shelf, adapters.new(), Fixed(sequence))
    adapters.close()
    assert trace.failure is not None
    save(path, PROVENANCE.replace(**more), trace)

    return read(path)


def shrunk_again(service: Service, path: Path, **more: Any) -> Reshrunk:
    """Shrink a file again."""
    options = {"model": Shelf, "adapter": ShelfApi, "url": service.url, **more}
    return reshrink(read(path), path, **options)


def names_in(path: Path) -> list[str]:
    return [str(call.args["name"]) for call in read(path).trace.sequence]


class Stopping(Watcher):
    """Interrupts some of the runs."""

    def __init__(self, error: KeyboardInterrupt, *runs: int) -> None:
        self.error, self.runs, self.count = error, runs, 0

    def tried(self, finding: Finding, executions: int, length: int) -> None:
        del finding, executions, length
        self.count += 1
        if self.count in self.runs:
            raise self.error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bug.pd"


# --- the file gets better -----------------------------------------------------------------------


def test_what_was_saved_as_it_was_found_becomes_as_small_as_can_be(service: Service, path: Path):
    """The file holds the simplest sequence that fails in the same way, and a run of it."""
    service.refuses = twice
    recorded(service, path)
    result = shrunk_again(service, path)

    assert ("simpler", 0, path) == (result.outcome, result.exit_code, result.path)
    assert ["a", "a"] == names_in(path)
    assert read(path).trace.failure == result.finding.failure


def test_where_it_comes_from_is_kept(service: Service, path: Path):
    """The provenance stays that of the run in which the bug was found, and tells of the search."""
    service.refuses = twice
    recorded(service, path)
    shrunk_again(service, path)
    provenance = read(path).provenance

    assert provenance.replace(shrinking=None) == PROVENANCE.replace(recorded=None, canonical=True)
    assert provenance.shrinking is not None
    assert (3, True, 5, 5, None) == (
        provenance.shrinking.calls_before, provenance.shrinking.confirmed, provenance.shrinking.runs,
        provenance.shrinking.failed, provenance.shrinking.stopped,
    )  # fmt: skip


def test_costs_add_up_and_the_first_length_stays(service: Service, path: Path):
    """Of a bundle that was shrunk before, the first length stays, and costs are those of all searches."""
    service.refuses = twice
    earlier = Shrinking(calls_before=40, executions=100, requests=1000, seconds=50.0, confirmed=False, stopped="time")
    recorded(service, path, shrinking=earlier)
    result = shrunk_again(service, path, with_times=True)
    shrinking = read(path).provenance.shrinking

    assert result.finding.shrunk is not None
    assert shrinking is not None
    assert (40, True, None) == (shrinking.calls_before, shrinking.confirmed, shrinking.stopped)
    assert 100 + result.finding.shrunk.executions == shrinking.executions
    assert 1000 + result.finding.shrunk.requests == shrinking.requests
    assert 50 <= shrinking.seconds < 80


def test_what_fails_at_the_end_of_a_run_is_shrunk_too(service: Service, path: Path):
    """A failure that belongs to no step stays one."""
    service.loses = lambda names: "ef" in names
    recorded(service, path)
    shrunk_again(service, path)

    assert ["ef"] == names_in(path)
    assert None is read(path).failure.step


def test_a_flaky_bug_is_shrunk_and_its_rate_is_measured_anew(service: Service, path: Path):
    """Of a bug that shows in 70 % of the runs, the file says how often its result failed."""
    service.refuses = twice
    recorded(service, path)
    service.refuses = lambda names, name: twice(names, name) if random.Random(service.resets).random() < 0.7 else 0
    result = shrunk_again(service, path)
    shrinking = read(path).provenance.shrinking

    assert "simpler" == result.outcome
    assert ["a", "a"] == names_in(path)
    assert shrinking is not None
    assert (result.after.runs, result.after.failed, False) == (shrinking.runs, shrinking.failed, shrinking.confirmed)
    assert result.after.failed >= result.before.failed
    assert result.after.runs == result.before.runs


def test_the_result_can_be_written_elsewhere(service: Service, path: Path, tmp_path: Path):
    """With another file named, that one is written, and the bundle stays as it is."""
    service.refuses = twice
    recorded(service, path)
    before = path.read_bytes()
    result = shrunk_again(service, path, output=tmp_path / "small.pd")

    assert tmp_path / "small.pd" == result.path
    assert ["a", "a"] == names_in(tmp_path / "small.pd")
    assert before == path.read_bytes()


def test_a_link_to_a_bundle_stays_a_link(service: Service, path: Path, tmp_path: Path):
    """Where the name is a link, the file that it leads to is replaced."""
    service.refuses = twice
    recorded(service, path)
    (tmp_path / "link.pd").symlink_to(path)
    shrunk_again(service, tmp_path / "link.pd")

    assert (tmp_path / "link.pd").is_symlink()
    assert ["a", "a"] == names_in(path)


# --- the file stays as it is --------------------------------------------------------------------


def test_what_can_not_be_simpler_stays_as_it_is(service: Service, path: Path, tmp_path: Path):
    """The simplest sequence stays, byte for byte, and nothing is written elsewhere."""
    service.refuses = twice
    recorded(service, path, puts("a", "a"))
    before = path.read_bytes()
    results = [shrunk_again(service, path), shrunk_again(service, path, output=tmp_path / "small.pd")]

    assert [("unchanged", 0, None)] * 2 == [(each.outcome, each.exit_code, each.path) for each in results]
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_a_bug_that_does_not_show_any_more_is_125(service: Service, path: Path):
    """On a service that was mended, the bundle stays as it is, and it is said what came instead."""
    service.refuses = twice
    recorded(service, path)
    before = path.read_bytes()
    service.refuses = lambda _names, _name: 0
    result = shrunk_again(service, path)

    assert ("not reproduced", 125) == (result.outcome, result.exit_code)
    assert "it failed as recorded in none of 16 runs; in the first, all steps ran, and all checks hold" == result.reason
    assert before == path.read_bytes()


def test_what_is_simpler_but_fails_less_often_is_not_kept(service: Service, path: Path):
    """Where the long sequence always fails, and the short one in half of the runs, the long one stays."""
    service.refuses = twice
    recorded(service, path)
    before, chance = path.read_bytes(), random.Random(1)
    service.refuses = lambda names, name: (
        twice(names, name) if "d" in names or len(names) != 1 or chance.random() < 0.5 else 0
    )
    result = shrunk_again(service, path)

    assert ("less reliable", 0, None) == (result.outcome, result.exit_code, result.path)
    assert MOST_RUNS == result.before.runs == result.before.failed == result.after.runs
    assert 0 < result.after.failed < MOST_RUNS
    assert before == path.read_bytes()


def test_a_budget_that_is_too_small_changes_nothing(service: Service, path: Path):
    """Where the search has no time to see the bug and to find something, nothing is lost."""
    service.refuses = twice
    recorded(service, path)
    before = path.read_bytes()
    result = shrunk_again(service, path, budget=Budget(executions=1))

    assert "unchanged" == result.outcome
    assert before == path.read_bytes()


def test_what_fails_in_the_reset_has_nothing_to_remove(service: Service, path: Path):
    """A bundle without a command stays as it is."""
    service.refuses = twice
    bundle = recorded(service, path)
    save(path, bundle.provenance, bundle.trace.replace(steps=()))
    result = shrunk_again(service, path)

    assert ("unchanged", 0) == (result.outcome, result.exit_code)
    assert 1 == service.resets


def test_a_sequence_that_does_not_fit_any_more_is_stale(service: Service, path: Path):
    """A bundle whose command the model does not know is told at once, and stays as it is."""
    service.refuses = twice
    bundle = recorded(service, path)
    step = bundle.trace.steps[0]
    odd = step.replace(call=step.call.replace(tag="push"))
    save(path, bundle.provenance, bundle.trace.replace(steps=(odd, *bundle.trace.steps[1:])))
    before = path.read_bytes()

    with pytest.raises(StaleError, match="no command push"):
        shrunk_again(service, path)
    assert before == path.read_bytes()
    assert 2 == service.resets


@pytest.mark.parametrize("runs", [1, 10])
def test_a_service_that_is_not_there_any_more_leaves_the_file(service: Service, path: Path, runs: int):
    """A service that goes away before or in the middle of the search is unreachable; the bundle stays as it is."""
    service.refuses = twice
    recorded(service, path)
    before = path.read_bytes()

    class Leaving(ShelfApi):
        def reset(self) -> None:
            service.leaving = service.resets == runs
            super().reset()
            if service.leaving:
                service.shutdown()
                service.server_close()

    with pytest.raises(UnreachableError):
        shrunk_again(service, path, adapter=Leaving)
    assert before == path.read_bytes()


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(service: Service, path: Path):
    """What somebody else saved during the search stays, and that is told."""
    service.refuses = twice
    recorded(service, path)
    bundle = read(path)
    recorded(service, path, puts("b", "b"))

    with pytest.raises(UnwritableError, match="changed meanwhile"):
        reshrink(bundle, path, model=Shelf, adapter=ShelfApi, url=service.url)
    assert ["b", "b"] == names_in(path)


def test_a_folder_that_is_not_there_is_told_before_the_search(service: Service, path: Path, tmp_path: Path):
    """No run is wasted on a result that can't be written."""
    service.refuses = twice
    recorded(service, path)

    with pytest.raises(UnwritableError):
        shrunk_again(service, path, output=tmp_path / "none" / "small.pd")
    assert 1 == service.resets


def test_a_bundle_without_an_end_is_refused(service: Service, path: Path):
    """What was cut off can't be shrunk."""
    service.refuses = twice
    recorded(service, path)
    path.write_bytes(path.read_bytes().rpartition(b"# {")[0])

    with pytest.raises(TruncatedBundleError):
        shrunk_again(service, path)


# --- interruptions ------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(15), 143)])
def test_an_interrupted_search_keeps_the_best(service: Service, path: Path, error: KeyboardInterrupt, code: int):
    """What was found until Ctrl-C or TERM is run again, and kept."""
    service.refuses = twice
    recorded(service, path)
    result = shrunk_again(service, path, watcher=Stopping(error, 4))
    shrinking = read(path).provenance.shrinking

    assert ("simpler", code, path) == (result.outcome, result.exit_code, result.path)
    assert 2 == len(names_in(path))
    assert shrinking is not None
    assert ("interrupted", 5, 5) == (shrinking.stopped, shrinking.runs, shrinking.failed)


@pytest.mark.parametrize("runs", [(1,), (4, 6)], ids=["before anything was found", "twice"])
def test_an_interruption_that_leaves_nothing_sure_changes_nothing(service: Service, path: Path, runs: tuple[int, ...]):
    """Where nothing was found yet, or what was found could not be run again, the file stays as it is."""
    service.refuses = twice
    recorded(service, path)
    before = path.read_bytes()
    result = shrunk_again(service, path, watcher=Stopping(KeyboardInterrupt(), *runs))

    assert ("interrupted", 130, None) == (result.outcome, result.exit_code, result.path)
    assert before == path.read_bytes()


# --- other failures, other models ---------------------------------------------------------------


def test_other_failures_are_told_and_saved_beside(service: Service, path: Path, tmp_path: Path):
    """A failure with another fingerprint is kept in the folder, as long as it was met; one that is there stays."""
    service.refuses = lambda names, name: twice(names, name) if "d" in names else 0
    service.loses = lambda names: len(set(names)) < len(names)
    earlier = Shrinking(calls_before=40, executions=100, requests=1000, seconds=50.0, confirmed=True)
    recorded(service, path, shrinking=earlier, culprit="1a2b3c")
    results, contents = [], []
    for folder in ("beside", "beside", "elsewhere"):
        results.append(shrunk_again(service, path, save_failures=tmp_path / folder, output=tmp_path / "small.pd"))
        [found] = (tmp_path / folder).iterdir()
        contents.append(found.read_bytes())

    assert ["nothing_is_lost"] * 3 == [other.failure.name for each in results for other in each.others]
    assert contents[0] == contents[1]
    assert [False, True, False] == [other.replaced for each in results for other in each.others]
    assert "nothing_is_lost" == read(found).failure.name
    assert (7, 3, 11, None) == (
        read(found).provenance.campaign_seed, read(found).provenance.run, read(found).provenance.seed,
        read(found).provenance.shrinking,
    )  # fmt: skip
    assert service.url == read(found).provenance.url
    assert (None, "1a2b3c") == (read(found).origin.culprit, read(tmp_path / "small.pd").origin.culprit)


class Stamped(Command, tag="put"):
    name: Annotated[str, gen.map(gen.integers(0, 9), lambda number: f"<{number}>")]


class Stamps(Model):
    commands: ClassVar = (Stamped,)

    @expects
    def put(self, cmd: Stamped) -> Taken:
        return Taken(status=201)


def test_arguments_that_come_from_another_function_now_are_left_alone():
    """What a function would have been given is not known, or was given to another one: no generator has it."""
    plain, raw, odd = (
        Call(label=0, tag="put", args={"name": "abc"}),
        Call(label=0, tag="put", args={"name": "<3>"}, raw={"name": 3}),
        Call(label=0, tag="put", args={"name": "<3>"}, raw={"name": [1, 3]}),
    )

    assert [["name"], [], []] == [list(generators_for(Shelf, each)) for each in (plain, raw, odd)]
    assert [[], ["name"], []] == [list(generators_for(Stamps, each)) for each in (plain, raw, odd)]
