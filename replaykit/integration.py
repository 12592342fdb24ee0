"""Integration: a campaign of runs against a live service; every failure is saved first, and shrunk then.

    result = integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url="http://127.0.0.1:4600")

    with integration.hunt_bugs(model=Leaderboard, adapter=LeaderboardApi, base_url="http://127.0.0.1:4600") as bugs:
        for bug in bugs:
            print(bug.fingerprint, bug.failure.message)

The whole campaign follows from one seed: run i has the seed that `source.derive(seed, i)` gives.
"""

import gc
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from replaykit import project
from replaykit.adapter import Adapter, Adapters, Mock
from replaykit.campaign import Campaign
from replaykit.corpus import known_in
from replaykit.coverage import checked
from replaykit.crew import Alone, Crew
from replaykit.errors import DefinitionError, UsageError
from replaykit.generate import Parallel
from replaykit.hand import resets_of, service_of
from replaykit.hunt import Hunt
from replaykit.journal import NAME, OLD, Hunted, Journal, Kept, journal_in
from replaykit.keeper import Keeper, facts_of, made, recordings_in
from replaykit.latency import budgets_of
from replaykit.model import Model, digest_of
from replaykit.pool import Pool, hands_of, mustered
from replaykit.reporting import Asked, reported
from replaykit.result import Result
from replaykit.resuming import Past, restore
from replaykit.runner import Listeners, Plan, Runner
from replaykit.service import Running
from replaykit.settling import Settling
from replaykit.shrink import Budget
from replaykit.terms import PLATEAU, Terms, folders
from replaykit.transport import Way
from replaykit.watcher import Several, Watcher
from replaykit.writer import Writer

MAX_SEED = 1 << 32
REPEAT = 10  # runs of one sequence that ends in branches


class Options(TypedDict, total=False):
    """What a campaign may be told, beside its model and its adapter."""

    base_url: str | Sequence[str] | None  # where the service runs; several for several jobs, one for each
    start: str | None  # the command that starts it, with {port} in it; it is stopped afterwards
    health_check: str | None  # a path, a URL with {url} in it, or "none"; waited for where it is given
    health_timeout: float | None  # seconds to wait for it; by default 30 with `start`, else 5
    reset_url: str | None  # asked with POST before each execution: a path, or a URL with {url} in it
    reset_command: str | None  # run before each execution, with {url} and {port} in it
    reset_restart: bool  # start the service of `start` anew before each execution
    restart: bool  # start the service of `start` again where it dies, and go on
    record: str | Path | None  # a folder for bundles of runs that pass
    max_commands: int  # of a run; by default 50
    seed: int | None  # of the campaign; drawn where it is not given
    stop_on_fail: bool  # stop after the first failure
    swarm: bool  # leave a random part of the model's commands out of each run
    parallel: Parallel | None  # end each sequence in branches that are sent at the same time
    repeat: int  # executions of such a sequence, at most; by default 10
    stutter: float  # how often an idempotent command is sent again, from 0 to 1
    settings: Mapping[str, str] | None  # of the adapter
    latency: Mapping[str, float] | None  # what endpoints may take, in seconds: {"GET /players": 0.2}
    toxiproxy: str | None  # the URL of a Toxiproxy's API, with which the model's faults are done; None: an own proxy
    proxy_port: int | None  # where that proxy listens if it can
    transport: Way  # "httpx" sends plain HTTP through httpx's transport too
    budget: Budget | None  # how long each failure is shrunk; with 0 executions not at all
    require_coverage: Mapping[str, float] | None  # percent for a success: {"commands": 100, "outcomes": 90}
    watcher: Watcher | None  # who is told how it goes on
    report: Asked | None  # reports to write: "junit=PATH", a list of these, or {"junit": PATH}
    names: tuple[str, str] | None  # of model and adapter in bundles, where the class names would not find them
    with_times: bool  # save bundles with times, dates, request ids and the port
    jobs: int | None  # processes that make runs, each with a service of its own; by default 1
    dask: str | None  # the address of a Dask cluster, whose workers make the runs
    free_port: bool  # the port of `base_url` is another one each time, so bundles are saved without it


