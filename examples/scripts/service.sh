# What the test scripts share. Source it, and call `run_tests`; what a script sets before:
#   service  the example's folder and profile, for instance toybank
#   title    its name for people
#   prefix   of its environment variables, for instance TOYBANK
#   port     where it listens unless the environment says something else
#   models   what other models can be asked for: "--lifecycle", or nothing
# Written for bash 3.2, which macOS has.
# shellcheck shell=bash

: "${service:?}" "${title:?}" "${prefix:?}" "${port:?}" "${models?}"

NOT_JUDGED=125   # what went wrong here may be different tomorrow, or at another commit
WRONG_USAGE=129  # what went wrong is the same at every commit
READY_SECONDS=${READY_SECONDS:-60}  # how long a service may take until it is healthy
STOP_SECONDS=10  # how long a service may take to end

here=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# --- saying things ------------------------------------------------------------------------------

note() { printf '%s\n' "$*" >&2; }

refuse() {  # the exit code, what happened, what to do
    local code=$1
    note "error: $2"
    [ $# -lt 3 ] || note "  $3"
    exit "$code"
}

show() { [ -z "$verbose" ] || note "+ $*"; }  # a command that is about to be run

usage() {
    local lifecycle=""
    case $models in *--lifecycle*) lifecycle="
  --lifecycle       Test with the model of a booking's lifecycle, and not with the full one" ;; esac
    cat <<END
Usage: $(basename "$0") [OPTIONS] [-- OPTIONS OF replaykit integration]

Start $title, test it with replaykit integration, and stop it again.

Options:
  --runs N          Number of runs (default: 100; a hunt has its own)
  --commands N      Commands per run, at most (default: 50)
  --hunt N          Hunt: go on until N distinct bugs are found
  --chaos           Test with the model that puts faults in, with a proxy at the port above $title's
  --toxiproxy URL   With --chaos: let the Toxiproxy whose API is there be that proxy$lifecycle
  --report FORMAT[=FILE]
                    Write a report: terminal, markdown, junit, json, ndjson, ctrf, html, github; may
                    be given several times (default of FILE: in reports/ of the repository)
  --bug NAME        Start $title with this bug; may be given several times
  --save-failures DIR
                    Save failures here (default: .replaykit/failures/$service in the repository)
  --keep-running    Leave $title running afterwards
  --skip-start      $title is running already: test that one
  --local           Start $title with Python, without Docker
  --verbose         Show the commands that are run, and what $title printed
  --help            Show this message

Without Docker, $title is started as with --local.

Environment:
$(printf '  %-16s' "${prefix}_URL")  Where $title is, or where it is started (default: http://127.0.0.1:$port)
  TOXIPROXY_URL     With --chaos: as --toxiproxy
  READY_SECONDS     How long it may take until it is ready (default: 60)

Exit codes, those of replaykit integration:
  0    nothing found
  1    a bug was found
  125  could not be judged: the port is taken, the service did not start
  128  bad model, a mistake in replaykit
  129  wrong option, or one that the installed replaykit does not have
  130  Ctrl-C (143: TERM)
END
}

# --- options ------------------------------------------------------------------------------------

read_options() {
    runs="" commands=50 hunt="" chaos="" toxiproxy="" lifecycle="" report=() bugs=() folder=""
    keep="" skip="" by_hand="" verbose="" more=()
    while [ $# -gt 0 ]; do
        case $1 in
            --?*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;  # --runs=5 is --runs 5
        esac
        case $1 in
            --runs | --commands | --hunt | --toxiproxy | --report | --bug | --save-failures)
                [ $# -gt 1 ] || refuse $WRONG_USAGE "$1 needs a value."
                ;;
        esac
        case $1 in
            --runs) runs=$(number "$1" "$2") ;;
            --commands) commands=$(number "$1" "$2") ;;
            --hunt) hunt=$(number "$1" "$2") ;;
            --report)
                case ${2%%=*} in
                    terminal | markdown | junit | json | ndjson | ctrf | html | github) report+=("$2") ;;
                    *) refuse $WRONG_USAGE \
                        "--report takes terminal, markdown, junit, json, ndjson, ctrf, html or github, and not '$2'." ;;
                esac
                ;;
            --bug) bugs+=("$2") ;;
            --save-failures) folder=$2 ;;
            --chaos) chaos=1 ;;
            --toxiproxy) toxiproxy=$2 ;;
            --lifecycle)
                case $models in *--lifecycle*) lifecycle=1 ;; *) unknown "$1" ;; esac
                ;;
            --keep-running) keep=1 ;;
            --skip-start) skip=1 ;;
            --local) by_hand=1 ;;
            --verbose) verbose=1 ;;
            -h | --help)
                usage
                exit 0
                ;;
            --)
                shift
                more=("$@")
                return
                ;;
            *) unknown "$1" ;;
        esac
        case $1 in
            --runs | --commands | --hunt | --toxiproxy | --report | --bug | --save-failures) shift 2 ;;
            *) shift ;;
        esac
    done
}

