"""Sample: one interaction, read as one use of an API; and which interactions are none.

What a browser records is mostly not the API: pages, scripts, pictures, questions to other hosts. What is left out is
counted, with the reason, since a description that leaves something out silently is not to be trusted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from replaykit.coding import unpacked
from replaykit.errors import UsageError
from replaykit.gist import json_of
from replaykit.interaction import Headers, Interaction, header
from replaykit.value import JsonData

Session: TypeAlias = Sequence[Interaction]  # what was sent one after the other, in this order

METHODS = ("get", "post", "put", "patch", "delete")  # that an API has operations for; others ask about it
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MISSING = frozenset({404, 405, 410})  # statuses of what is not there
MOST_PARTS = 60  # of a path, and of what stands before it
FIRST_REFUSAL = 400  # of the statuses that say that the request was not done (RFC 9110, section 15.5)

_PORTS = {"http": 80, "https": 443}
_PAGE = ("text/html", "text/css", "application/javascript", "text/javascript", "application/wasm", "application/xhtml")
_MEDIA = ("image/", "font/", "audio/", "video/", "application/font", "application/x-javascript")
_FILES = (".js", ".mjs", ".css", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".woff", ".woff2",
          ".ttf", ".html", ".htm", ".webmanifest")  # fmt: skip


class Sample(NamedTuple):
    """One use of an API."""

    session: int
    method: str  # in lower case
    parts: tuple[str, ...]  # of the path, as they were sent: `/a/b` has a and b, `/a/` has a and an empty one
    query: tuple[tuple[str, str], ...]
    headers: Headers
    form: str  # media type of the body, in lower case; empty where there is none
    body: JsonData  # None where it is no JSON, nor a form
    status: int
    answer_form: str
    answer: JsonData
    location: str

    @property
    def is_accepted(self) -> bool:
        """Whether the service did what was asked."""
        return self.status < FIRST_REFUSAL


class Selection(NamedTuple):
    """The samples of one host, and what is none."""

    origin: str  # scheme, host and port
    samples: tuple[Sample, ...]
    left_out: dict[str, int]  # how many, by reason
    others: tuple[str, ...]  # hosts, the busiest first


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, in lower case, without the port that the scheme has anyway."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    plain = _PORTS.get(parts.scheme.lower())
    return f"{parts.scheme.lower()}://{host}{'' if parts.port in {None, plain} else f':{parts.port}'}"


def select(sessions: Sequence[Session], host: str | None = None) -> Selection:
    """Take what was said to one host, and is about its API: to `host`, or to the one that has most of that.

    `host` may be a name, a name with a port, or a URL. Raises UsageError where nothing was said to it, or there is
    no API in what was.
    """
    listed = [(number, each) for number, session in enumerate(sessions) for each in session]
    busy: Counter[str] = Counter({origin_of(each.request.url): 0 for _, each in listed})
    busy.update(origin_of(each.request.url) for _, each in listed if not reason_of(each))
    ranked = sorted(busy, key=lambda each: (-busy[each], each))
    chosen = next((each for each in ranked if host is None or _is(each, host)), None)
    if chosen is None:
        known = ", ".join(ranked[:8])
        raise UsageError(f"Nothing was sent to {host}.", f"Hosts in this traffic: {known or 'none'}.")
    samples, left_out = [], Counter[str]()
    for session, each in listed:
        reason = "to other hosts" if origin_of(each.request.url) != chosen else reason_of(each)
        if reason:
            left_out[reason] += 1
        else:
            samples.append(_sample(session, each))
    if not samples:
        said = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise UsageError(
            f"There is no use of an API in this traffic: {said or 'it is empty'}.", "Name its host with --host."
        )
    others = tuple(each for each in ranked if each != chosen and busy[each])
    return Selection(chosen, tuple(samples), dict(sorted(left_out.items())), others)


def _is(origin: str, host: str) -> bool:
    if "://" in host:
        return origin == origin_of(host)
    parts = urlsplit(origin)
    return host.lower() in {parts.netloc, parts.hostname, f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"}


def reason_of(interaction: Interaction) -> str:
    """Say why an interaction is no use of an API; nothing where it is one."""
    request, response = interaction.request, interaction.response
    if response is None or interaction.tampered:
        return "without an answer of the service"
    if request.url.count("/") > MOST_PARTS:
        return "with paths too long for an API"
    if request.method.lower() == "options":
        return "preflights"
    if request.method.lower() not in METHODS:
        return "with other methods"
    if 100 <= response.status < 200:  # noqa: PLR2004  RFC 9110, section 15.2
        return "that became another protocol"
    if 300 <= response.status < FIRST_REFUSAL:  # noqa: PLR2004  RFC 9110, section 15.4
        return "redirects, and what was not modified"
    form = media_type(response.headers)
    if form == "text/event-stream":
        return "streams"
    if request.method.lower() == "get":
        name = urlsplit(request.url).path.lower()
        if form.startswith((*_PAGE, *_MEDIA)) or (name.endswith(_FILES) and "json" not in form):
            return "pages, and the files of pages"
    return ""


def media_type(headers: Headers) -> str:
    """Return the media type of a body, in lower case and without its parameters; nothing where none is said."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


def _sample(session: int, each: Interaction) -> Sample:
    request, response = each.request, each.response
    assert response is not None  # noqa: S101  it was looked at in `reason_of`
    url, form = urlsplit(request.url), media_type(request.headers)
    body: JsonData = None
    if request.body and request.cut is None:
        if form == FORM:
            body = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        else:
            body = json_of(request.headers, unpacked(request.headers, request.body))
    is_whole = response.complete and response.cut is None
    answer = json_of(response.headers, unpacked(response.headers, response.body)) if is_whole else None
    return Sample(
        session=session,
        method=request.method.lower(),
        parts=tuple(url.path.lstrip("/").split("/")),
        query=tuple(parse_qsl(url.query, keep_blank_values=True)),
        headers=request.headers,
        form=(form or ("application/json" if body is not None else "application/octet-stream")) if request.body else "",
        body=body,
        status=response.status,
        answer_form=(media_type(response.headers) or ("application/json" if answer is not None else ""))
        if response.body
        else "",
        answer=answer,
        location=header(response.headers, "location") or "",
    )


def accepted(samples: Iterable[Sample]) -> list[Sample]:
    """List the samples that the service took; all where it took none, since nothing better is known."""
    listed = list(samples)
    return [each for each in listed if each.is_accepted] or listed
