"""Traffic: what was recorded of a service, as an OpenAPI 3.1 document of it.

Theory of operation. A recording shows uses, and a description says what can be used; the way from one to the other is
induction, so it is gone in small steps that each say what they rest on: `sample` takes what is about the API, `route`
finds the templates of its paths, `descent` what came from earlier answers, `shape` what values have in common,
`credential` how a client says who it is, `title` what things are called, and `document` puts it together.

The document is marked with `x-replaykit-observed: true`: what is not in it was not seen, which is not the same as
wrong. Secrets are covered before anything is looked at, and neither they nor anybody's own texts get into it.

In which order the recordings are given changes nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from replaykit import importing
from replaykit.archive import unpacked
from replaykit.errors import ForeignFileError
from replaykit.interaction import Interaction
from replaykit.reader import BEGINNING, read_bytes
from replaykit.redact import Redactor
from replaykit.secret import Policy
from replaykit.traffic.document import Described, document_of
from replaykit.traffic.sample import Session, select


def sessions(paths: Sequence[Path]) -> list[Session]:
    """Read recordings: HAR archives, cassettes of vcrpy and its relatives, bundles; also packed.

    What brought a service back to its beginning before a run is none of its uses, and is left out of a bundle.
    Raises MissingFileError, BundleError and ForeignFileError.
    """
    return [_session(path) for path in paths]


def _session(path: Path) -> Session:
    content = importing.taken(path)
    if not content.strip():
        raise ForeignFileError(f"{path} is empty.", "Name a HAR archive, a cassette or a bundle.")
    found = unpacked(content, str(path))
    if not found.startswith(BEGINNING):
        return importing.parsed(content, str(path)).trace.interactions()
    trace = read_bytes(found, str(path)).trace
    return trace.replace(resetting=()).interactions()


def describe(
    recorded: Sequence[Session], *, host: str | None = None, title: str | None = None, policy: Policy | None = None
) -> Described:
    """Describe the API that recordings show: that of `host`, or of the host with most uses of one.

    Raises UsageError where there is none.
    """
    policy = replace(policy or Policy(), enabled=True)  # nobody needs them to know what an API is
    ordered = list({_digest(session): session for session in sorted(recorded, key=_digest)}.values())
    redactor = Redactor(policy)
    redactor.look_at(each for session in ordered for each in session)
    covered = [[redactor.interaction(each) for each in session] for session in ordered]
    return document_of(select(covered, host), title, policy)


def _digest(session: Session) -> str:
    """Return what a session is ordered by: what was said in it, and not the file that it stands in."""
    digest = hashlib.sha256()
    for each in session:
        digest.update(_said(each))
    return digest.hexdigest()


def _said(each: Interaction) -> bytes:
    request, response = each.request, each.response
    told = "" if response is None else f"{response.status} {response.headers!r} {response.body!r}"
    return f"{request.method} {request.url} {request.headers!r} {request.body!r} {told}\n".encode("utf-8", "replace")