number() {  # an option, and its value; prints the value if it is a positive number
    case $2 in
        "" | *[!0-9]* | 0*) refuse $WRONG_USAGE "$1 takes a number from 1, and not '$2'." ;;
    esac
    printf '%s' "$2"
}

unknown() {
    refuse $WRONG_USAGE "there is no option '$1'." "$(basename "$0") --help lists those that there are."
}

check_options() {
    [ -z "$chaos" ] || [ -z "$lifecycle" ] || refuse $WRONG_USAGE "--chaos and --lifecycle are two different models."
    [ -z "$toxiproxy" ] || [ -n "$chaos" ] || refuse $WRONG_USAGE "--toxiproxy is for --chaos, which is not there."
    if [ -n "$chaos" ]; then
        toxiproxy=${toxiproxy:-${TOXIPROXY_URL:-}}
        toxiproxy=${toxiproxy%/}
    fi
    if [ -n "$skip" ] && [ ${#bugs[@]} -gt 0 ]; then
        refuse $WRONG_USAGE "--bug is for a service that is started here, and --skip-start starts none."
    fi
    profile=$service
    [ -z "$lifecycle" ] || profile=booking-lifecycle
    if [ -n "$chaos" ]; then
        profile=$service-chaos
        grep -q "^\[tool\.replaykit\.profiles\.$profile\]" "$root/pyproject.toml" ||
            refuse $WRONG_USAGE "--chaos needs a model that puts faults in, and this version has none for $title."
    fi
    if [ -n "$hunt" ]; then require_option --hunt; fi
    if [ ${#report[@]} -gt 0 ]; then require_option --report; fi
    local known bug
    if [ ${#bugs[@]} -gt 0 ]; then
        known=$("$python" -m "examples.$service" --list-bugs) ||
            refuse $WRONG_USAGE "$python can't start $title." "Install the extra 'examples'."
        for bug in "${bugs[@]}"; do
            grep -qxF -e "$bug" <<<"$known" ||
                refuse $WRONG_USAGE "$title has no bug '$bug'." "It has: $(printf '%s' "$known" | tr '\n' ' ')"
        done
    fi
}

require_option() {
    "$python" -m replaykit integration --help | grep -q -e "^ *$1 " ||
        refuse $WRONG_USAGE "$1 is an option that the installed replaykit does not have yet."
}

find_python() {
    local candidate
    for candidate in "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "$root/.venv/bin/python" "$(command -v python3 || true)"; do
        if [ -x "$candidate" ] && "$candidate" -m replaykit --version >/dev/null 2>&1; then
            python=$candidate
            return
        fi
    done
    refuse $WRONG_USAGE "no Python here has replaykit: no activated environment, no .venv in $root, no python3." \
        "Make one there: python3 -m venv .venv && .venv/bin/python -m pip install -e '.[examples]'"
}

find_url() {
    local variable=${prefix}_URL rest
    default=$port
    url=${!variable:-http://127.0.0.1:$port}
    url=${url%/}
    [ -z "$skip" ] || return 0
    rest=${url#http://}
    case $rest in
        127.0.0.1:* | localhost:*) port=${rest#*:} ;;
        *) refuse $WRONG_USAGE "$title can be started here only, and $variable is $url." \
            "Add --skip-start if it is running there." ;;
    esac
    case $port in
        "" | *[!0-9]* | ??????*) refuse $WRONG_USAGE "$variable is $url, which does not end in a port." "Write http://127.0.0.1:$default." ;;
    esac
}

# --- the service --------------------------------------------------------------------------------

is_taken() {  # a port: whether something listens there already
    "$python" -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).close()' "$1" \
        2>/dev/null
}

is_healthy() {
    "$python" -c '
import sys, urllib.request as web
web.build_opener(web.ProxyHandler({})).open(sys.argv[1], timeout=2)' "$url/api/health" 2>/dev/null
}

has_docker() {
    command -v docker >/dev/null && docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1
}

compose() {
    local words=(docker compose --file "examples/$service/docker-compose.test.yml")
    [ -z "$own_toxiproxy" ] || words+=(--profile chaos)
    words+=("$@")
    show "${words[@]}"
    env "${prefix}_PORT=$port" "${prefix}_OPTIONS=$(switches)" "TOXIPROXY_PORT=$own_toxiproxy" "${words[@]}"
}

switches() {  # the bugs, as the service's options
    local bug
    for bug in ${bugs[@]+"${bugs[@]}"}; do printf ' --bug %s' "$bug"; done
}

start() {
    if is_taken "$port"; then
        refuse $NOT_JUDGED "something listens at port $port already, so what is started here would not be what answers." \
            "Stop it; or test it as it is, with --skip-start; or name another port in ${prefix}_URL."
    fi
    log=$(mktemp "${TMPDIR:-/tmp}/$service.XXXXXX")
    if [ -z "$by_hand" ] && ! has_docker; then
        note "Docker does not run here: $title is started with Python."
        by_hand=1
    fi
    if [ -n "$by_hand" ]; then start_with_python; else start_with_docker; fi
    ready=1
    note "$title is ready at $url."
}

start_with_python() {
    local words=(-m "examples.$service" --port "$port") ending
    # shellcheck disable=SC2207  # names of bugs have no blanks
    words+=($(switches))
    [ -z "$keep" ] || words+=(--outlive-parent)
    show "$python" "${words[@]}"
    set -m  # a process group of its own: Ctrl-C is for us, and all that it started can be stopped
    "$python" "${words[@]}" </dev/null >"$log" 2>&1 &
    process=$!
    set +m
    ending=$((SECONDS + READY_SECONDS))
    until is_healthy; do
        is_running || not_ready "$title ended before it was ready."
        [ "$SECONDS" -le "$ending" ] || not_ready "$title did not become ready within $READY_SECONDS seconds."
        sleep 0.2
    done
    is_running || not_ready "$title ended, and something else answers at $url."
}

is_running() { kill -0 "$process" 2>/dev/null; }

start_with_docker() {
    composed=1
    find_toxiproxy
    note "Building and starting $title with Docker."
    compose up --build --detach --wait --wait-timeout "$READY_SECONDS" >"$log" 2>&1 || {
        compose logs --tail 20 >>"$log" 2>&1 || true
        not_ready "$title did not become ready within $READY_SECONDS seconds."
    }
}

find_toxiproxy() {  # where one is to be on this machine, and is not there yet, it is started with the service
    local place=${toxiproxy#http://}
    case $place in
        127.0.0.1:* | localhost:*) place=${place#*:} ;;
        *) return 0 ;;
    esac
    case $place in
        "" | *[!0-9]* | ??????*) return 0 ;;  # replaykit says what is wrong with it
    esac
    is_taken "$place" || own_toxiproxy=$place
}

not_ready() {
    note "error: $1 The last lines of its log, $log:"
    tail -n 20 "$log" | sed 's/^/  | /' >&2
    log=""  # it stays
    exit $NOT_JUDGED
}

stop() {
    local code=$?
    trap - EXIT
    trap '' INT TERM HUP  # what is left to do is short
    if [ -n "$verbose" ] && [ -n "$log" ]; then
        [ -z "$composed" ] || compose logs --no-color app >>"$log" 2>&1 || true
        note "What $title printed:"
        if [ -s "$log" ]; then sed 's/^/  | /' "$log" >&2; else note "  | (nothing)"; fi
    fi
    if [ -n "$keep" ] && [ -n "$ready" ]; then
        note "$title goes on at $url."
        if [ -n "$process" ]; then
            note "  Stop it: kill $process"
            note "  Its log: $log"
        else
            note "  Stop it: docker compose --file $root/examples/$service/docker-compose.test.yml${own_toxiproxy:+ --profile chaos} down --volumes"
            note "  Its log: docker compose --file $root/examples/$service/docker-compose.test.yml logs"
            rm -f "$log"
        fi
        exit "$code"
    fi
    [ -z "$process" ] || stop_process
    [ -z "$composed" ] || compose down --volumes --timeout "$STOP_SECONDS" >/dev/null 2>&1 ||
        note "docker compose could not stop $title."
    [ -z "$log" ] || rm -f "$log"
    exit "$code"
}

stop_process() {
    local ending=$((SECONDS + STOP_SECONDS))
    kill -TERM "$process" 2>/dev/null || true  # it ends what it started
    while kill -0 -- "-$process" 2>/dev/null && [ "$SECONDS" -lt "$ending" ]; do sleep 0.1; done
    kill -KILL -- "-$process" 2>/dev/null || true  # what is left of its group
    wait "$process" 2>/dev/null || true
}

# --- the tests ----------------------------------------------------------------------------------

integration() {  # run replaykit integration; its exit code is in $code
    local words=(integration --profile "$profile" --url "$url" --commands "$commands" --save-failures "$folder")
    if [ -n "$runs" ]; then
        words+=(--runs "$runs")
    elif [ -z "$hunt" ]; then
        words+=(--runs 100)
    fi
    [ -z "$hunt" ] || words+=(--hunt "$hunt")
    [ -z "$chaos" ] || [ "$port" -ge 65535 ] || words+=(--proxy-port $((port + 1)))
    [ -z "$toxiproxy" ] || words+=(--toxiproxy "$toxiproxy")
    local each
    for each in ${report[@]+"${report[@]}"}; do
        case $each in
            *=/* | *=-) ;;
            *=*) each=${each%%=*}=$here/${each#*=} ;;  # a file as the caller sees it
        esac
        words+=(--report "$each")
    done
    words+=(${more[@]+"${more[@]}"})
    show "$python" -m replaykit "${words[@]}"
    set -m
    "$python" -m replaykit "${words[@]}" </dev/null &
    tests=$!
    set +m
    local first=1 ended
    while [ -n "$first$signalled" ]; do  # a signal ends `wait`, not what it waits for
        first="" signalled="" ended=0
        wait "$tests" || ended=$?
        [ "$ended" = 127 ] || code=$ended
    done
    tests=""
}

pass_on() {  # a signal: to the tests, which end with their own exit code; else it ends us
    signalled=1
    if [ -n "$tests" ]; then
        kill "-$1" "$tests" 2>/dev/null || true
    else
        exit "$2"
    fi
}

run_tests() {
    process="" composed="" own_toxiproxy="" ready="" log="" tests="" signalled="" keep="" verbose="" code=$NOT_JUDGED
    trap stop EXIT
    trap 'pass_on INT 130' INT
    trap 'pass_on TERM 143' TERM HUP
    read_options "$@"
    cd "$root" || exit
    READY_SECONDS=$(number READY_SECONDS "$READY_SECONDS")
    find_python
    find_url
    check_options
    case $folder in
        "") folder=.replaykit/failures/$service ;;
        /*) ;;
        *) folder=$here/$folder ;;
    esac
    [ -n "$skip" ] || start
    integration
    if [ "$code" = 1 ] && [ -z "$skip$keep" ]; then
        note "$title is stopped now. To replay a bundle, go to $root, and write this in the place of --url URL:"
        note "  --start \"python -m examples.$service --port {port}$(switches)\""
    fi
    exit "$code"
}
