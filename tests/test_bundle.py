"""The bundle: written then read, played by vcrpy, and never trusted."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr
import yaml
from conftest import environment

from replaykit import bundle as bundles
from replaykit import lines as raw_lines
from replaykit import reader
from replaykit import writer as writer_module
from replaykit.bundle import Bundle, Origin, Provenance, Shrinking
from replaykit.errors import (
    BundleError,
    CorruptBundleError,
    MissingFileError,
    NewerBundleError,
    TruncatedBundleError,
    UnwritableError,
)
from replaykit.interaction import Cut, Interaction, Request, Response, Trouble
from replaykit.reader import read, read_bytes
from replaykit.sequence import Call
from replaykit.trace import Said, Step, Trace
from replaykit.verdict import Failure
from replaykit.version import BUNDLE_FORMAT
from replaykit.writer import Writer, save

GOLDEN = sorted((Path(__file__).parent / "bundles").glob("*.pd"))

HOSTILE = [
    "", " ", "\x00", "\x7f", "\x85", "\u2028\u2029", "\ufeff", "\ufffe", "\U0001f600", "\\U0001F600",
    "\\\\ud83d\\ude00",
    "'", '"', "#", "- x", "a: b", "{}", "[]", "!!binary", '"body": !!binary "QQ=="', "%", "@", "`", "&a",
    "*a", "|", ">",
    "\r\n", "\n", "\t", "null", "yes", "1e3", "é", "</script>", "\x1b[31m", "\\", "\\\\", "\\n", "version: 1\n",
    '# {"k":"end"}', "\U0010ffff", "\ue000",
]  # fmt: skip


def provenance(**more: Any) -> Provenance:
    """Make a provenance."""
    facts: dict[str, Any] = {
        "model": "shop:Shop", "adapter": "shop:Api", "model_digest": "0" * 16, "campaign_seed": 1, "run": 0,
        "seed": 2, "commands": 50, "url": "http://127.0.0.1:1",
    }  # fmt: skip
    return Provenance(**{**facts, **more})


def failure(step: int | None = 3) -> Failure:
    """Make a failure."""
    return Failure(kind="check", name="board", step=step, command="create", message="no", expected=[1], actual={"a": 2})


def interaction(text: str = "x", body: bytes | None = None, **more: Any) -> Interaction:
    """Make an interaction with a text in all places that take one."""
    request = Request(
        method="POST", url="http://127.0.0.1:1/a?b=c", headers=(("X-A", "1"), ("x-a", "2"), ("X-A", "3")),
        body=text.encode() if body is None else body,
    )  # fmt: skip
    answered = Response(
        status=200, reason="OK", headers=(("Set-Cookie", "a"), ("X", "caf\xe9"), ("Set-Cookie", "b")),
        body=text.encode() if body is None else body,
    )  # fmt: skip
    return Interaction(**{"request": request, "response": answered, "elapsed": 0.25, **more})


def trace(text: str = "x", **more: Any) -> Trace:
    """Make a trace with a text in all places that take one."""
    data = json.dumps({"name": text}, ensure_ascii=False, separators=(",", ":")).encode()
    step = Step(
        call=Call(label=3, tag="create", version=2, args={"name": text}, raw={"name": [text]}),
        interactions=(interaction(text),),
        event=Said(tag="created", version=1, data=data),
        observing=(interaction(text),),
        observations=(Said(tag="board", version=1, data=data),),
        state=data,
    )
    return Trace(
        resetting=(interaction(text),),
        steps=(step,),
        closing=(interaction(text),),
        closing_observations=(Said(tag="board", version=1, data=data),),
        ending="failed",
        failure=failure(),
        **more,
    )


def written(folder: Path, made: Trace) -> bytes:
    """Write a trace, and return the bytes of its bundle."""
    path = folder / "made.pd"
    save(path, provenance(), made)
    return path.read_bytes()


@pytest.mark.parametrize("text", HOSTILE)
def test_read_is_what_was_written(text: str, tmp_path: Path):
    """A trace with a hostile text in every place is read back as it was written."""
    made = trace(text)

    assert Bundle(origin=provenance(), trace=made) == read_bytes(written(tmp_path, made))


def test_what_was_recorded_without_a_model_has_neither_steps_nor_a_run(tmp_path: Path):
    """A bundle of interactions alone is read back; asked for its model or its failure, it says that it has none."""
    made = Trace(recorded=(interaction(), interaction("y")), ending="recorded")
    path = tmp_path / "made.pd"
    save(path, Origin(url="http://127.0.0.1:1"), made)
    bundle = read(path)

    assert Bundle(origin=Origin(url="http://127.0.0.1:1"), trace=made) == bundle
    assert list(made.recorded) == bundle.trace.interactions()
    with pytest.raises(BundleError, match="without a model"):
        _ = bundle.provenance
    with pytest.raises(BundleError, match="no failure"):
        _ = bundle.failure


def test_random_texts_and_bodies_are_read_back(tmp_path: Path):
    """Random texts, and bodies of random bytes, are read back as they were written."""
    draw = random.Random(7)
    for _ in range(300):
        text = "".join(chr(draw.choice([*range(256), 0x2028, 0x1F600, 0xFFFD, 0x10000])) for _ in range(8))
        body = bytes(draw.randrange(256) for _ in range(12))
        made = trace(text).replace(resetting=(interaction(body=body),))

        assert made == read_bytes(written(tmp_path, made)).trace


@pytest.mark.parametrize("text", HOSTILE)
def test_yaml_reads_the_same_bodies(text: str, tmp_path: Path):
    """YAML's own loaders, in C and in Python, read the interactions as our reader does."""
    content = written(tmp_path, trace(text))
    ours = [each.request.body for each in read_bytes(content).trace.interactions()]
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        theirs = [item["request"]["body"] for item in yaml.load(content, Loader=loader)["interactions"]]  # noqa: S506

        assert ours == [each.encode() if isinstance(each, str) else each for each in theirs]


