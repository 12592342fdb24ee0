"""A script in Python that needs httpx and nothing of ours: it sends what was sent, and exits as a replay does.

Nothing that a bundle says becomes code: texts from it stand in literals alone, written by `ascii`.
"""

from pathlib import Path

from replaykit.bundle import Bundle
from replaykit.export import judge
from replaykit.export.claims import Claim
from replaykit.export.plan import Ask, Plan, plan_of
from replaykit.export.template import Hole, Template
from replaykit.version import __version__

_HEAD = '''\
#!/usr/bin/env python3
"""{purpose}

    python {file} [URL]

URL is where the service is{default}; the variable URL does as well. It needs httpx.

{codes}

Written by replaykit {version}.
"""

'''

_CODES = """\
Exit codes: 1 the bug is still there, 0 it is gone, 125 it can't be judged here (the service can't be reached, or
answers otherwise before it comes to that), 129 wrong arguments, 130 Ctrl-C."""

_CODES_OF_RECORDING = """\
Exit codes: 0 all is answered as recorded, 1 something is not, 125 it can't be judged here (the service can't be
reached), 129 wrong arguments, 130 Ctrl-C."""

_CODES_OF_FAULTS = """\
Exit codes: 125 it can't be judged by a script, 129 wrong arguments, 130 Ctrl-C."""

_SERVICE = '''

class Service:
    """The service that is asked, at its URL, and others that it works with."""

    def __init__(self, bases: list[str]) -> None:
        import httpx

        self.errors = httpx.HTTPError
        self.request = httpx.Request
        self.bases = bases
        self.client = httpx.Client(trust_env=False, timeout=30.0)

    def ask(
        self, what: str, method: str, base: int, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        """Send a request, and return its answer."""
        pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
        place = re.sub(r"^[a-z]+://[^/?#]*", "", self.bases[base]) + target
        exact = {"target": (place if place.startswith("/") else f"/{place}").encode("ascii")}
        try:
            request = self.request(method, self.bases[base] + target, headers=pairs, content=body, extensions=exact)
            response = self.client.send(request)
        except self.errors as error:
            raise NotJudgedError(f"{what} was not answered: {type(error).__name__}: {str(error)!a}") from None
        told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
        return Answer(what, response.status_code, told, response.content)


def secret(variable: str) -> str:
    """Return what was taken out of the bundle, from the environment."""
    value = os.environ.get(variable)
    if not value:
        raise NotJudgedError(f"a secret was taken out of the bundle; set {variable}")
    return value


def bases(named: str | None) -> list[str]:
    """Say where requests go to: as recorded, if that is this machine, or as named. Raises ValueError."""
    found = []
    for number, default in enumerate(DEFAULTS, 1):
        variable = "URL" if number == 1 else f"URL_{number}"
        url = (named if number == 1 and named else os.environ.get(variable)) or default
        if url is None:
            raise ValueError(f"it was recorded at a host that is not this machine: name one ({variable})")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{variable} is no URL of HTTP: {url!a}")
        found.append(url.rstrip("/"))
    return found


def outcome(named: str | None) -> tuple[int, str]:
    """Replay the bundle; return an exit code and why. Raises ValueError for a URL that is missing or wrong."""
    found = bases(named)
    try:
        service = Service(found)
        with service.client:
            replay(service)
    except DiffersError as difference:
        return AS_NOT_RECORDED, str(difference)
    except NotJudgedError as reason:
        return 125, str(reason)
    except Exception as error:  # whatever it is, it must not look like a verdict
        return 125, f"{type(error).__name__}: {str(error)!a}"
    return AS_RECORDED, STORY
'''

