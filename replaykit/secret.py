"""Secrets: the names that hold them, what they look like wherever they stand, and the rules of a project.

A name is read as words (`X-Api-Key`, `apiKey` and `api_key` are the same two), so that `token` is one and `tokens: 5`,
`next_token`, `token_type` and `author` are none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from replaykit.disguise import base64_around, wire_text
from replaykit.errors import RedactionError
from replaykit.hint import hint
from replaykit.value import JsonData

Weight: TypeAlias = Literal["secret", "token", "guarded", "digits", "kept", ""]
# secret: whatever stands below it, numbers too; token: texts and lists of texts; guarded: only what looks like one;
# digits: numbers, and texts of digits

SHORTEST = 8  # characters of a value that is looked for in other places too
SHORTEST_GIVEN = 4  # of one that the configuration names

# --- names --------------------------------------------------------------------------------------

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_SECRET = (
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "private key", "credential", "credit card",
    "card number", "cvv", "cvc", "security code", "ssn", "social security number", "one time password",
)  # fmt: skip
_TOKEN = (
    "token", "jwt", "api key", "apikey", "access key", "account key", "auth key", "signing key", "session id",
    "session key", "sessid", "sid", "csrf", "xsrf", "signature", "sig", "bearer", "cookie",
)  # fmt: skip
_GUARDED = ("authorization", "auth", "session")
_DIGITS = ("pin", "otp")
_GLUED: dict[str, Weight] = {
    "password": "secret", "passwd": "secret", "secret": "secret", "secretkey": "secret", "privatekey": "secret",
    "passphrase": "secret", "cardnumber": "secret", "token": "token", "apikey": "token", "accesskey": "token",
    "sessionid": "token", "sessid": "token",
}  # fmt: skip
_HARMLESS_LAST = frozenset(  # words after which a name is not that of a secret
    "type count name expire expiry expiration length limit policy hint url uri endpoint at in status usage scope "  # noqa: SIM905
    "remaining require valid version algorithm method format strength reset changed per budget size".split()
)
_HARMLESS_FIRST = set("page continuation cursor sync has is no max min num total use show".split())  # noqa: SIM905
_NEIGHBOURS = frozenset(("next", "prev", "previous"))  # a token of the next page is none, a previous password is one
_HOLDERS = frozenset("user db database admin smtp ftp redis mysql postgres pg my".split())  # noqa: SIM905  of a pass
_INNER = frozenset("value val v raw access refresh".split())  # noqa: SIM905  keys of an object that is a token


@lru_cache(maxsize=8192)
def weight_of(name: str) -> Weight:
    """Say what a name lets one expect of its value."""
    words = [_singular(word.lower()) for word in _WORDS.findall(name[:200])]
    if not words or words[0] in _HARMLESS_FIRST or words[-1] in _HARMLESS_LAST:
        return ""
    spaced, joined = f" {' '.join(words)} ", "".join(words)
    if words[-1] == "id" and words[-2:] != ["session", "id"]:
        return ""
    if words[0] in _NEIGHBOURS and not any(f" {phrase} " in spaced for phrase in _SECRET):
        return ""
    kinds: tuple[tuple[Weight, tuple[str, ...]], ...] = (
        ("secret", _SECRET), ("token", _TOKEN), ("guarded", _GUARDED), ("digits", _DIGITS),
    )  # fmt: skip
    for weight, phrases in kinds[:2]:
        if any(f" {phrase} " in spaced for phrase in phrases):
            return weight
    for ending, weight in _GLUED.items():
        if joined.endswith(ending):
            return weight
    for weight, phrases in kinds[2:]:
        if words[-1] in phrases:
            return weight
    return "secret" if joined == "pass" or (words[-1] == "pass" and words[0] in _HOLDERS) else ""


@lru_cache(maxsize=2048)
def weight_below(weight: Weight, key: str) -> Weight:
    """Say what to expect under a key of an object that stands itself under a name of this weight."""
    words = [_singular(word.lower()) for word in _WORDS.findall(key[:200])]
    if weight in {"secret", "digits"} or not words:
        return weight
    if words[0] in _HARMLESS_FIRST or words[-1] in _HARMLESS_LAST:
        return ""
    return "token" if len(words) == 1 and words[0] in _INNER else "guarded"


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word  # noqa: PLR2004


_NO_HEADER = re.compile(r"access-control-|content-security|sec-websocket|www-auth|x-ratelimit", re.IGNORECASE)


def weight_of_header(name: str, weight: Weight) -> Weight:
    """Say what to expect of a header whose name has this weight; cookies are looked at one by one."""
    return "" if _NO_HEADER.match(name) else "token" if weight == "guarded" else weight


_STEMS = re.compile(  # of all names above, in lower case
    "p(?:ass|wd|in|rivate)|s(?:ec|ess|sn|ig|id|oci)|tok|key|auth|c(?:red|ook|ard|v[vc]|srf)|otp|one|xsrf|jwt|bear"
)

# --- patterns -----------------------------------------------------------------------------------

_BEGINNINGS = (  # of what _PATTERNS finds, by a character that they have and most texts do not
    (
        "_",
        [
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "sk_",
            "rk_",
            "whsec_",
            "npm_",
            "hf_",
            "dop_v1_",
            "shp",
        ],
    ),
    ("-", ["PRIVATE KEY", "glpat-", "xox", "xapp-", "pypi-", "sk-"]),
    ("@", ["://"]),
    ("", ["eyJ", "AKIA", "ASIA", "AIza", "ya29.", "earer ", "asic ", "SG.", "ccessKey=", "AccountKey=", "hvs."]),
    ("", ["ecret", "ECRET"]),
)
_PATTERNS = re.compile(
    r"""
    (?P<pem>-----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----(?:[A-Za-z0-9+/=\s\\:,.%_]|-(?!----))*
        (?:-----END\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----)?)
  | (?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%20)|(?<=%3D)|(?<=%3d))
    (?P<jwt>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)
  | (?P<aws_key>(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9]))
  | (?i:aws[a-z_-]{0,20}secret[a-z_-]{0,20}["'\\]{0,2}\s{0,4}[=:]\s{0,4}["'\\]{0,2})
    (?P<aws_secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])
  | (?P<github>(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}))
  | (?P<gitlab>glpat-[A-Za-z0-9_-]{20,64})
  | (?P<slack>xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[0-9]-[A-Za-z0-9-]{10,250})
  | (?P<stripe>(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,247}|whsec_[A-Za-z0-9+/=]{32,64})
  | (?P<google>AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,500})
  | (?P<npm>npm_[A-Za-z0-9]{36})
  | (?P<pypi>pypi-AgE[A-Za-z0-9_-]{50,500})
  | (?P<huggingface>(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34,64})
  | (?P<api_key>(?<![A-Za-z0-9])sk-(?:proj-|ant-|svcacct-)?[A-Za-z0-9_-]{32,250})
  | (?P<sendgrid>SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64})
  | (?:AccountKey=|SharedAccessKey=)(?P<azure>[A-Za-z0-9+/]{40,100}={0,2})
  | (?P<digitalocean>dop_v1_[a-f0-9]{64})
  | (?P<shopify>shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})
  | (?P<vault>hvs\.[A-Za-z0-9_-]{24,200})
  | (?<=://)[^\s/?\#@:"'\\<>]{0,256}:(?P<password>[^\s/?\#@"'\\<>]{1,256})@(?=[\w\[])
  | (?<![A-Za-z0-9])[Bb]earer\ {1,4}(?P<bearer>[A-Za-z0-9._~+/-]{8,4096}={0,2})
  | (?<![A-Za-z0-9])[Bb]asic\ {1,4}(?P<basic>[A-Za-z0-9+/]{8,1024}={0,2})
    """,
    re.VERBOSE,
)
_CARD = re.compile(
    r"(?<![\w.+-])(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|3[47]\d{2}|6(?:011|5\d{2}|4[4-9]\d)|35[2-8]\d)"
    r"(?:[ -]?\d{4}){2}[ -]?\d{4}(?!\w|[.-]\d)"
    r"|(?<![\w.+-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?!\w|[.-]\d)"
)
_DIGITS_IN_GROUPS = re.compile(r"[2-6][0-9]{3}[ -]?[0-9]{4}(?:[ -]?[0-9]{4}|[0-9]{2}[ -]?[0-9]{5})")
_BARE = re.compile(r"[\[:,]\s*\Z")


def looks(text: str) -> list[tuple[str, int, int]]:
    """Find what looks like a secret, whatever it is called: a label, the start and the end of each."""
    found = []
    if any([one in text for mark, each in _BEGINNINGS if mark in text for one in each]):  # noqa: C419  a list is faster
        for match in _PATTERNS.finditer(text):
            label = match.lastgroup or "value"
            start, end = match.span(label)
            value = text[start:end]
            if (label == "bearer" and is_word(value)) or (label == "basic" and not _is_basic(value)):
                continue
            found.append((label, start, end))
    if not _DIGITS_IN_GROUPS.search(text):
        return found
    is_json = text.lstrip()[:1] in {"{", "["}
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        bare = is_json and _BARE.search(text[max(0, match.start() - 8) : match.start()])
        if is_luhn(digits) and not bare:  # a number of JSON is an id, unless its key says otherwise
            found.append(("card", *match.span()))
    return found


def is_luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of the others (ISO/IEC 7812-1), and they are not all alike."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number  # noqa: PLR2004
    return total % 10 == 0 and len(set(digits)) > 1


def _is_basic(text: str) -> bool:
    found = base64_around(text, 0, len(text))
    return found is not None and ":" in found[2] and found[2].isprintable()


def is_word(value: str) -> bool:
    """Say whether a value is a plain word, which stands in too many places that have nothing to do with it."""
    return value.isalpha() and len(value) < 2 * SHORTEST


def is_telling(value: str) -> bool:
    """Say whether a value that was found by its name is looked for in other places too."""
    if len(value) < SHORTEST or is_word(value):
        return False
    return not value.isdigit() or len(value) >= 12  # noqa: PLR2004  a date, an amount, an id


_REF = re.compile(r"[A-Za-z_]\w*@\d+")
_SCHEME = re.compile(r"(?i:bearer|basic|digest|token|apikey|negotiate|aws4-hmac-sha256)\s")


def is_secret_value(weight: Weight, value: str) -> bool:
    """Say whether a value that stands under a name of this weight is a secret."""
    if not value or weight in {"", "kept"} or _REF.fullmatch(value):
        return False
    if weight == "digits":
        return value.isascii() and value.isdigit() and 3 <= len(value) <= 12  # noqa: PLR2004
    if weight == "guarded":
        return bool(_SCHEME.match(value)) or (len(value) >= 16 and " " not in value and not is_word(value))  # noqa: PLR2004
    return value.lower() not in {"true", "false", "null", "none", "undefined"} and any(map(str.isalnum, value))


# --- the rules of a project ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policy:
    """What a project says of its secrets: `[tool.replaykit.redact]` in its pyproject.toml."""

    given: tuple[tuple[str, str], ...] = ()  # label and value of secrets that are known beforehand, as wire text
    variables: tuple[str, ...] = ()  # of the environment, that hold secrets
    names: frozenset[str] = frozenset()  # more names of secrets
    kept: frozenset[str] = frozenset()  # names that are none
    enabled: bool = True

    def weight(self, name: str) -> Weight:
        """Say what a name lets one expect of its value in this project."""
        if self.names or self.kept:
            plain = _plain(name)
            if plain in self.kept:
                return "kept"
            if plain in self.names:
                return "secret"
        return weight_of(name)

    def hints(self, text: str) -> bool:
        """Say quickly whether one of the names may stand in a text, which is in lower case."""
        if _STEMS.search(text):
            return True
        return bool(self.names) and any(map(_plain(text).__contains__, self.names))


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


_KEYS: dict[str, type] = {"env": list, "values": list, "keys": list, "keep": list, "enabled": bool}
PREFIX = "REPLAYKIT_SECRET_"


def policy_of(settings: Mapping[str, JsonData], environment: Mapping[str, str], place: str) -> Policy:
    """Read `[tool.replaykit.redact]`, and take values from the environment. Raises RedactionError."""
    for key, value in settings.items():
        if key not in _KEYS:
            raise RedactionError(
                f"[tool.replaykit.redact] in {place} has an unknown key {key!r}.",
                hint(key, _KEYS, f"Known keys: {', '.join(_KEYS)}."),
            )
        is_list = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
        if not (is_list if _KEYS[key] is list else isinstance(value, bool)):
            wanted = "a list of texts" if _KEYS[key] is list else "true or false"
            raise RedactionError(f"[tool.replaykit.redact] in {place}: {key} is not {wanted}.", "Mend it.")
    variables = tuple(settings.get("env", ()))
    given = [(name, environment.get(name, "")) for name in variables]
    given += [
        (name.removeprefix(PREFIX).lower(), value) for name, value in environment.items() if name.startswith(PREFIX)
    ]
    given += [("value", value) for value in settings.get("values", ())]
    for label, value in given:
        if 0 < len(value) < SHORTEST_GIVEN:
            raise RedactionError(
                f"The secret {label} has fewer than {SHORTEST_GIVEN} characters, and would be found everywhere.",
                "Use a longer one for tests, or do not name it.",
            )
    return Policy(
        given=tuple((label, wire_text(value)) for label, value in given if value),
        variables=variables,
        names=frozenset(_plain(name) for name in settings.get("keys", ())),
        kept=frozenset(_plain(name) for name in settings.get("keep", ())),
        enabled=settings.get("enabled", True),
    )