def test_binary_bodies_are_yaml_binary(tmp_path: Path):
    """A body that is no text is !!binary for YAML, and its bytes for us."""
    body = bytes(range(256))
    content = written(tmp_path, trace().replace(resetting=(interaction(body=body),)))

    assert body == yaml.safe_load(content)["interactions"][0]["response"]["body"]["string"]
    assert body == read_bytes(content).trace.resetting[0].response.body  # type: ignore[union-attr]


@pytest.mark.parametrize("body", [bytes(bundles.MAX_BODY), b"\x7f\n" * (bundles.MAX_BODY // 2)], ids=["NUL", "DEL"])
def test_the_largest_bodies_that_are_hard_to_write_are_read_back(body: bytes, tmp_path: Path):
    """Two bodies as large as may be, of characters that take six each, do not make a line that no reader takes."""
    made = trace().replace(resetting=(interaction(body=body),))

    assert made == read_bytes(written(tmp_path, made)).trace


def test_file_is_ascii_with_lf(tmp_path: Path):
    """Whatever is in it, the file is ASCII, and ends its lines with LF alone."""
    content = written(tmp_path, trace("\r\n\u2028é\U0001f600\x7f"))

    assert content.isascii()
    assert b"\r" not in content
    assert b"\x7f" not in content


def test_vcrpy_plays_a_bundle(duplicate_names: Path):
    """A plain httpx client inside of vcr.use_cassette gets the recorded answers, and all are played."""
    recorded = read(duplicate_names).trace.interactions()
    with vcr.use_cassette(str(duplicate_names), record_mode="none") as cassette, httpx.Client() as client:
        answers = [
            client.request(each.request.method, each.request.url, content=each.request.body) for each in recorded
        ]

    assert [each.response.body for each in recorded if each.response] == [each.content for each in answers]
    assert [each.response.status for each in recorded if each.response] == [each.status_code for each in answers]
    assert cassette.all_played


def test_trouble_is_kept_outside_of_the_cassette(tmp_path: Path):
    """A time-out and a body that broke off are read back, and are no items of the cassette."""
    lost = interaction(response=None, trouble=Trouble(error="ReadTimeout", message="timed out"))
    broken = interaction(trouble=Trouble(error="RemoteProtocolError", message="cut"))
    broken = broken.replace(response=broken.response.replace(complete=False))  # type: ignore[union-attr]
    made = Trace(resetting=(lost, broken), ending="unknown", reason="the answer was lost")
    content = written(tmp_path, made)

    assert made == read_bytes(content).trace
    assert [] == yaml.safe_load(content)["interactions"]


def test_bundle_without_requests_is_a_cassette_too(tmp_path: Path):
    """A trace without any request gives an empty list of interactions."""
    content = written(tmp_path, Trace(ending="passed"))

    assert {"version": 1, "interactions": []} == yaml.safe_load(content)


def test_the_nonce_is_read_as_it_was_written(tmp_path: Path):
    """What makes minted values unique to a run is a record of its own, once in a bundle."""
    made = trace("{owner~1}", nonce="1f0c66aa")
    content = written(tmp_path, made)

    assert made == read_bytes(content).trace
    assert 1 == content.count(b'\n# {"k":"nonce","nonce":"1f0c66aa"}\n')


@pytest.mark.parametrize(
    "text", [*(text for text in HOSTILE if text != "1e3"), "\\1", "\\g<0>", "{owner~1}", "A", "0" * 65, "x" * 100_000]
)
def test_a_nonce_that_none_of_ours_can_be_is_refused(text: str, tmp_path: Path):
    """A nonce is 1 to 64 hexadecimal digits; a longer one could fill the memory, placeholder by placeholder."""
    content = written(tmp_path, trace("{owner~1}", nonce="1f0c66aa"))
    forged = content.replace(b'"nonce":"1f0c66aa"', b'"nonce":%s' % json.dumps(text).encode())

    with pytest.raises(CorruptBundleError, match="line 5"):
        read_bytes(forged)


def test_a_bundle_written_again_has_the_same_bytes(tmp_path: Path):
    """The nonce stands before the first call that has something minted, while a run is written and afterwards."""
    calls = (("plain", "text"), ("minted", "{owner~1}"), ("minted", "{owner~2}"))
    steps = tuple(Step(call=Call(label=label, tag=tag, args={"name": name})) for label, (tag, name) in enumerate(calls))
    content = written(tmp_path, Trace(steps=steps, nonce="1f0c66aa", ending="passed"))
    kinds = re.findall(r'^# {"k":"(\w+)"', content.decode(), re.MULTILINE)

    assert ["bundle", "command", "nonce", "command", "command", "end"] == kinds
    assert content == written(tmp_path, read_bytes(content).trace)


def test_the_nonce_stands_before_the_calls(tmp_path: Path):
    """The record of the nonce comes after the reset, and before the command that has something minted."""
    kinds = re.findall(
        r'^(?:# {"k":"(\w+)"|- )', written(tmp_path, trace("{owner~1}", nonce="1f0c66aa")).decode(), re.MULTILINE
    )

    assert ["bundle", "", "nonce", "command"] == kinds[:4]


def test_a_bundle_in_which_nothing_was_minted_has_no_nonce(tmp_path: Path):
    """Without a nonce there is no record of it, and none is read."""
    content = written(tmp_path, trace())

    assert b"nonce" not in content
    assert "" == read_bytes(content).trace.nonce


def test_every_flipped_byte_is_noticed(tmp_path: Path):
    """No byte can be changed without an error: corrupt, newer, or not whole."""
    content = written(tmp_path, trace("some text", nonce="1f0c66aa"))
    for position in range(len(content)):
        for flip in (0x01, 0x20):
            changed = bytearray(content)
            changed[position] ^= flip
            try:
                read_again = read_bytes(bytes(changed))
            except BundleError:
                continue

            assert not read_again.whole, f"byte {position}: {content[position : position + 1]!r}"


def test_every_truncation_is_noticed(tmp_path: Path):
    """Cut anywhere, a bundle is read as far as it goes and is not whole, or is no bundle at all."""
    content = written(tmp_path, trace())
    for length in range(len(content)):
        try:
            cut = read_bytes(content[:length])
        except (CorruptBundleError, TruncatedBundleError):
            assert length <= content.index(b"\n", content.index(b"\n") + 1)
            continue

        assert not cut.whole


@pytest.mark.parametrize("more", [b"x", b"x\n", b"\n", b"# {}\n", b"- {}\n"])
def test_nothing_may_follow_the_end(more: bytes, tmp_path: Path):
    """Bytes after the last line are noticed, a line's end or not."""
    with pytest.raises(CorruptBundleError):
        read_bytes(written(tmp_path, trace()) + more)


def test_unknown_records_and_keys_are_passed_over(tmp_path: Path):
    """What a later version adds is no error for this one."""
    path = tmp_path / "more.pd"
    with Writer(tmp_path / "more.partial") as writer:
        writer.begin(provenance())
        writer._record("mood", {"step": 3, "good": True})
        writer._line(b'# {"k":"command","step":3,"tag":"create","version":1,"args":{},"colour":"red"}\n')
        writer.end("passed", "", None)
        writer.save(path)

    assert ["create"] == [step.call.tag for step in read(path).trace.steps]


def lines(*more: str) -> bytes:
    """Make a file that begins as a bundle, and goes on with some lines."""
    head = b'# {"k":"bundle","format":1,"tool":"t","model":"m:M","adapter":"a:A","model_digest":"d","campaign_seed":1,'
    head += b'"run":0,"seed":1,"commands":1,"url":null}\n'
    return b"version: 1\n" + head + "".join(f"{line}\n" for line in more).encode()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "- nonsense",
        "# {nonsense}",
        "- []",
        '- {"request":1}',
        '- {"request":{},"response":{}}',
        '# {"k":"event","step":9,"tag":"x","version":1,"data":{}}',
        '# {"k":"command","step":"one","tag":"x"}',
        '# {"k":"command","step":1,"tag":1}',
        '# {"k":"command","step":true,"tag":"x"}',
        '# {"k":"failure","kind":"no such kind","name":"x","message":"y"}',
        '# {"k":"command","step":1,"tag":"x","args":{"a":NaN}}',
        '# {"k":"command","step":1,"tag":"x","args":{"a":1,"a":2}}',
        '# {"k":"command","step":' + "9" * 5000 + ',"tag":"x"}',
        '# {"k":"x","a":' + "[" * 300 + "]" * 300 + "}",
        '# {"k":"x","a":' + "[" * 100000 + "]" * 100000 + "}",
        '# {"k":"net","step":1}',
        '# {"k":"moment","step":1,"called":0,"returned":1}',
        '# {"k":"nonce"}',
        '# {"k":"nonce","nonce":null}',
        '# {"k":"nonce","nonce":3}',
        '# {"k":"nonce","nonce":true}',
        '# {"k":"nonce","nonce":["1f0c66aa"]}',
        '# {"k":"nonce","nonce":{"a":"1f0c66aa"}}',
        '# {"k":"end","ending":"happily","reason":"","records":2,"sha256":""}',
        '# {"k":"end"}',
        '# {"k":"x","a":"\\UFFFFFFFF"}',
        "\x00",
        "\ufeff",
    ],
)
def test_bad_lines_are_errors_with_their_number(line: str):
    """A line that no bundle may hold is a CorruptBundleError that names it."""
    with pytest.raises(CorruptBundleError, match="line 3"):
        read_bytes(lines(line))


@pytest.mark.parametrize(
    "content", [b"\x00", b"version: 2\n", b"version: 1\n# x", b"PK\x03\x04", b"version: 1\r\n", b"\xff"]
)
def test_what_is_no_bundle_is_said_to_be_none(content: bytes):
    """A file that does not begin as a bundle is told as such."""
    with pytest.raises(CorruptBundleError, match="no bundle"):
        read_bytes(content)


def test_an_empty_file_is_a_bundle_that_was_not_begun():
    """Whoever is stopped before the first line leaves a file without any."""
    with pytest.raises(TruncatedBundleError, match="stopped before its first line"):
        read_bytes(b"")


def test_newer_format_is_refused_by_name():
    """A bundle of a later format is refused with the name of the tool that wrote it."""
    content = lines().replace(b'"format":1', b'"format":2').replace(b'"tool":"t"', b'"tool":"replaykit 9.0"')
    with pytest.raises(NewerBundleError, match=r"replaykit 9\.0"):
        read_bytes(content)


def test_large_files_and_lines_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A file or a line above the limits is an error, before it is parsed."""
    monkeypatch.setattr(raw_lines, "MAX_LINE", 1000)
    with pytest.raises(CorruptBundleError, match="line 3"):
        read_bytes(lines("# " + "x" * 2000))
    monkeypatch.setattr(reader, "MAX_FILE", 10)
    path = tmp_path / "large.pd"
    path.write_bytes(lines())
    with pytest.raises(CorruptBundleError, match="at most 10"):
        read(path)


def test_missing_file_is_named(tmp_path: Path):
    """A file that is not there, or is a folder, is a MissingFileError."""
    for path in (tmp_path / "none.pd", tmp_path):
        with pytest.raises(MissingFileError, match=path.name):
            read(path)


def test_bundle_that_is_not_whole_is_not_judged(tmp_path: Path):
    """A truncated bundle is refused where it would be judged."""
    cut = read_bytes(written(tmp_path, trace())[:-10])
    with pytest.raises(TruncatedBundleError):
        bundles.require_whole(cut, "it")


def test_same_trace_gives_the_same_bytes(tmp_path: Path):
    """Writing is deterministic."""
    assert written(tmp_path, trace("é")) == written(tmp_path, trace("é"))


def test_read_and_written_again_is_the_same(duplicate_names: Path, tmp_path: Path):
    """A bundle that is read and written again has the same bytes."""
    known = read(duplicate_names)
    save(tmp_path / "again.pd", known.provenance, known.trace)

    assert duplicate_names.read_bytes() == (tmp_path / "again.pd").read_bytes()


def test_nothing_is_left_where_a_writer_fails(tmp_path: Path):
    """A writer that is left without saving leaves no file."""
    with pytest.raises(RuntimeError), Writer(tmp_path / "x.partial") as writer:
        writer.begin(provenance())
        raise RuntimeError

    assert [] == list(tmp_path.iterdir())


def test_secrets_in_headers_are_never_written(tmp_path: Path):
    """Credentials in well-known headers are covered before the first write."""
    told = Request(method="GET", url="http://x/", headers=(("Authorization", "Bearer hush"), ("Accept", "*/*")))
    made = Trace(resetting=(interaction(request=told),), ending="passed")
    content = written(tmp_path, made)

    assert b"hush" not in content
    assert b"Authorization" in content


def test_killed_writer_loses_at_most_one_line(tmp_path: Path):
    """After SIGKILL at a random moment, every complete line is there, and no file stands at a final name."""
    script = tmp_path / "write.py"
    script.write_text(
        "import sys, pathlib\n"
        "from test_bundle import interaction, provenance\n"
        "from replaykit.writer import Writer\n"
        "writer = Writer(pathlib.Path(sys.argv[1]))\n"
        "writer.begin(provenance())\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    writer.interaction('reset', None, interaction('x' * 3000))\n"
    )
    path = f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parent.parent}"
    for turn in range(3):
        target = tmp_path / f"{turn}.partial"
        process = subprocess.Popen(
            [sys.executable, script, target], stdout=subprocess.PIPE, env=environment(PYTHONPATH=path)
        )
        assert process.stdout is not None
        with process, process.stdout:
            process.stdout.readline()
            time.sleep(0.05 * (turn + 1))
            process.send_signal(signal.SIGKILL)
        content = target.read_bytes()
        cut = read_bytes(content)

        assert not cut.whole
        assert content.count(b"\n- ") - (not content.endswith(b"\n")) <= len(cut.trace.resetting)
        assert len(cut.trace.resetting) > 0


@pytest.mark.parametrize(
    ("name", "fingerprint", "tags", "state"),
    [
        ("format-0.pd", "6f075236", ["create_player"] * 2, b'{"scores":{"b":0,"a":0}}'),
        ("format-1.pd", "037acf80", ["create_player"] * 2, b'{"scores":{"a":0}}'),
    ],
)
def test_golden_bundles_are_read_for_ever(name: str, fingerprint: str, tags: list[str], state: bytes):
    """One bundle of each format that was ever written is read, whole, with its failure and its steps."""
    golden = read(GOLDEN[0].parent / name)

    assert golden.whole
    assert fingerprint == golden.failure.fingerprint
    assert tags == [call.tag for call in golden.trace.sequence]
    assert state == golden.trace.steps[-1].state


def test_there_is_a_golden_bundle_of_each_format():
    """The folder of golden bundles holds one for each format, from the draft up to the present one."""
    assert [f"format-{number}.pd" for number in range(BUNDLE_FORMAT + 1)] == [path.name for path in GOLDEN]


def test_full_disk_is_told_and_no_fault_of_the_test_code(tmp_path: Path):
    """Where nothing can be written, the error says so, and names the file."""
    (tmp_path / "full.partial").symlink_to("/dev/full")
    with pytest.raises(UnwritableError, match=r"full\.partial"), Writer(tmp_path / "full.partial") as writer:
        writer.begin(provenance())


def test_several_threads_write_a_bundle_that_is_read(tmp_path: Path):
    """Lines that several threads write are whole, counted, and in the digest."""
    from threading import Thread

    path = tmp_path / "threads.pd"
    with Writer(tmp_path / "threads.partial") as writer:
        writer.begin(provenance())
        work = [
            Thread(target=lambda: [writer.interaction("reset", None, interaction()) for _ in range(200)])
            for _ in range(4)
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        writer.end("passed", "", None)
        writer.save(path)

    assert 800 == len(read(path).trace.resetting)


def test_large_bodies_are_cut_and_marked(tmp_path: Path):
    """A body that no reader would take is cut, marked as not complete, and the bundle is read."""
    content = written(tmp_path, trace().replace(resetting=(interaction(body=b"x" * 20_000_000),)))
    response = read_bytes(content).trace.resetting[0].response

    assert response is not None
    assert (bundles.MAX_BODY, False) == (len(response.body), response.complete)


def test_latin_1_headers_and_long_names_are_played_by_vcrpy(tmp_path: Path):
    """What vcrpy can't say of headers stands beside its part, and vcrpy plays the rest."""
    headers = (("X", "caf\xe9"), ("N" * 2000, "1"), ("Y", "z"))
    odd = Response(status=200, reason="Tr\xe8s bien", headers=headers, body=b"hi")
    asked = Request(method="GET", url="http://127.0.0.1:1/")
    path = tmp_path / "odd.pd"
    made = Trace(resetting=(interaction(request=asked, response=odd),), ending="passed")
    save(path, provenance(), made)
    with vcr.use_cassette(str(path), record_mode="none"), httpx.Client() as client:
        answer = client.get("http://127.0.0.1:1/")

    assert (b"hi", "z") == (answer.content, answer.headers["Y"])
    assert made == read(path).trace


@pytest.mark.parametrize(
    "line",
    [
        '- {"request":{"method":"GET","uri":"http://[","body":"","headers":{}},"response":{"status":{"code":200},"body":{}}}',
        '# {"k":"net","part":"reset","elapsed":'
        + "9" * 400
        + ',"request":{"method":"GET","uri":"http://x/","headers":[],"body":""}}',
    ],
)
def test_values_that_can_not_be_are_errors_too(line: str):
    """A URL that is none, and a time beyond all bounds, are told with their line."""
    with pytest.raises(CorruptBundleError, match="line 3"):
        read_bytes(lines(line))


@pytest.mark.parametrize(
    "moment",
    [
        '"called":true',
        '"called":-1',
        '"called":null',
        '"returned":0.1',
        '"called":0.1,"returned":false',
        '"called":"1"',
    ],
)
def test_moments_that_can_not_be_are_errors(moment: str):
    """When a call of a branch was sent is a number of seconds from 0 on, and no truth value."""
    command = '# {"k":"command","step":1,"branch":1,"tag":"x"}'
    with pytest.raises(CorruptBundleError, match="line 4"):
        read_bytes(lines(f'{command}\n# {{"k":"moment","step":1,{moment}}}'))


@pytest.mark.parametrize(
    ("runs", "failed"), [(1, 10**6), (10**400, 1), (10**17, 1), (-5, -3), (5, -1), (None, 3)], ids=str
)
def test_rates_that_can_not_be_are_errors(runs: int | None, failed: int, tmp_path: Path):
    """How often a result failed lies between never and each time, of as many runs as anybody makes."""
    shrinking = Shrinking(
        calls_before=3, executions=1, requests=1, seconds=1.0, confirmed=False, runs=runs, failed=failed
    )
    path = tmp_path / "odd.pd"
    save(path, provenance().replace(shrinking=shrinking), Trace(ending="passed"))
    with pytest.raises(CorruptBundleError, match="line 2"):
        read(path)


def test_of_a_large_body_the_beginning_is_kept_with_size_and_digest(tmp_path: Path):
    """What is left out of a body is known by its size and its SHA-256, in an item and where no answer came."""
    body = b"x" * bundles.MAX_BODY + "\u20ac".encode()
    cut = Cut(size=len(body), sha256=hashlib.sha256(body).hexdigest())
    lost = interaction(body=body, response=None, trouble=Trouble(error="ReadTimeout"))
    path = tmp_path / "large.pd"
    save(path, provenance(), Trace(resetting=(interaction(body=body), lost), ending="passed"))
    [kept, unanswered] = read(path).trace.resetting

    assert kept.response is not None
    assert [cut] * 3 == [kept.request.cut, kept.response.cut, unanswered.request.cut]
    assert [body[:-3]] * 3 == [kept.request.body, kept.response.body, unanswered.request.body]
    assert path.read_bytes() == written(tmp_path, read(path).trace)


@pytest.mark.parametrize(
    "cut",
    ["1", "{}", '{"size":-1,"sha256":"0"}', '{"size":1,"sha256":"00"}', '{"size":"1","sha256":"' + "0" * 64 + '"}'],
)
def test_a_cut_that_can_not_be_is_an_error(cut: str):
    """A body is cut by a size and a digest that can be."""
    item = '- {"request":{"method":"GET","uri":"http://x/"},"response":{"status":{"code":200},"body":{}},'
    with pytest.raises(CorruptBundleError, match="line 3"):
        read_bytes(lines(f'{item}"replaykit":{{"response_cut":{cut}}}}}'))


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ('"code":-5', ""),
        ('"code":99', ""),
        ('"code":1000', ""),
        ('"code":200,"message":"\\u2615"', ""),
        ('"code":200', '"reason":"\\u2615"'),
        ('"code":200', '"http":"\\u2615"'),
        ('"code":200', '"response_headers":[["X","\\u2615"]]'),
        ('"code":200', '"request_headers":[["\\u2615","x"]]'),
    ],
)
def test_an_answer_that_no_server_can_give_is_an_error(status: str, more: str):
    """A status has three digits, and what was bytes on the wire has no character that is none."""
    request, response = '{"method":"GET","uri":"http://x/"}', f'{{"status":{{{status}}},"body":{{}}}}'
    item = f'- {{"request":{request},"response":{response},"replaykit":{{{more}}}}}'
    with pytest.raises(CorruptBundleError, match=r"line 3: .*(no byte|no status)"):
        read_bytes(lines(item))


def test_commands_that_no_reader_would_take_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The arguments of a run have a limit, which the writer keeps to as well."""
    monkeypatch.setattr(writer_module, "MAX_DATA", 1000)
    with pytest.raises(UnwritableError, match="more than 1000 bytes"):
        written(tmp_path, trace("x" * 1000))


def test_the_faults_that_were_on_are_read_as_they_were_written(tmp_path: Path):
    """The labels of the calls that began them stand with each call that was sent meanwhile, and nowhere else."""
    made = trace()
    under = made.replace(steps=(made.steps[0].replace(faults=(1, 2)),))
    content = written(tmp_path, under)

    assert under == read_bytes(content).trace
    assert 1 == content.count(b'"faults"')
    assert 0 == written(tmp_path, made).count(b'"faults"')


@pytest.mark.parametrize("faults", ["1", '"ab"', "[true]", "[1.0]", '["1"]', "[null]", "{}", "[[1]]", "null"])
def test_faults_that_can_not_be_are_errors(faults: str):
    """They are a list of whole numbers."""
    with pytest.raises(CorruptBundleError, match="line 3"):
        read_bytes(lines(f'# {{"k":"command","step":1,"tag":"x","faults":{faults}}}'))
