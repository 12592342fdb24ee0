"""Claim: who uses a folder is known, whether they live too, and only what the dead left is taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

from replaykit import claim
from replaykit.claim import claims, erase, held, inherited, is_over, reason
from replaykit.errors import MachineError


def taken(folder: Path, owner: Path) -> list[str]:
    """Take over all that can be, and return the names of the places."""
    found = []
    for each in list(claims(folder)):
        with inherited(each, owner) as place:
            found += [place.name] if place else []
    return found


def left(folder: Path, name: str, owner: Path, said: str) -> Path:
    """Leave a claim as somebody does who is killed; return its place."""
    (folder / name).mkdir(parents=True)
    (folder / f"{name}.claim").write_text(json.dumps({"owner": str(owner), "reason": said}))
    return folder / name


def test_a_claim_is_there_as_long_as_its_place(tmp_path):
    """While it is held nobody else takes it, and it goes with its place."""
    place = tmp_path / "a" / "place"
    with held(place, tmp_path):
        place.mkdir()

        assert [each.name for each in claims(tmp_path)] == ["place.claim"]
        assert taken(tmp_path, tmp_path) == []
        place.rmdir()

    assert list(claims(tmp_path)) == []


def test_a_place_that_stays_keeps_its_claim(tmp_path):
    """What could not be removed is still claimed, so that it can be found."""
    with held(tmp_path / "place", tmp_path):
        (tmp_path / "place").mkdir()

    assert [each.name for each in claims(tmp_path)] == ["place.claim"]


def test_a_claim_of_a_process_that_was_killed_is_taken(tmp_path):
    """A claim is taken over where its process is gone, and goes with its place."""
    code = "import os, sys, pathlib; from replaykit.claim import held; place = pathlib.Path(sys.argv[1])\n"
    code += "with held(place, place.parent): place.mkdir(); os.kill(os.getpid(), 9)"
    words = [sys.executable, "-c", code, str(tmp_path / "place")]
    subprocess.run(words, env={**environment(), "PYTHONPATH": str(ROOT)}, check=False)
    with inherited(tmp_path / "place.claim", tmp_path) as place:
        assert place == tmp_path / "place"
        place.rmdir()

    assert list(tmp_path.iterdir()) == []


def test_only_claims_of_the_dead_here_are_taken(tmp_path):
    """Of another machine, of somebody who lives, of another repository, and what can't be read is left alone."""
    host = os.uname().nodename
    (tmp_path / "other").mkdir()
    left(tmp_path, "elsewhere", tmp_path, f"replaykit bisect 1 {host}x 0-0")
    left(tmp_path, "alive", tmp_path, reason())
    left(tmp_path, "theirs", tmp_path / "other", f"replaykit bisect {os.getpid()} {host} 0-0")
    left(tmp_path, "ours", tmp_path, f"replaykit bisect {os.getpid()} {host} 0-0")
    left(tmp_path, "orphan", tmp_path / "gone", f"replaykit bisect {os.getpid()} {host} 0-0")
    for name, text in {"broken": "{", "list": "[]", "empty": "", "odd": '{"owner": 1, "reason": 2}'}.items():
        (tmp_path / f"{name}.claim").write_text(text)

    assert taken(tmp_path, tmp_path) == ["orphan", "ours"]


@pytest.mark.parametrize(
    "said", ["", "mine", "replaykit bisect", "replaykit bisect x h 1", "replaykit bisect 1 2 3 4 5"]
)
def test_what_others_say_is_not_over(said):
    """A reason that is not ours says nothing of anybody."""
    assert not is_over(said)
    assert not is_over(reason())


def test_a_process_that_ended_but_was_not_waited_for_is_over():
    """A zombie does not hold anything."""
    process = subprocess.Popen(["true"])
    while claim.start_of(process.pid):
        pass
    words = reason().split()

    assert is_over(" ".join([*words[:2], str(process.pid), words[3], "1-1"]))
    process.wait()


def test_claims_in_what_is_claimed_are_none(tmp_path):
    """A commit that holds a file with the name of a claim claims nothing."""
    place = left(tmp_path, "place", tmp_path, reason())
    (place / "x.claim").write_text("{}")
    (tmp_path / "y.claim").symlink_to(place / "x.claim")

    assert [each.name for each in claims(tmp_path)] == ["place.claim"]


def test_what_is_erased_takes_nothing_outside_with_it(tmp_path):
    """Links are removed, not what they lead to; what can only be read is removed too."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    inside = tmp_path / "inside"
    (inside / "closed" / "deep").mkdir(parents=True)
    (inside / "closed" / "deep" / "file").write_text("x")
    (inside / "closed" / "link").symlink_to(outside)
    (inside / "closed" / "deep").chmod(0)
    (inside / "closed").chmod(0o500)
    (tmp_path / "link").symlink_to(outside)
    erase(inside)
    erase(tmp_path / "link")
    erase(tmp_path / "nothing")

    assert [each.name for each in tmp_path.iterdir()] == ["outside"]
    assert outside.stat().st_mode & 0o777 == 0o500


def test_a_claim_that_can_not_be_written_is_trouble(tmp_path):
    """A folder that can't be made is trouble of the machine."""
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError), held(tmp_path / "file" / "place", tmp_path):
        pass
