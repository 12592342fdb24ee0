"""A shell script with curl: it sends what was sent, and exits as a replay does.

It is for any POSIX shell. Python 3 looks at the answers, with its standard library alone; where only statuses count,
it is not needed. Nothing that a bundle says becomes code: texts from it stand in single quotes, or are written in
octal for `printf`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from replaykit.bundle import LAST_PORT, Bundle
from replaykit.client import require_loopback
from replaykit.errors import ForeignHostError
from replaykit.export import judge
from replaykit.export.claims import Claim
from replaykit.export.plan import TOKEN, URL, Ask, Plan, plan_of
from replaykit.export.template import Hole, Template, joined
from replaykit.interaction import Request
from replaykit.version import __version__

MAX_WORD = 32 * 1024  # characters of an argument; systems take 128 KiB
_PLAIN = re.compile(r"[ -~]*")
_HOST = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
_UNSAID = {"host", "content-length", "connection", "accept-encoding", "user-agent", "transfer-encoding"}  # curl's own

_HEAD = """\
#!/bin/sh
# {purpose}
#
#     sh script.sh [URL]
#
# URL is where the service is{default}; the variable URL does as well. It needs {needs}.
#
{codes}
#
# Written by replaykit {version}.
# shellcheck disable=SC2016,SC2034,SC2329  # what was recorded may look like shell; not all is used by all
set -eu

verdict=125
work=$(mktemp -d)
trap 'rm -rf "$work"; exit "$verdict"' EXIT
trap 'verdict=130; exit 130' INT
trap 'verdict=143; exit 143' TERM

finish() { # code word why
    verdict=$1
    printf 'VERDICT %s: %s (exit %s)\\n' "$2" "$3" "$1"
    exit "$1"
}}

not_judged() {{ finish 125 'not judged' "$1"; }}

usage() {{
    verdict=129
    printf 'usage: %s\\n' "$1" >&2
    exit 129
}}

require() {{ # program
    command -v "$1" >/dev/null 2>&1 || not_judged "$1 is not there"
}}

base() {{ # variable URL
    case $2 in
    http://* | https://*) ;;
    '') usage "it was recorded at a host that is not this machine: name one ($1)" ;;
    *) usage "$1 is no URL of HTTP" ;;
    esac
}}

ask() {{ # what, and the arguments of curl
    what=$1
    shift
    : >"$work/body"
    status=$(curl -q -sS -g --path-as-is --noproxy '*' --max-time 30 -H 'Expect:' \\
        -o "$work/body" -D "$work/head" -w '%{{http_code}}' "$@" 2>"$work/error") ||
        not_judged "$what was not answered: $(tr -cd '[:print:]' <"$work/error")"
}}

need() {{ # status
    [ "$status" = "$1" ] || not_judged "$what was answered with $status, and with $1 when recorded"
}}
""".replace("finish() { #", "finish() {{ #")

_FAIL = """
fail() { # the service has to fail as recorded
    [ "$status" -ge 500 ] || finish "$as_not_recorded" "$changed" "$what is answered with $status, which is no failure"
}
"""

_JUDGE = """
require python3
cat >"$work/judge.py" <<'END_OF_JUDGE'
{judge}

def read(folder: str, what: str, status: str) -> Answer:
    with open(f"{{folder}}/head", "rb") as file:
        blocks = file.read().decode("latin-1").replace("\\r\\n", "\\n").rstrip("\\n").split("\\n\\n")
    pairs = [line.partition(":") for line in blocks[-1].split("\\n")[1:]]
    headers = [(name, value.strip()) for name, _, value in pairs]
    with open(f"{{folder}}/body", "rb") as file:
        return Answer(what, int(status), headers, plain(headers, file.read()))


def main(folder: str, command: str, *arguments: str) -> None:
    if command == "say":
        value = json.loads(arguments[1]) if arguments[1:] else sys.stdin.buffer.read().decode()
        print(say(value, arguments[0]))
    elif command == "take":
        print(json.dumps(take(read(folder, *arguments[:2]), *json.loads(arguments[2]))))
    else:
        with open(f"{{folder}}/claims", encoding="latin-1") as file:
            compare(read(folder, *arguments[:2]), int(arguments[2]), json.load(file))


