"""Releases: the published versions of a Python package, as an axis, each in an environment of its own."""

import contextlib
import functools
import json
import os
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from replaykit import shelf
from replaykit.axis import Point
from replaykit.blame import Blame
from replaykit.claim import claims, erase, held, inherited
from replaykit.environments import Environments
from replaykit.errors import MachineError, UnbuildableError, UsageError
from replaykit.installer import Installer, variables
from replaykit.plan import Range

EXAMPLE = "Write a package and two versions, as in --versions radicale==3.0.0..3.2.3; an end may be left open."
MOST_TOLD = 12  # versions


class Span(NamedTuple):
    """A range of versions of a package; None is an end that was left open."""

    package: str
    extras: tuple[str, ...]
    old: Version | None
    new: Version | None

    def requirement(self, version: str) -> str:
        """Write one version as pip takes it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.package}{extras}=={version}"


def parse(text: str) -> Span:
    """Read `PACKAGE==OLD..NEW`, with extras or without. Raises UsageError."""
    named, equals, ends = text.partition("==")
    old, dots, new = ends.partition("..")
    package = _requirement(named, EXAMPLE)
    if not equals or not dots or package.url or package.marker or package.specifier:
        raise UsageError(f"{text!r} is no range of versions.", EXAMPLE)
    span = Span(package.name, tuple(sorted(package.extras)), _version(old), _version(new))
    if span.old is not None and span.new is not None and span.old >= span.new:
        raise UsageError(f"{text} does not go from an older version to a newer one.", EXAMPLE)
    return span


def _requirement(text: str, todo: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise UsageError(f"{text.strip()!r} is no name of a package.", todo) from None


def _version(text: str) -> Version | None:
    try:
        return Version(text) if text.strip() else None
    except InvalidVersion:
        raise UsageError(f"{text.strip()!r} is no version.", EXAMPLE) from None


class Releases:
    """The versions of a package in a range, and places in which they are installed."""

    axis: Literal["versions"] = "versions"

    def __init__(
        self,
        span: Span,
        *,
        python: str | None = None,
        with_: Sequence[str] = (),
        pre: bool = False,
        environments: Environments,
    ) -> None:
        """Take a range, and what is installed beside each version.

        `python` is the interpreter that makes the environments; the one that runs us, if it is None. With `pre`, the
        versions that are not final belong to the range too. Raises UsageError.
        """
        for requirement in with_:
            _requirement(requirement, "Write it as pip takes it, as in --with 'setuptools<80'.")
        self.span = span
        self._with = tuple(with_)
        self._program: str | None = None
        self._pre = pre
        self._installer = Installer(python)
        self._environments = environments

    @functools.cache  # noqa: B019  it lives as long as a bisect
    def points(self) -> list[Point]:
        """List the versions from old to new, both ends included.

        Raises UsageError where an end is not there, or fewer than two are left; MachineError where pip can't ask.
        """
        package, _, old, new = self.span
        wants_pre = self._pre or any(end is not None and end.is_prerelease for end in (old, new))
        names: dict[Version, str] = {}
        for name in self._installer.listed(package, pre=wants_pre):
            with contextlib.suppress(InvalidVersion):  # from before there were rules
                names[Version(name)] = name
        for end in (old, new):
            _expect(package, end, sorted(names))
        within = [
            version
            for version in sorted(names)
            if (old is None or version >= old)
            and (new is None or version <= new)
            and (self._pre or version in {old, new} or not version.is_prerelease)
        ]
        if len(within) < 2:  # noqa: PLR2004  the ends
            raise UsageError(
                f"There are not two versions of {package} in this range{f', only {within[0]}' if within else ''}.",
                f"For this Python there are {_some(sorted(names))}.",
            )
        return [Point(id=names[version], name=names[version]) for version in within]

    def require(self, start: str | None) -> None:
        """Hold that each version brings the program of the command that starts the service."""
        self._program = _program(start)

    @property
    def where(self) -> str:
        """The package."""
        return self.span.package

    @property
    def near(self) -> str:
        """The newest version of the range."""
        return self.points()[-1].id

    @property
    def far(self) -> str:
        """The oldest version of the range."""
        return self.points()[0].id

    def range(self) -> Range:
        """List what is searched."""
        return Range(self.points())

    def inside(self, point: Point) -> None:
        """Say that nothing is inside of a version."""
        del point

    def change(self, point: Point) -> None:
        """Say that it is not known what a version did."""
        del point

    def is_older(self, revision: str) -> bool:
        """Say that no commit comes before a version."""
        del revision
        return False

    def log(self, blame: Blame) -> None:
        """Say that git knows nothing of versions."""
        del blame

    def environment(self, version: str) -> Path:
        """Give the environment of a version, that is made where it is not there yet.

        Raises UnbuildableError where it can't be installed, MachineError where the machine or the index is to blame.
        """
        requirements = [self.span.requirement(version), *self._with]
        key = json.dumps(["version", self._installer.identity, requirements])
        folder = self._environments.made(key, lambda folder: self._installer.install(folder, requirements))
        self._require_program(folder, version)
        return folder

    def _require_program(self, environment: Path, version: str) -> None:
        """Hold that the service is started with what the version brings, not with what is installed elsewhere."""
        program = self._program
        if program is None or (environment / "bin" / program).exists():
            return
        elsewhere = shutil.which(program, path=variables().get("PATH"))
        if _PYTHON.fullmatch(program):
            raise UsageError(
                f"The start command runs {program}, which is not the Python that has the version.",
                "Write python in it, and name another Python with --python.",
            )
        if elsewhere is None or _is_python_script(Path(elsewhere)):
            raise UnbuildableError(
                f"{self.span.requirement(version)} has no program {program}"
                f"{f', and {elsewhere} is another installation' if elsewhere else ''}.",
                "Start it in a way that all versions have, or put what brings the program beside them, with --with.",
            )

    @contextlib.contextmanager
    def lane(self, number: int) -> Iterator["Lane"]:
        """Give a place for one version after the other; several may be used at once."""
        home = shelf.home() / "versions"
        for claim in claims(home):  # of bisects that were killed
            with inherited(claim, home) as left:
                if left is not None:
                    erase(left)
        folder = home / f"{number}-{secrets.token_hex(4)}"
        with held(folder, home):
            try:
                folder.mkdir(mode=0o700)
            except OSError as error:
                raise MachineError(f"{folder} can't be made: {error.strerror}.", "Is there room?") from None
            try:
                yield Lane(self, folder)
            finally:
                erase(folder)


_PYTHON = re.compile(r"python[\d.]*|pypy[\d.]*")


def _program(start: str | None) -> str | None:
    """Return the program that a command runs, if it is looked for on PATH."""
    try:
        [first, *_] = shlex.split(start or "")
    except ValueError:  # there is none; whoever starts it says so
        return None
    return None if "/" in first else first


def _is_python_script(path: Path) -> bool:
    """Say whether a program belongs to some Python: by its first line, or as one that pyenv stands before."""
    try:
        with path.open("rb") as program:
            begin = program.read(512)
    except OSError:
        return True
    return begin.startswith(b"#!") and (b"python" in begin.partition(b"\n")[0] or b"pyenv" in begin.lower())


class Lane:
    """A place for one version after the other: an environment, and a folder that is empty at first.

    It is not the user's folder, since Python would find their checkout there before the version.
    """

    def __init__(self, releases: Releases, folder: Path) -> None:
        """Take a folder that nobody else uses."""
        self._releases = releases
        self.folder = folder
        self.variables: Mapping[str, str] = variables()

    def lay(self, point: Point) -> None:
        """Have a version installed, and empty the folder. Raises UnbuildableError, MachineError."""
        environment = self._releases.environment(point.id)
        self.variables = {
            **variables(),
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "VIRTUAL_ENV": str(environment),
        }
        for left in self.folder.iterdir():
            if not erase(left):
                raise MachineError(
                    f"{left} can't be removed.", "It was left by the version before; see who still holds it."
                )


def _expect(package: str, wanted: Version | None, there: Sequence[Version]) -> None:
    """Hold that an end of the range is among what there is."""
    if wanted is None or wanted in there:
        return
    near = [*[each for each in there if each < wanted][-1:], *[each for each in there if each > wanted][:1]]
    raise UsageError(
        f"There is no version {wanted} of {package}: it was not published, or not for this Python, or withdrawn.",
        f"Nearest {'are' if len(near) > 1 else 'is'} {' and '.join(map(str, near))}.",
    )


def _some(versions: Sequence[Version]) -> str:
    told = [str(version) for version in versions]
    return ", ".join(told if len(told) <= MOST_TOLD else [*told[:3], "...", *told[-3:]]) or "none"
