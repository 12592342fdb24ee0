"""The pytest plugin: fixtures whose clients are played from a bundle beside the test, or recorded into it.

pytest loads this module in every session of everybody who has replaykit installed, so it imports nothing
until a fixture of it is used.
"""

import contextlib
import functools
import hashlib
import inspect
import re
from collections.abc import Generator, Iterator
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
_KEYS = ("path", "record", "order", "ignore", "headers_compared")  # of the marker
_LONGEST = 100  # characters of a file name

_recording = pytest.StashKey[Any]()
_expected = pytest.StashKey[bool]()  # is it an xfail that failed?
_ended = pytest.StashKey[BaseException | None]()  # what the test raised; absent where it never came to run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--replaykit-record`."""
    parser.getgroup("replaykit").addoption(
        "--replaykit-record",
        choices=list(MODES),
        help="; ".join(f"{mode}: {meaning}" for mode, meaning in MODES.items()) + ". It goes before the marker's.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "replaykit(path, record, order, ignore, headers_compared): where the bundle of a test lies, and how it is used",
    )


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
