"""Look: may what is shown of a thing say that it has ended, or is hidden?

Then lists may leave it out, and what was removed may go on being shown. A member may say so by its name (`deleted_at`,
`public`), or by one of the words of its enum (`archived`). A status none of whose words means that says nothing of the
kind; one whose words nobody knows may.
"""

import re
from collections.abc import Iterable

from replaykit.openapi.description import Description
from replaykit.openapi.schema import whole, without_null
from replaykit.openapi.word import snake

_FADING = re.compile(r"delet|archiv|activ|remov|cancel|trash|enabled|disabled|visib")
_HIDING = re.compile(
    r"public|publish|draft|hid(e|den)|private|secret|listed|approv|moderat|review|complet|done|clos|resolv|sold|"
    r"availab|expir|valid|until|spam|block|banned|suspend|confirm|verif|accept|pending"
)
_STATUS = re.compile(r"status|state")
_ENDED = re.compile(
    r"abandon|abort|ann?ul|bann|borra|captur|clear|consum|dead|declin|denied|deprec|destroy|discard|dismiss|dormant|"
    r"dropp|elimin|ended|expung|fail|finish|forgot|fulfil|gelö|geloe|gone|ignor|inact|invalid|laps|lock|lost|merged|"
    r"obsolete|paid|purg|refund|refus|reject|releas|replac|retir|return|revers|revok|settl|skip|stopp|storn|supersed|"
    r"suppr|terminat|undone|unsub|vacant|void|withdr|(^|[^a-z])(left|none|off|old|other|out|past|unknown|used)([^a-z]|$)"
)


def may_fade(description: Description, pointers: Iterable[tuple[str, str]]) -> bool:
    """Say whether one of some members, each with its name and the place of its schema, may tell of an end."""
    return any(_tells(description, name, pointer, _FADING) for name, pointer in pointers)


def may_hide(description: Description, pointers: Iterable[tuple[str, str]]) -> bool:
    """Say whether one of some members may tell that a thing is left out of lists: since it has ended, or is hidden."""
    return any(
        _tells(description, name, pointer, _FADING) or _HIDING.search(snake(name)) is not None
        for name, pointer in pointers
    )


def _tells(description: Description, name: str, pointer: str, names: re.Pattern[str]) -> bool:
    words = _words(description, pointer)
    if words is None:
        return any(each.search(snake(name)) for each in (names, _STATUS))
    means = any(each.search(word.casefold()) for each in (_FADING, _HIDING, _ENDED) for word in words)
    return means or names.search(snake(name)) is not None


def _words(description: Description, pointer: str) -> list[str] | None:
    """List the words that a member may be; None where it may be anything else."""
    schema = without_null(description, whole(description, pointer))
    known = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(known, list) and known and all(isinstance(each, str) for each in known):
        return known
    return None
