"""The pytest plugin: clients that are played from a bundle beside the test, and saved bugs that are tests themselves.

pytest loads this module in every session of everybody who has replaykit installed, so it imports nothing until a
fixture of it is used, or a bundle is met.
"""

import contextlib
import functools
import hashlib
import inspect
import re
from collections.abc import Generator, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

MODES = {
    "none": "play, and send nothing; a bundle that is not there is an error",
    "once": "record where there is no bundle yet, else play",
    "all": "never play: record everything, and replace the bundle when the test has passed",
    "rewrite": "remove the bundle first, then record",
    "verify": "send to the service, and fail where it answers otherwise than recorded",
}
CHOICES = {"replaykit_mode": ("live", "offline"), "replaykit_unjudged": ("error", "skip")}
_KEYS = ("path", "record", "order", "ignore", "headers_compared")  # of the marker
_LONGEST = 100  # characters of a file name

_recording = pytest.StashKey[Any]()
_expected = pytest.StashKey[bool]()  # is it an xfail that failed?
_ended = pytest.StashKey[BaseException | None]()  # what the test raised; absent where it never came to run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the command line and the configuration may say."""
    group = parser.getgroup("replaykit")
    group.addoption(
        "--replaykit-record",
        choices=list(MODES),
        help="; ".join(f"{mode}: {meaning}" for mode, meaning in MODES.items()) + ". It goes before the marker's.",
    )
    group.addoption("--replaykit-offline", action="store_true", help="replay saved bugs against their own cassettes")
    group.addoption(
        "--replaykit-url", metavar="URL", action="append", help="the service that saved bugs are replayed against"
    )
    group.addoption(
        "--replaykit-start",
        metavar="COMMAND",
        help="start that service with this command, {port} being a free port; each worker has one of its own",
    )
    group.addoption(
        "--replaykit-times",
        metavar="N",
        type=_times,
        help="how often a saved bug is replayed; auto: as often as its rate asks for",
    )
    group.addoption(
        "--replaykit-order",
        choices=["strict", "fifo", "any"],
        help="offline: how requests are found in the cassette of a saved bug",
    )
    parser.addini(
        "replaykit_bundles", "saved bugs that are tests: patterns of files, from the root folder", type="args"
    )
    parser.addini("replaykit_mode", "how saved bugs are replayed: live or offline", default="live")
    parser.addini("replaykit_unjudged", "what a saved bug is that can't be judged: error or skip", default="error")
    parser.addini("replaykit_lenient", "let pass that an open bug does not show any more", type="bool", default=False)