def run(
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    max_runs: int | None = 100,
    save_failures: str | Path | None = None,
    stop_after: int | None = None,
    max_time: float | None = None,
    plateau: int | None = None,
    resume: bool = False,
    known: Iterable[str | Path] = (),
    **options: Unpack[Options],
) -> Result:
    """Run up to `max_runs` sequences of commands, and return what was found.

    `adapter=Mock` runs the model against itself, without a service. `save_failures` names a folder for bundles; they
    have the canonical form, unless `with_times`, or a bug does not show offline without what that leaves out.
    With `stop_after`, `max_time`, `plateau` or `resume` it is a hunt; see `hunt_bugs`, and give `max_runs=None` where
    the number of runs is not to end it; something has to. `known` names folders with bundles of bugs that are
    counted, and not shrunk again.
    With `jobs`, or with `dask`, several processes make the runs; what is found does not depend on how many there are.
    Ctrl-C ends the campaign: the result says `interrupted`.
    Raises UsageError, DefinitionError, UnreachableError, JournalError.
    """
    terms = Terms(stop_after, max_time, plateau, resume, folders(known))
    with opened(model, adapter, max_runs, save_failures, terms, **options) as campaign:
        try:
            deque(campaign.go(), maxlen=0)
        except KeyboardInterrupt:
            if campaign.result.interrupted is None:
                raise
        return campaign.result


def hunt_bugs(
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    stop_after: int | None = 5,
    max_runs: int | None = None,
    save_to: str | Path | None = None,
    max_time: float | None = None,
    plateau: int | None = PLATEAU,
    resume: bool = False,
    known: Iterable[str | Path] = (),
    **options: Unpack[Options],
) -> Hunt:
    """Hunt until `stop_after` distinct new bugs are found, and give each when it is saved and shrunk.

    The hunt ends before that after `max_runs` runs, `max_time` seconds, or `plateau` runs in a row that found nothing
    new; not all four can be None. `save_to` names a folder for bundles and the hunt's journal; with `resume`, a hunt
    that was stopped goes on from there, and what it had found is given first. Bugs with a bundle that is shrunk in
    that folder, in the project's failures/ or in a folder of `known` are counted, and stand in `result.known`.

    The service is started, or waited for, at once. Ctrl-C is raised; what was counted until then is journalled.
    Raises UsageError, DefinitionError, UnreachableError, JournalError.
    """
    terms = Terms(stop_after, max_time, plateau, resume, folders(known), hunts=True)
    return Hunt(opened(model, adapter, max_runs, save_to, terms, **options))


@contextmanager
def opened(
    model: type[Model],
    adapter: type[Adapter[Any]],
    max_runs: int | None,
    folder: str | Path | None,
    terms: Terms | None = None,
    **options: Unpack[Options],
) -> Iterator[Campaign]:
    """Give a campaign that is about to begin: its options are checked, and its service is there. Raises as `run`."""
    terms = terms or Terms()
    _check(model, adapter, max_runs, folder, terms, options)
    record, parallel, seed = options.get("record"), options.get("parallel"), options.get("seed")
    for each in (folder, record):
        if each is not None:
            made(Path(each))
    budgets = budgets_of(model, adapter, options.get("latency") or {})
    result = Result(
        model=model,
        adapter=adapter,
        names=options.get("names") or (_name_of(model), _name_of(adapter)),
        budgets=tuple(budgets.names),
        seed=random.SystemRandom().randrange(MAX_SEED) if seed is None else seed,
        max_runs=max_runs,
        required=checked(options.get("require_coverage") or {}),
        terms=terms,
    )
    budget = options.get("budget") or (Budget.for_races() if parallel else Budget())
    with ExitStack() as stack:
        own = [Path(folder)] if folder is not None and terms.is_hunt else []
        reports = stack.enter_context(reported(options.get("report"), taken=[each / NAME for each in own]))
        usual = [project.root() / "failures"] if terms.is_hunt and adapter is not Mock else []
        corpus = known_in([*own, *usual, *terms.known], result.names)
        journal, past = Journal(), Past()
        if own:
            journal = kept = stack.enter_context(_journal(own[0], result, options))
            past = restore(kept, result, corpus) if kept.resumes else past
        plan = Plan(
            result.seed,
            options.get("max_commands", 50),
            budgets,
            budget,
            parallel,
            options.get("repeat", REPEAT),
            options.get("stutter", 0.0),
            options.get("swarm", False),
        )
        hands = stack.enter_context(_hands(result, plan, options))
        recorder = None if record is None else _keeper(Path(record), result, plan, hands, options)
        earlier = 0 if record is None or result.resumed_after else recordings_in(Path(record))
        if earlier:
            result.notes.append(
                f"{record} holds {earlier:,} recorded run{'s' * (earlier != 1)} already: those with the numbers of new "
                "ones are replaced, the others stay."
            )
        keeper = None if folder is None else _keeper(Path(folder), result, plan, hands, options)
        writer = None
        crew: Crew | None = hands.pool
        if hands.adapters is not None:
            writer = None if keeper is None else stack.enter_context(keeper.writer())
            crew = Alone(Runner(plan, hands.adapters, result.coverage, _listeners(keeper, writer)))
        assert crew is not None  # noqa: S101  runs are made here, or in a pool
        stack.enter_context(_old_left_alone())
        yield Campaign(
            result,
            crew,
            Several(*[each for each in (options.get("watcher"), reports) if each is not None]),
            keeper,
            writer,
            hands.running,
            options.get("stop_on_fail", False),
            shrinks=budget.executions > 0,
            findings=past.findings,
            waiting=deque(past.waiting),
            elapsed=past.seconds,
            journal=journal,
            corpus=corpus,
            recorder=recorder,
            url=hands.url,
        )