try:
    main(*sys.argv[1:])
except DiffersError as difference:
    print(difference)
    sys.exit(3)
except NotJudgedError as reason:
    print(reason)
    sys.exit(4)
except Exception as error:
    print(f"{{type(error).__name__}}: {{str(error)!a}}")
    sys.exit(4)
END_OF_JUDGE

judge() {{ python3 -I "$work/judge.py" "$work" "$@"; }}

compare() {{ # status, and what holds of the answer in $work/claims
    if why=$(judge compare "$what" "$status" "$1"); then return; else code=$?; fi
    [ "$code" -ne 3 ] || finish "$as_not_recorded" "$changed" "$why"
    not_judged "$why"
}}

settle() {{ # status, and what `ask` takes: asks until the answer is as recorded, for some seconds at most
    expected=$1
    tries=0
    shift
    until ask "$@" && judge compare "$what" "$status" "$expected" >"$work/why"; do
        tries=$((tries + 1))
        [ "$tries" -lt 20 ] || break
        sleep 0.1
    done
}}

need_all() {{ # status, and what has to hold of the answer in $work/claims
    why=$(judge compare "$what" "$status" "$1") || not_judged "$why"
}}

take() {{ # where a value stands
    value=$(judge take "$what" "$status" "$1") || not_judged "$value"
}}

said() {{ # how a value is written, and the value
    value=$(judge say "$1" "$2") || not_judged "$value"
}}

secret() {{ # variable, value
    [ -n "$2" ] || not_judged "a secret was taken out of the bundle; set $1"
    value=$(printf '%s' "$2" | judge say json) || not_judged "$value"
}}
"""


def render(bundle: Bundle) -> str:
    """Return the script. Raises UnexportableError for a bundle whose failure no script can show."""
    plan = plan_of(bundle)
    needs_judge = bool(plan.secrets) or any(ask.takings or ask.claims or ask.role == "counts" for ask in plan.asks)
    parts = [_head(plan, needs_judge=needs_judge)]
    if any(ask.role == "fails" for ask in plan.asks):
        parts.append(_FAIL)
    parts.append(_settings(plan))
    if needs_judge:
        source = Path(judge.__file__).read_text(encoding="utf-8").partition('"""\n\n')[2]
        parts.append(_JUDGE.format(judge=source.replace("import json\n", "import json\nimport sys\n", 1)))
    parts.append(_opening(plan))
    parts += [_ask(ask, plan) for ask in plan.asks]
    word = "reproduced" if plan.finds_failure else "as recorded"
    end = f"not_judged {_quoted(plan.unable)}" if plan.unable else f'finish "$as_recorded" {_quoted(word)} "$story"'
    parts.append(f"\n{end}\n")
    return "".join(parts)


def command(request: Request) -> str | None:
    """Return one command that sends one request; None where there is no room for its body, or nobody could say it.

    It is sent to the recorded host only where that is this machine; any other is named in the variable URL.
    """
    whole = request.url.partition("#")[0]
    if not URL.fullmatch(whole) or not TOKEN.fullmatch(request.method):
        return None
    parts = urlsplit(whole)
    base = f"{parts.scheme}://{parts.netloc}"
    try:
        require_loopback(base)
        default = f":-{base}" if _HOST.fullmatch(base) and parts.port != LAST_PORT else ":?"
    except (ForeignHostError, ValueError):
        default = ":?"
    body = request.body.decode("latin-1")
    if (
        request.cut is not None
        or len(body) > MAX_WORD
        or any("\r" in each or "\n" in each for _, each in request.headers)
    ):
        return None
    headers = [(name, (value,) if value else ()) for name, value in request.headers if name.lower() not in _UNSAID]
    words = ["curl -sS -g --path-as-is", *_message(request.method, headers, has_body=bool(body))]
    if body and _PLAIN.fullmatch(body):
        words.append(f"--data-raw {_quoted(body)}")
    elif body:
        words = [f"printf '{_octal(body)}' |", *words, "--data-binary @-"]
    target = whole.removeprefix(base) or "/"
    return " ".join([*words, f'"${{URL{default}}}"{_word((target,))}'])


