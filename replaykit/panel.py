"""The panel: a suite judged in several processes, each with a sitting, and so with a service, of its own.

Bundles of one stage are judged before those of the next, since a process has one service at a time. What a process
dies of is the fault of one bundle, which is told so; the others are judged by a new process.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from secrets import token_hex

from replaykit import hand
from replaykit.docket import Entry
from replaykit.sitting import Brief, Group, Sitting, lost
from replaykit.suite import Saved
from replaykit.worker import Process


def judged(brief: Brief, groups: Sequence[Group], jobs: int) -> Generator[Entry, None, None]:
    """Judge in so many processes; what is told comes in the order of the bundles."""
    key = token_hex(8)
    workers = [Process(str(number)) for number in range(jobs)]
    briefs = {worker.name: (f"{key}-{number}", replace(brief, number=number)) for number, worker in enumerate(workers)}
    try:
        for group in groups:
            waiting = deque(enumerate(group.saved))
            idle = deque(workers[: group.lanes])
            busy: dict[Future[Entry], tuple[Process, int]] = {}
            done: dict[int, Entry] = {}
            told = 0
            while waiting or busy:
                while waiting and idle:
                    worker, (place, saved) = idle.popleft(), waiting.popleft()
                    busy[worker.submit(judge, *briefs[worker.name], saved)] = worker, place
                for future in wait(busy, return_when=FIRST_COMPLETED).done:
                    worker, place = busy.pop(future)
                    error = future.exception()
                    if error is None:
                        done[place] = future.result()
                    elif worker.is_lost(error):
                        worker.renew()
                        done[place] = lost(group.saved[place])
                    else:
                        raise error
                    idle.append(worker)
                while told in done:
                    yield done[told]
                    told += 1
    finally:
        for worker in workers:
            worker.leave()
        for worker in workers:
            worker.close()


def judge(key: str, brief: Brief, saved: Saved) -> Entry:
    """Judge a bundle in a process of its own, by the sitting that this has under a key."""
    return hand.kept(key, lambda: Sitting(brief)).judge(saved)