@dataclass(frozen=True, slots=True)
class _Hands:
    """Who makes the runs, and at which service."""

    url: str | None  # of the service, or of the first one
    has_free_port: bool
    running: Running | None = None
    adapters: Adapters | None = None  # where this process makes the runs
    pool: Pool | None = None  # where others do


@contextmanager
def _hands(result: Result, plan: Plan, options: Options) -> Iterator[_Hands]:
    """Give those who make the runs, each with a service that is there."""
    model, adapter = result.model, result.adapter
    count, urls = hands_of(options, is_mock=adapter is Mock)
    options["base_url"] = urls[0] if urls else None
    with ExitStack() as stack:
        if count != 1 or options.get("dask"):
            blank = result.coverage.blank()
            pool = stack.enter_context(mustered(model, adapter, plan, options, count, urls, blank))
            result.workers = pool.hands
            yield _Hands(pool.urls[0] if pool.urls else None, "start" in options and not urls, pool=pool)
            return
        running = None if adapter is Mock else stack.enter_context(service_of(options))
        url = None if running is None else running.url
        settings, transport = dict(options.get("settings") or {}), options.get("transport", "lean")
        adapters = stack.enter_context(closing(Adapters(model, adapter, url, settings, transport, running)))
        yield _Hands(url, running is not None and running.has_free_port, running, adapters)


def _keeper(folder: Path, result: Result, plan: Plan, hands: _Hands, options: Options) -> Keeper:
    """Return what keeps bundles in a folder."""
    settling = Settling(
        result.model,
        result.adapter,
        settings=options.get("settings"),
        latency=options.get("latency"),
        transport=options.get("transport", "lean"),
        services=[hands.url] if hands.url and (hands.has_free_port or options.get("free_port")) else [],
        with_times=options.get("with_times", False),
    )
    facts = facts_of(result.model)
    keeper = Keeper(folder, result.names, hands.url, result.seed, plan.max_commands, facts, settling)
    keeper.urls = [] if hands.pool is None else hands.pool.urls
    return keeper


def _journal(folder: Path, result: Result, options: Options) -> Kept:
    """Take the folder of a hunt; the result has the seed of the hunt that goes on, and says what becomes of another."""
    parallel = options.get("parallel")
    hunted = Hunted(
        model=result.names[0],
        adapter=result.names[1],
        model_digest=digest_of(result.model),
        seed=result.seed,
        commands=options.get("max_commands", 50),
        parallel=None if parallel is None else f"{parallel.count}x{parallel.length}",
        repeat=None if parallel is None else options.get("repeat", REPEAT),
        stutter=float(options.get("stutter", 0.0)),
        swarm=options.get("swarm", False),
        latency={name: float(each) for name, each in (options.get("latency") or {}).items()},
    )
    resume = result.terms.resume
    kept = Kept(folder, hunted, resume=resume, seeded=options.get("seed") is not None)
    result.seed = kept.hunted.seed
    unfinished = journal_in(folder)
    if resume and not kept.resumes:
        result.notes.append(f"There is no hunt to go on with in {folder}: a new one begins.")
    elif unfinished and not resume:
        result.notes.append(
            f"The hunt in {folder} was stopped after {unfinished}. A new one begins, and its journal is kept as {OLD}; "
            f"with --resume, it would have gone on."
        )
    return kept