def _times(text: str) -> str:
    if text != "auto" and not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError
    return text


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "replaykit(path, record, order, ignore, headers_compared): a saved bug; at a test, where its bundle lies, and "
        "how it is used",
    )
    for name, words in CHOICES.items():
        if config.getini(name) not in words:
            raise pytest.UsageError(f"{name} is {config.getini(name)!r}; choose one of {', '.join(words)}.")
    is_placed = config.getoption("replaykit_url") or config.getoption("replaykit_start")
    is_offline = config.getoption("replaykit_offline")
    if is_offline and is_placed:
        raise pytest.UsageError(
            "--replaykit-offline needs no service, and --replaykit-url or --replaykit-start names one."
        )
    is_offline = is_offline or (config.getini("replaykit_mode") == "offline" and not is_placed)
    if config.getoption("replaykit_order") and not is_offline:
        raise pytest.UsageError("--replaykit-order says how a cassette is played: add --replaykit-offline.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Any:
    """Collect the bundles that `replaykit_bundles` means."""
    patterns = parent.config.getini("replaykit_bundles")
    if not any(means(pattern, file_path, parent.config.rootpath) for pattern in patterns):
        return None
    from replaykit.pytest_bundle import collected

    return collected(file_path, parent)


def means(pattern: str, path: Path, root: Path) -> bool:
    """Say whether a pattern means a file: `*.pd` by its name, `failures/*.pd` by its path from the root folder.

    `**` stands for any number of folders.
    """
    if "/" not in pattern:
        return fnmatchcase(path.name, pattern)
    return path.is_relative_to(root) and _fits(Path(pattern).parts, path.relative_to(root).parts)


def _fits(patterns: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not patterns or not parts:
        return not parts and all(each == "**" for each in patterns)
    if patterns[0] == "**":
        return _fits(patterns[1:], parts) or _fits(patterns, parts[1:])
    return fnmatchcase(parts[0], patterns[0]) and _fits(patterns[1:], parts[1:])


@pytest.fixture
def replaykit_options() -> dict[str, Any]:
    """Options of the client, as `replaykit.record` takes them; override this fixture to give some."""
    return {}


@pytest.fixture
def replaykit_recording(request: pytest.FixtureRequest, replaykit_options: dict[str, Any]) -> Iterator[Any]:
    """Give the bundle of this test at work; its `transport()` and `async_transport()` are for clients of your own."""
    from replaykit.errors import ReplaykitError

    item = request.node
    settings = _settings(item)
    path = bundle_path(item, settings.get("path"))
    told = ""
    try:
        recording, records = _made(path, settings, dict(replaykit_options))
        recording.start()
    except ReplaykitError as error:
        told = _told(error, path)
    if told:  # here, or pytest would tell the error twice
        pytest.fail(told, pytrace=False)
    item.stash[_recording] = recording
    failed = path.with_suffix(".failed.pd")
    try:
        yield recording
    finally:
        del item.stash[_recording]
        raised = item.stash.get(_ended, _NeverRanError())
        is_good = raised is None or item.stash.get(_expected, False)
        try:
            recording.finish(raised, None if is_good or not records else failed)
        except ReplaykitError as error:
            told = str(error)
        if told:
            pytest.fail(told, pytrace=False)
        if records and is_good:
            failed.unlink(missing_ok=True)


@pytest.fixture
def replaykit_client(replaykit_recording: Any) -> Any:
    """Give an `httpx.Client` that is played from the bundle of this test, or recorded into it."""
    return replaykit_recording.client


@pytest.fixture
def replaykit_async_client(replaykit_recording: Any) -> Any:
    """Give an `httpx.AsyncClient` that is played from the bundle of this test, or recorded into it."""
    return replaykit_recording.async_client


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a test fail by a miss that it swallowed, and by drift; know how it ended."""
    recording = item.stash.get(_recording, None)
    if recording is None:
        return (yield)
    test = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(test):
        item.obj = _resting(test, recording)  # type: ignore[attr-defined]
    try:
        result = yield
        recording.check()
    except BaseException as error:
        item.stash[_ended] = error
        raise
    item.stash[_ended] = None
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Know of a test that it was skipped in its middle, or failed as expected: what was recorded is to be played."""
    report = yield
    if call.when == "call" and _recording in item.stash:
        item.stash[_expected] = report.skipped
    return report


def _resting(test: Any, recording: Any) -> Any:
    """Wrap an async test, so that connections are closed in the event loop that they were opened in."""

    @functools.wraps(test)
    async def rested(*arguments: Any, **named: Any) -> Any:
        try:
            return await test(*arguments, **named)
        finally:
            await recording.rest()

    return rested


class _NeverRanError(Exception):
    """The test was not run, since something else in its setup failed."""


def bundle_path(item: Any, given: str | None = None) -> Path:
    """Return where the bundle of a test lies: `bundles/<module>/<test>.pd` beside its file, or as given there."""
    folder: Path = item.path.parent
    if given is not None:
        return folder / given
    names = [each.name for each in item.listchain() if isinstance(each, pytest.Class)]
    return folder / "bundles" / str(item.path.stem) / f"{file_name('.'.join([*names, item.name]))}.pd"


def file_name(test: str) -> str:
    """Return a file name for a test: its own where any file system takes that, else one with a digest in it."""
    safe = re.sub(r"[^A-Za-z0-9_.\[\]-]", "_", test)
    parameters = test.partition("[")[2]
    if safe == test and len(test) <= _LONGEST and parameters == parameters.lower():
        return test
    digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[:_LONGEST]}-{digest}"


def _settings(item: Any) -> dict[str, Any]:
    """Return what the markers say, the nearest first; what the command line says goes before."""
    settings: dict[str, Any] = {}
    for marker in item.iter_markers("replaykit"):
        given = dict(zip(_KEYS[:1], marker.args, strict=False)) | marker.kwargs
        unknown = sorted(set(given) - set(_KEYS))
        if unknown or len(marker.args) > 1:
            raise pytest.UsageError(f"pytest.mark.replaykit takes {', '.join(_KEYS)}, not {unknown or marker.args}.")
        settings = given | settings
    mode = item.config.getoption("replaykit_record") or settings.get("record", "none")
    if mode not in MODES:
        raise pytest.UsageError(f"There is no record mode {mode!r}; choose one of {', '.join(MODES)}.")
    return {**settings, "record": mode}


def _made(path: Path, settings: dict[str, Any], options: dict[str, Any]) -> tuple[Any, bool]:
    """Make what the mode asks for, and say whether it records."""
    from replaykit.cassette import finder
    from replaykit.recording import play, record, verify

    mode = settings["record"]
    finder(settings.get("order", "strict"))  # told also while recording
    if mode == "verify":
        rules = {key: settings[key] for key in ("ignore", "headers_compared") if key in settings}
        return verify(path, **rules, **options), False
    if mode == "none" or (mode == "once" and path.exists()):
        options.pop("transport", None)
        return play(path, order=settings.get("order", "strict"), **options), False
    if mode == "rewrite":
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return record(path, **options), True


def _told(error: Exception, path: Path) -> str:
    from replaykit.errors import MissingFileError

    if not isinstance(error, MissingFileError) or path.exists():
        return str(error)
    return f"There is no {path} to play.\nRecord it: run the test with the service at hand and --replaykit-record=once."