_MAIN = '''

WORDS = {0: "fixed" if AS_RECORDED else "as recorded", 1: "reproduced" if AS_RECORDED else "differs", 125: "not judged"}


def main(arguments: list[str]) -> int:
    """Replay the bundle, say what came of it, and return the exit code."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    try:
        if len(arguments) > 1 or any(each.startswith("-") for each in arguments):
            raise ValueError("it takes one URL and nothing else (--help tells more)")
        code, why = outcome(arguments[0] if arguments else None)
    except ValueError as error:
        print(f"usage: {error}", file=sys.stderr)
        return 129
    except KeyboardInterrupt:
        return 130
    print(f"VERDICT {WORDS[code]}: {why} (exit {code})")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def render(bundle: Bundle) -> str:
    """Return the script. Raises UnexportableError for a bundle whose failure no script can show."""
    plan = plan_of(bundle)
    return head(plan, "script.py") + "import os\nimport re\nimport sys\n" + body(plan) + _MAIN


def head(plan: Plan, file: str) -> str:
    """Return the lines that say what a script is for."""
    purpose = "Is the bug still there? This sends what was recorded when it showed, and looks at the answers."
    if not plan.finds_failure:
        purpose = "Does the service still answer as recorded? This sends what was recorded, and looks at the answers."
    default = f" (default: {plan.default(0)})" if plan.default(0) else ""
    codes = _CODES if plan.finds_failure else _CODES_OF_RECORDING
    if plan.unable:
        purpose = "This sends what was recorded while faults were put in. A script can't do these, and judges nothing."
        codes = _CODES_OF_FAULTS
    return _HEAD.format(purpose=purpose, file=file, default=default, codes=codes, version=__version__)


def body(plan: Plan) -> str:
    """Return what all scripts in Python have in common: the judge, the service, and the requests."""
    source = Path(judge.__file__).read_text(encoding="utf-8").partition('"""\n\n')[2]
    constants = [
        f"STORY = {plan.story!a}",
        f"DEFAULTS = [{', '.join(ascii(plan.default(number)) for number in range(len(plan.bases)))}]",
        f"AS_RECORDED, AS_NOT_RECORDED = {(1, 0) if plan.finds_failure else (0, 1)}  # exit codes",
    ]
    lines = ["", "", "def replay(service: Service) -> None:"]
    lines.append(
        '    """Send what was recorded. Raises DiffersError where an answer that counts is not as recorded."""'
    )
    if plan.uses_nonce:
        lines.append("    nonce = os.urandom(8).hex()  # makes names unique to this run")
    lines += [f"    {name} = secret({variable!a})" for name, variable in plan.secrets.items()]
    for ask in plan.asks:
        lines += [f"    {line}" for line in _ask(ask)]
    lines += [f"    raise NotJudgedError({plan.unable!a})"] if plan.unable else []
    return source + _SERVICE + "\n\n" + "\n".join(constants) + "\n" + "\n".join(lines) + "\n"


def _ask(ask: Ask) -> list[str]:
    headers = ", ".join(f"({name!a}, {_text(value)})" for name, value in ask.headers)
    lines = [f"# {each}" for each in ask.notes]
    lines += [f"time.sleep({ask.pause!r})"] if ask.pause else []
    if ask.claims or ask.role == "counts":
        lines += ["claims = [", *(f"    {_claim(claim)}," for claim in ask.claims), "]"]
    start, end = ("settle(lambda: ", f", {ask.status}, claims)") if ask.settles else ("", "")
    lines += [
        f"answer = {start}service.ask({ask.what!a}, {ask.method!a}, {ask.base}, {_text(ask.target)},",
        f"                     [{headers}], {_bytes(ask.body)}){end}",
    ]
    if ask.role == "after":
        pass
    elif ask.role == "fails":
        lines.append("fail(answer)")
    elif ask.role == "counts":
        lines.append(f"compare(answer, {ask.status}, claims)")
    else:
        lines.append(f"need_all(answer, {ask.status}, claims)" if ask.settles else f"need(answer, {ask.status})")
    for name, product in ask.takings:
        path = "".join(f", {part!a}" for part in product.path)
        lines.append(f"{name} = take(answer, {product.kind!a}{path})")
    return lines


def _claim(claim: Claim) -> str:
    path = f"[{', '.join(map(ascii, claim.path))}]"
    value = ascii(claim.value)
    if isinstance(claim.value, tuple):
        [first, *more] = claim.value
        value = first.name if isinstance(first, Hole) and not more and first.how == "json" else _text(claim.value)
    return f"[{claim.kind!a}, {path}, {value}]"


def _text(template: Template) -> str:
    """Write a text as an expression."""
    parts = [ascii(part) if isinstance(part, str) else f"say({part.name}, {part.how!a})" for part in template]
    return f'"".join([{", ".join(parts)}])' if len(parts) > 1 else parts[0] if parts else '""'


def _bytes(template: Template) -> str:
    if all(isinstance(part, str) for part in template):
        return repr("".join(map(str, template)).encode("latin-1"))
    return f'{_text(template)}.encode("latin-1")'