def _head(plan: Plan, *, needs_judge: bool) -> str:
    purpose = "Is the bug still there? This sends what was recorded when it showed, and looks at the answers."
    codes = "1 the bug is still there, 0 it is gone"
    if not plan.finds_failure:
        purpose = "Does the service still answer as recorded? This sends what was recorded, and looks at the answers."
        codes = "0 all is answered as recorded, 1 something is not"
    if plan.unable:
        purpose = "This sends what was recorded while faults were put in. A script can't do these, and judges nothing."
    lines = [
        f"# Exit codes: {codes}, 125 it can't be judged here (the service can't be reached, or",
        "# answers otherwise before it comes to that), 129 wrong arguments, 130 Ctrl-C.",
    ]
    if plan.unable:
        lines = ["# Exit codes: 125 it can't be judged by a script, 129 wrong arguments, 130 Ctrl-C."]
    return _HEAD.format(
        purpose=purpose,
        default=f" (default: {plan.default(0)})" if plan.default(0) else "",
        needs="curl and Python 3 (which looks at the answers)" if needs_judge else "curl",
        codes="\n".join(lines),
        version=__version__,
    )


def _settings(plan: Plan) -> str:
    codes = ("1", "0", "fixed") if plan.finds_failure else ("0", "1", "differs")
    lines = ["", f"story={_quoted(plan.story)}", "as_recorded={} as_not_recorded={} changed={}".format(*codes)]
    lines.append("[ $# -le 1 ] || usage 'it takes one URL and nothing else'")
    for number in range(1, len(plan.bases) + 1):
        variable = "URL" if number == 1 else f"URL_{number}"
        default = _quoted(plan.default(number - 1) or "")
        lines.append(f"base_{number}=${{{variable}:-{default}}}")
        if number == 1:
            lines.append('[ -z "${1:-}" ] || base_1=$1')
        lines += [f'base {variable} "$base_{number}"', f"base_{number}=${{base_{number}%/}}"]
    return "\n".join([*lines, "require curl", ""])


def _opening(plan: Plan) -> str:
    lines = [""]
    if plan.uses_nonce:
        lines.append("nonce=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n') # makes names unique to this run")
        lines.append("nonce_text=$nonce")
    hows = _hows(plan)
    for name, variable in plan.secrets.items():
        lines.append(f'secret {variable} "${{{variable}-}}"')
        lines += _variables(name, hows)
    return "\n".join(lines) + "\n"


def _hows(plan: Plan) -> dict[str, list[str]]:
    """List in which ways each value is written anywhere."""
    holes: dict[str, dict[str, None]] = {}
    for ask in plan.asks:
        texts = [ask.target, ask.body, *(value for _, value in ask.headers)]
        texts += [claim.value for claim in ask.claims if isinstance(claim.value, tuple)]
        for hole in (part for text in texts for part in text if isinstance(part, Hole)):
            holes.setdefault(hole.name, {})[hole.how] = None
    return {name: list(hows) for name, hows in holes.items()}


def _variables(name: str, hows: dict[str, list[str]]) -> list[str]:
    lines = [f"{name}_json=$value"]
    for how in hows.get(name, []):
        if how != "json":
            lines += [f'said {how} "${name}_json"', f"{name}_{how}=$value"]
    return lines


def _ask(ask: Ask, plan: Plan) -> str:
    lines = ["", *(f"# {each}" for each in ask.notes), f"# {ask.what}"]
    if not _fits(ask.body):
        lines.append(f'{{ {_printed(ask.body)}; }} >"$work/sent"')
    if ask.claims or ask.role == "counts":
        lines.append(f'{{ {_printed(_claims(ask.claims))}; }} >"$work/claims"')
    if ask.pause:
        lines.append(f"sleep {ask.pause:g}")
    start = f"settle {ask.status}" if ask.settles else "ask"
    lines.append(f"{start} {_quoted(ask.what)} " + " \\\n    ".join(_arguments(ask)))
    if ask.role == "after":
        pass
    elif ask.role == "fails":
        lines.append("fail")
    elif ask.role == "counts":
        lines.append(f"compare {ask.status}")
    else:
        lines.append(f"need_all {ask.status}" if ask.settles else f"need {ask.status}")
    for name, product in ask.takings:
        lines.append(f"take {_quoted(json.dumps([product.kind, *product.path]))}")
        lines += _variables(name, _hows(plan))
    return "\n".join(lines) + "\n"


