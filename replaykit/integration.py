"""Integration: a campaign of runs against a live service; every failure is saved first, and shrunk then.

    result = integration.run(model=Leaderboard, adapter=LeaderboardApi, base_url="http://127.0.0.1:4600")

The whole campaign follows from one seed: run i has the seed that `source.derive(seed, i)` gives.
"""

import gc
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from replaykit.adapter import Adapter, Adapters, Mock
from replaykit.campaign import Campaign
from replaykit.coverage import checked
from replaykit.crew import Alone
from replaykit.errors import DefinitionError, UsageError
from replaykit.finding import Silent, Watcher
from replaykit.generate import Parallel
from replaykit.keeper import Keeper, facts_of, made
from replaykit.latency import budgets_of
from replaykit.model import Model
from replaykit.result import Result
from replaykit.runner import Listeners, Plan, Runner
from replaykit.settling import Settling
from replaykit.shrink import Budget
from replaykit.transport import Way
from replaykit.writer import Writer

MAX_SEED = 1 << 32
REPEAT = 10  # runs of one sequence that ends in branches


def run(
    *,
    model: type[Model],
    adapter: type[Adapter[Any]],
    base_url: str | None = None,
    max_runs: int = 100,
    max_commands: int = 50,
    seed: int | None = None,
    health_check: str | None = None,
    save_failures: str | Path | None = None,
    stop_on_fail: bool = False,
    swarm: bool = False,
    settings: Mapping[str, str] | None = None,
    latency: Mapping[str, float] | None = None,
    transport: Way = "lean",
    budget: Budget | None = None,
    watcher: Watcher | None = None,
    names: tuple[str, str] | None = None,
    parallel: Parallel | None = None,
    repeat: int = REPEAT,
    stutter: float = 0.0,
    require_coverage: Mapping[str, float] | None = None,
    with_times: bool = False,
    free_port: bool = False,
) -> Result:
    """Run up to `max_runs` sequences of up to `max_commands` commands, and return what was found.

    `adapter=Mock` runs the model against itself, without a service. `health_check` is a path, a URL with
    `{url}` in it, or "none". `save_failures` names a folder for bundles. `names` says how bundles name
    model and adapter, where the class names alone would not find them. `swarm` leaves a random part of the
    model's commands out of each run. `latency` says what endpoints may take, in seconds: {"GET /players": 0.2}.
    `transport="httpx"` sends plain HTTP through httpx's transport too.
    `require_coverage` says how many percent must be covered for a success:
    {"commands": 100, "checks": 100, "outcomes": 90, "transitions": 50}.
    Raises UsageError, DefinitionError, UnreachableError. Ctrl-C ends the campaign: the result says
    `interrupted`. `budget` says how long shrinking of each failure may go on; with 0 executions nothing is shrunk.
    `parallel` lets each sequence end in branches that are sent at the same time; it is run up to `repeat` times then.
    `stutter` is how often an idempotent command is sent again. Bundles are saved in the canonical form, without what
    differs from one saving to the next, unless `with_times`, or a bug does not show offline without it; `free_port`
    says that the port of `base_url` differs.
    """
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
    if parallel is not None:
        _check_parallel(model, adapter, parallel, repeat)
    if not 0 <= stutter <= 1:
        raise UsageError(f"The probability of stutter is {stutter:g}.", "Give a number from 0 to 1.")
    if stutter and not any(command.idempotent for command in model.commands):
        raise DefinitionError(
            f"{model.__name__} has no command that may be sent again.",
            "Say so of those that may: class Credit(Command, idempotent=True).",
        )
    if adapter is Mock and save_failures is not None:
        raise UsageError("A run without a service has no bugs of a service to save.", "Leave out the folder.")
    if save_failures is not None:
        made(Path(save_failures))
    result = Result(
        model=model,
        adapter=adapter,
        budgets=tuple((budgets := budgets_of(model, adapter, latency or {})).names),
        seed=random.SystemRandom().randrange(MAX_SEED) if seed is None else seed,
        max_runs=max_runs,
        required=checked(require_coverage or {}),
    )
    budget = budget or (Budget.for_races() if parallel else Budget())
    plan = Plan(result.seed, max_commands, budgets, budget, parallel, repeat, stutter, swarm)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            adapters = stack.enter_context(closing(Adapters(model, adapter, base_url, dict(settings or {}), transport)))
            stack.enter_context(_old_left_alone())
            keeper = writer = None
            if save_failures is not None:
                settling = Settling(
                    model,
                    adapter,
                    settings=settings,
                    latency=latency,
                    transport=transport,
                    services=[base_url] if free_port and base_url else [],
                    with_times=with_times,
                )
                named = names or (_name_of(model), _name_of(adapter))
                facts = facts_of(model)
                keeper = Keeper(Path(save_failures), named, base_url, result.seed, max_commands, facts, settling)
                writer = stack.enter_context(keeper.writer())
            runner = Runner(plan, adapters, result.coverage, _listeners(keeper, writer))
            campaign = Campaign(
                result,
                Alone(runner),
                watcher or Silent(),
                keeper,
                writer,
                base_url,
                health_check,
                stop_on_fail,
                shrinks=budget.executions > 0,
            )
            deque(campaign.go(), maxlen=0)
    except KeyboardInterrupt as interrupt:
        result.interrupted = interrupt
    finally:
        result.duration = time.monotonic() - began
    return result


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
