"""Integration: a campaign of runs against a live service; every failure is saved first, and shrunk then.

    result = integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url="http://127.0.0.1:4600")

The whole campaign follows from one seed: run i has the seed that `source.derive(seed, i)` gives.
"""

import gc
import random
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

from replaykit.adapter import Adapter, Adapters, Mock
from replaykit.campaign import Campaign
from replaykit.coverage import checked
from replaykit.crew import Alone
from replaykit.errors import DefinitionError, UsageError
from replaykit.generate import Parallel
from replaykit.hand import service_of
from replaykit.keeper import Keeper, facts_of, made
from replaykit.latency import budgets_of
from replaykit.model import Model
from replaykit.pool import hands_of, mustered
from replaykit.result import Result
from replaykit.runner import Listeners, Plan, Runner
from replaykit.settling import Settling
from replaykit.shrink import Budget
from replaykit.transport import Way
from replaykit.watcher import Silent, Watcher
from replaykit.writer import Writer

MAX_SEED = 1 << 32
REPEAT = 10  # runs of one sequence that ends in branches


class Options(TypedDict, total=False):
    """What a campaign may be told, beside its model and its adapter."""

    base_url: str | Sequence[str] | None  # where the service runs; several for several jobs, one for each
    start: str | None  # the command that starts it, with {port} in it; it is stopped afterwards
    health_check: str | None  # a path, a URL with {url} in it, or "none"; waited for where it is given
    health_timeout: float | None  # seconds to wait for it; by default 30 with `start`, else 5
    max_commands: int  # of a run; by default 50
    seed: int | None  # of the campaign; drawn where it is not given
    stop_on_fail: bool  # stop after the first failure
    swarm: bool  # leave a random part of the model's commands out of each run
    parallel: Parallel | None  # end each sequence in branches that are sent at the same time
    repeat: int  # executions of such a sequence, at most; by default 10
    stutter: float  # how often an idempotent command is sent again, from 0 to 1
    settings: Mapping[str, str] | None  # of the adapter
    latency: Mapping[str, float] | None  # what endpoints may take, in seconds: {"GET /players": 0.2}
    transport: Way  # "httpx" sends plain HTTP through httpx's transport too
    budget: Budget | None  # how long each failure is shrunk; with 0 executions not at all
    require_coverage: Mapping[str, float] | None  # percent for a success: {"commands": 100, "outcomes": 90}
    watcher: Watcher | None  # who is told how it goes on
    names: tuple[str, str] | None  # of model and adapter in bundles, where the class names would not find them
    with_times: bool  # save bundles with times, dates, request ids and the port
    jobs: int | None  # processes that make runs, each with a service of its own; by default 1
    dask: str | None  # the address of a Dask cluster, whose workers make the runs
    free_port: bool  # the port of `base_url` is another one each time, so bundles are saved without it


def run(
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    max_runs: int = 100,
    save_failures: str | Path | None = None,
    **options: Unpack[Options],
) -> Result:
    """Run up to `max_runs` sequences of commands, and return what was found.

    `adapter=Mock` runs the model against itself, without a service. `save_failures` names a folder for bundles; they
    have the canonical form, unless `with_times`, or a bug does not show offline without what that leaves out.
    With `jobs`, or with `dask`, several processes make the runs; what is found does not depend on how many there are.
    Ctrl-C ends the campaign: the result says `interrupted`.
    Raises UsageError, DefinitionError, UnreachableError.
    """
    with opened(model, adapter, max_runs, save_failures, **options) as campaign:
        try:
            deque(campaign.go(), maxlen=0)
        except KeyboardInterrupt:
            if campaign.result.interrupted is None:
                raise
        return campaign.result


@contextmanager
def opened(
    model: type[Model],
    adapter: type[Adapter[Any]],
    max_runs: int,
    folder: str | Path | None,
    **options: Unpack[Options],
) -> Iterator[Campaign]:
    """Give a campaign that is about to begin: its options are checked, and its service is there. Raises as `run`."""
    unknown = sorted(options.keys() - Options.__annotations__.keys())
    if unknown:
        raise TypeError(f"a campaign has no option {unknown[0]!r}; it has {', '.join(Options.__annotations__)}")
    max_commands, seed = options.get("max_commands", 50), options.get("seed")
    parallel, repeat, stutter = options.get("parallel"), options.get("repeat", REPEAT), options.get("stutter", 0.0)
    settings, latency, transport = (
        dict(options.get("settings") or {}),
        options.get("latency") or {},
        options.get("transport", "lean"),
    )
    _check(model, max_runs, max_commands, seed, stutter)
    if parallel is not None:
        _check_parallel(model, adapter, parallel, repeat)
    if adapter is Mock and folder is not None:
        raise UsageError("A run without a service has no bugs of a service to save.", "Leave out the folder.")
    if folder is not None:
        made(Path(folder))
    budgets = budgets_of(model, adapter, latency)
    names = options.get("names") or (_name_of(model), _name_of(adapter))
    result = Result(
        model=model,
        adapter=adapter,
        names=names,
        budgets=tuple(budgets.names),
        seed=random.SystemRandom().randrange(MAX_SEED) if seed is None else seed,
        max_runs=max_runs,
        required=checked(options.get("require_coverage") or {}),
    )
    budget = options.get("budget") or (Budget.for_races() if parallel else Budget())
    plan = Plan(result.seed, max_commands, budgets, budget, parallel, repeat, stutter, options.get("swarm", False))
    hands, urls = hands_of(options, is_mock=adapter is Mock)
    options["base_url"] = urls[0] if urls else None
    with ExitStack() as stack:
        pool = running = keeper = writer = None
        if hands != 1 or options.get("dask"):
            pool = stack.enter_context(mustered(model, adapter, plan, options, hands, urls, result.coverage.blank()))
            result.workers, place = pool.hands, pool.urls[0] if pool.urls else None
            has_free_port = "start" in options and not urls
        else:
            running = None if adapter is Mock else stack.enter_context(service_of(options))
            place = None if running is None else running.url
            has_free_port = running is not None and running.has_free_port
            adapters = stack.enter_context(closing(Adapters(model, adapter, place, settings, transport)))
        if folder is not None:
            settling = Settling(
                model,
                adapter,
                settings=settings,
                latency=latency,
                transport=transport,
                services=[place] if place and (has_free_port or options.get("free_port")) else [],
                with_times=options.get("with_times", False),
            )
            keeper = Keeper(Path(folder), names, place, result.seed, max_commands, facts_of(model), settling)
            keeper.urls = [] if pool is None else pool.urls
        if pool is None:
            writer = None if keeper is None else stack.enter_context(keeper.writer())
            runner = Runner(plan, adapters, result.coverage, _listeners(keeper, writer))
        stack.enter_context(_old_left_alone())
        yield Campaign(
            result,
            Alone(runner) if pool is None else pool,
            options.get("watcher") or Silent(),
            keeper,
            writer,
            running,
            options.get("stop_on_fail", False),
            shrinks=budget.executions > 0,
            url=place,
        )


def _check(model: type[Model], max_runs: int, max_commands: int, seed: int | None, stutter: float) -> None:
    if max_runs < 1 or max_commands < 1:
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
