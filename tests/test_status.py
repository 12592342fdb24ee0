"""The status of saved bugs."""

import os
import threading
from pathlib import Path

import pytest

from replaykit.errors import MissingFileError, StatusError, UnwritableError, UsageError
from replaykit.status import FILE, Status, change, statuses


def test_folder_without_a_file_has_no_statuses(tmp_path: Path):
    """Where nobody has written one, there is no status."""
    assert {} == statuses(tmp_path)


def test_statuses_are_read(tmp_path: Path):
    """Each bundle has its word, its ticket and its note; what is left out is open, and has none."""
    (tmp_path / FILE).write_text('["a.pd"]\nstatus = "fixed"\nticket = "T-1"\nnote = "done"\n["b.pd"]\n')

    assert {"a.pd": Status("fixed", "T-1", "done"), "b.pd": Status("open")} == statuses(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "can't be read"),
        ("a = 1", "no table"),
        ('["a.pd"]\nstatus = "mended"', "the status 'mended'"),
        ('["a.pd"]\nstate = "open"', "unknown key 'state'"),
        ('["a.pd"]\nnote = 3', "a note that is no text"),
        ("#" * (4 * 1024 * 1024 + 1), "too large"),
    ],
)
def test_file_that_is_not_well_made_is_an_error(text: str, said: str, tmp_path: Path):
    """What is wrong in the file is named."""
    (tmp_path / FILE).write_text(text)

    with pytest.raises(StatusError) as raised:
        statuses(tmp_path)

    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# ours\n",
        '# of the first\n["a.pd"] # here\nnote   =  "x" # there\n\n# of the second\n["b.pd"]\nstatus="fixed"',
        '"a.pd" = { ticket = "T-1" }\n',
        '"a.pd".ticket = "T-1"\n',
        '["a.pd"]\r\nnote = """\r\nlong\r\n"""\r\n',
    ],
)
def test_what_people_wrote_stays_where_a_status_is_changed(text: str, tmp_path: Path):
    """Whatever the layout is, only what is changed is written; twice the same changes nothing."""
    file = tmp_path / FILE
    file.write_bytes(text.encode())
    before = statuses(tmp_path)
    said = change(tmp_path, ["a.pd"], "fixed", ticket="T-2")
    content = file.read_bytes()
    change(tmp_path, ["a.pd"], "fixed")

    known = before.get("a.pd", Status())
    assert {"a.pd": Status("fixed", "T-2", known.note)} == said
    assert {**before, **said} == statuses(tmp_path)
    assert content == file.read_bytes()
    lines = {line for line in text.splitlines() if "T-1" not in line}
    assert lines <= set(content.decode().splitlines())
    assert [file] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["ö.pd", 'a "b".pd', "a.b.c.pd", "x\ny.pd", "["])
def test_any_name_can_have_a_status(name: str, tmp_path: Path):
    """Names are quoted where TOML asks for that."""
    change(tmp_path, [name, "other.pd"], "wontfix", note='"""\n[x]\x1b')

    assert {each: Status("wontfix", None, '"""\n[x]\x1b') for each in (name, "other.pd")} == statuses(tmp_path)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("# ours", '# ours\n\n["a.pd"]\nstatus = "fixed"\n\n["c.pd"]\nstatus = "fixed"\n'),
        ('["b.pd"]\n# end\n', '["b.pd"]\n# end\n\n["a.pd"]\nstatus = "fixed"\n\n["c.pd"]\nstatus = "fixed"\n'),
        ('["b.pd"]\r\n', '["b.pd"]\r\n\r\n["a.pd"]\r\nstatus = "fixed"\r\n\r\n["c.pd"]\r\nstatus = "fixed"\r\n'),
        ('["a.pd"]\r\n["c.pd"]\r\n', '["a.pd"]\r\nstatus = "fixed"\r\n["c.pd"]\r\nstatus = "fixed"\r\n'),
        ('["b.pd"]\n\n', '["b.pd"]\n\n["a.pd"]\nstatus = "fixed"\n\n["c.pd"]\nstatus = "fixed"\n'),
    ],
)  # fmt: skip
def test_what_is_added_is_laid_out_as_people_would(text: str, after: str, tmp_path: Path):
    """A blank line stands before each table that is new, and lines end as the others of the file do."""
    file = tmp_path / FILE
    file.write_bytes(text.encode())
    change(tmp_path, ["a.pd", "c.pd"], "fixed")

    assert after == file.read_bytes().decode()


@pytest.mark.parametrize(
    ("name", "ticket", "note"), [("\udcff.pd", None, None), ("a.pd", "\udcff", None), ("a.pd", "", "\udcff")]
)
def test_what_is_no_text_is_refused(name: str, ticket: str | None, note: str | None, tmp_path: Path):
    """TOML is UTF-8: a name or a note in other bytes can't be written, and nothing is."""
    with pytest.raises(UsageError, match=r"'\\udcff.*is not UTF-8"):
        change(tmp_path, [name], "fixed", ticket=ticket, note=note)

    assert [] == [*tmp_path.iterdir()]


def test_pipe_is_not_waited_for(tmp_path: Path):
    """What is no file is told, instead of read."""
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(StatusError, match="is no regular file"):
        statuses(tmp_path)


def test_two_that_change_it_at_once_wait_for_each_other(tmp_path: Path):
    """No change is lost."""
    names = [f"{number:02}.pd" for number in range(12)]
    threads = [threading.Thread(target=change, args=(tmp_path, [name], "fixed")) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert dict.fromkeys(names, Status("fixed")) == dict(
        sorted(statuses(tmp_path).items(), key=lambda it: int(it[0][:-3]))
    )


def test_file_that_is_not_well_made_is_left_alone(tmp_path: Path):
    """What can't be read is not written over; nor is what can't be written left half done."""
    (tmp_path / FILE).write_text('["a.pd"]\nstatus = "mended"\n')
    with pytest.raises(StatusError):
        change(tmp_path, ["a.pd"], "fixed")
    folder = tmp_path / "b"
    (folder / FILE).mkdir(parents=True)

    assert '["a.pd"]\nstatus = "mended"\n' == (tmp_path / FILE).read_text()
    with pytest.raises((UnwritableError, MissingFileError)):
        change(folder, ["a.pd"], "fixed")