def _arguments(ask: Ask) -> list[str]:
    """Write the arguments of curl."""
    words = [f'--url "$base_{ask.base + 1}"{_word(ask.target)}']
    if "user-agent" not in {name.lower() for name, _ in ask.headers}:
        words.append("-H 'User-Agent:'")
    words += _message(ask.method, ask.headers, has_body=bool(ask.body))
    if ask.body:
        words.append(f"--data-raw {_word(ask.body)}" if _fits(ask.body) else '--data-binary @"$work/sent"')
    return words


def _message(method: str, headers: Iterable[tuple[str, Template]], *, has_body: bool) -> list[str]:
    """Write the arguments of curl that say what stands before a body, where curl would say something else."""
    words = []
    if method == "HEAD":
        words.append("--head")
    elif method != "GET" or has_body:
        words.append(f"-X {method if method.isalpha() else _quoted(method)}")
    typed = False
    for name, value in headers:
        words.append(f"-H {_word(joined((f'{name}: ', *value)))}" if value else f"-H {_quoted(f'{name};')}")
        typed = typed or name.lower() == "content-type"
    if has_body and not typed:
        words.append("-H 'Content-Type:'")
    if not has_body and method in {"POST", "PUT", "PATCH"}:
        words.append("-H 'Content-Length: 0'")
    return words


def _claims(claims: list[Claim]) -> Template:
    """Write what holds of an answer as JSON."""
    parts: list[str | Hole] = []
    for claim in claims:
        start = ", " if parts else "["
        parts.append(f"{start}{json.dumps([claim.kind, list(claim.path)])[:-1]}, ")
        if not isinstance(claim.value, tuple):
            parts.append(json.dumps(claim.value))
        elif claim.value[0] == Hole(getattr(claim.value[0], "name", ""), "json"):
            parts.append(claim.value[0])
        else:
            parts += ['"', *(json.dumps(each)[1:-1] if isinstance(each, str) else each for each in claim.value), '"']
        parts.append("]")
    return joined((*parts, "]")) if parts else ("[]",)


def _quoted(text: str) -> str:
    """Write a text so that a shell takes it as it is."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fits(template: Template) -> bool:
    """Say whether a text can stand in the script as it is."""
    texts = [part for part in template if isinstance(part, str)]
    return all(map(_PLAIN.fullmatch, texts)) and sum(map(len, texts)) <= MAX_WORD


def _word(template: Template) -> str:
    """Write a template as one word of the shell."""
    words = []
    for part in template:
        if isinstance(part, Hole):
            words.append(f'"${part.name}_{part.how}"')
        elif _PLAIN.fullmatch(part):
            words.append(_quoted(part))
        else:
            words.append(f"\"$(printf '{_octal(part)}')\"")
    return "".join(words)


def _printed(template: Template) -> str:
    """Write commands that print a text, whatever bytes are in it; `printf` is the shell's own, and takes any length."""
    commands = []
    for part in template:
        if isinstance(part, Hole):
            commands.append(f"printf '%s' \"${part.name}_{part.how}\"")
        elif _PLAIN.fullmatch(part):
            commands.append(f"printf '%s' {_quoted(part)}")
        else:
            commands.append(f"printf '{_octal(part)}'")
    return "; ".join(commands) or ":"


def _octal(text: str) -> str:
    """Write bytes for `printf`: letters, digits and some signs as they are, all else in octal."""
    return re.sub(r"[^A-Za-z0-9 _.,:;/=+{}\[\]()<>\"-]", lambda found: f"\\{ord(found[0]):03o}", text)