def _check(
    model: type[Model],
    adapter: type[Adapter[Any]],
    max_runs: int | None,
    folder: str | Path | None,
    terms: Terms,
    options: Options,
) -> None:
    unknown = sorted(options.keys() - Options.__annotations__.keys())
    if unknown:
        raise TypeError(f"a campaign has no option {unknown[0]!r}; it has {', '.join(Options.__annotations__)}")
    _check_model(model, max_runs, options.get("max_commands", 50), options.get("seed"), options.get("stutter", 0.0))
    parallel = options.get("parallel")
    if parallel is not None:
        _check_parallel(model, adapter, parallel, options.get("repeat", REPEAT))
    if adapter is Mock and (folder is not None or options.get("record") is not None):
        raise UsageError("A run without a service has no bugs of a service to save.", "Leave out the folder.")
    if adapter is Mock and (resets_of(options) or options.get("restart")):
        raise UsageError("A run without a service has none to reset.", "Leave out what resets and restarts it.")
    ends = (max_runs, terms.stop_after, terms.max_time, terms.plateau)
    if not (options.get("stop_on_fail") or any(each is not None for each in ends)):
        raise UsageError("Nothing ends this campaign.", "Give max_runs, max_time, stop_after or plateau.")
    if terms.resume and folder is None:
        raise UsageError("There is no folder with a hunt to go on with.", "Name it: --save-failures DIR --resume.")


def _check_model(model: type[Model], max_runs: int | None, max_commands: int, seed: int | None, stutter: float) -> None:
    if (max_runs is not None and max_runs < 1) or max_commands < 1:
        raise UsageError("A campaign has at least one run of at least one command.", "Use larger numbers.")
    if seed is not None and not 0 <= seed < 1 << 64:
        raise UsageError(f"The seed {seed} is out of range.", "A seed is a number from 0 to 2**64 - 1.")
    if not model.commands:
        raise DefinitionError(f"{model.__name__} has no commands.", "Name them: commands: ClassVar = (...).")
    if not (model.rules.expects or model.rules.invariants or model.rules.checks or model.server_errors):
        raise DefinitionError(
            f"{model.__name__} judges nothing: no run could ever fail.",
            "Write an @expects, an @invariant or a @check method, or set server_errors = True.",
        )
    if not 0 <= stutter <= 1:
        raise UsageError(f"The probability of stutter is {stutter:g}.", "Give a number from 0 to 1.")
    if stutter and not any(command.idempotent for command in model.commands):
        raise DefinitionError(
            f"{model.__name__} has no command that may be sent again.",
            "Say so of those that may: class Credit(Command, idempotent=True).",
        )


def _listeners(keeper: Keeper | None, writer: Writer | None) -> Listeners | None:
    """Let each execution be written down while it happens, in place of the one before."""
    if keeper is None or writer is None:
        return None

    def listener(index: int, seed: int) -> Writer:
        writer.rewind()
        writer.begin(keeper.origin(index, seed))
        return writer

    return listener


def _check_parallel(model: type[Model], adapter: type[Adapter[Any]], parallel: Parallel, repeat: int) -> None:
    if adapter is Mock:
        raise UsageError("A run without a service sends nothing at the same time.", "Leave out parallel, or mock.")
    if parallel.trouble is not None or repeat < 1:
        raise UsageError(f"{parallel.trouble or f'{repeat} repetitions are none'}.", "Use other numbers.")
    if not (model.rules.expects or model.rules.checks):
        raise DefinitionError(
            f"{model.__name__} can't judge what is sent at the same time: it expects and checks nothing.",
            "Write an @expects or a @check method.",
        )


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@contextmanager
def _old_left_alone() -> Iterator[None]:
    """Keep the garbage collector from what was there before: it would look through all of it again and again."""
    if gc.get_freeze_count():
        yield  # somebody else has seen to it
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
