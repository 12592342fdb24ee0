"""The command `replaykit bisect`: exit codes first, then who is told, and what is left as it was."""

import hashlib
import json
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from bisected import bisect_words, blame_of, command, homes, kept, left_of, trees_of, variables
from conftest import Ran, replaykit
from histories import BUILD, NAMES, START, History, Plan, git, made, recorded

from replaykit.blame import Blame
from replaykit.reader import read

COMMITS = 80
CULPRIT = 47
SHORT = 7  # characters of a hash, at least, that are told
WRITTEN = (0, 2, 5)  # lines of the journal after which it is killed
SOON = 60  # seconds in which something has to happen


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a bundle of the bug that showed each time."""
    return recorded(tmp_path_factory.mktemp("steady") / "pay.pd")


@pytest.fixture
def bundle(steady: Path, tmp_path: Path) -> Path:
    """Give a copy of it, since a bisect writes the culprit into it."""
    return Path(shutil.copy(steady, tmp_path / "pay.pd"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Give a history with a culprit and nothing that makes it hard; nobody changes it."""
    return made(tmp_path_factory.mktemp("plain") / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, int]:
    """Give a history with merges, whose culprit is in one of the branches; and the number of its merge."""
    folder = tmp_path_factory.mktemp("merged")
    shape = made(folder / "shape", Plan(commits=COMMITS, culprit=1, merges=4))
    merge = [number for number in shape.main if len(shape.parents[number]) > 1][4]
    return made(folder / "ledger", Plan(commits=COMMITS, culprit=merge - 2, merges=4)), merge


def asked(history: History, folder: Path, *words: object, **more: str) -> Ran:
    """Run a bisect in a repository, and see that nothing of the user's was touched and nothing is left."""
    before = kept(history)
    ran = replaykit(*words, cwd=history.folder, **homes(folder), **more)

    assert kept(history) == before
    assert left_of(folder) == []
    assert trees_of(history) == []
    return ran


def told(ran: Ran) -> Blame:
    """Read the JSON document."""
    return blame_of(ran.out)


def named(blame: Blame) -> str | None:
    """Return the hash of the commit that is blamed."""
    return blame.culprit and blame.culprit.id


# --- who it is ----------------------------------------------------------------------------------


def test_the_commit_that_brought_the_bug_is_found(plain: History, bundle: Path, tmp_path: Path):
    """One command tells the commit: 0, its hash in the last line, its author and its pull request."""
    ran = asked(plain, tmp_path, *bisect_words(bundle))

    assert ran.code == 0, ran
    assert ran.verdict.startswith("VERDICT found"), ran
    assert plain.culprit[:SHORT] in ran.verdict
    assert "pay in cents (#47)" in ran.out
    assert (read(bundle).provenance.culprit or "").startswith(plain.culprit[:SHORT])


def test_json_is_the_blame(plain: History, bundle: Path, tmp_path: Path):
    """With --json, one document is printed and nothing else; Markdown is written beside it."""
    report = tmp_path / "report.md"
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--json", "--markdown", report)
    blame = told(ran)

    assert (ran.code, blame.exit_code, blame.outcome) == (0, 0, "found"), ran
    assert named(blame) == plain.culprit
    assert blame.parent is not None
    assert blame.parent.id == plain.hashes[CULPRIT - 1]
    assert blame.change is not None
    assert (blame.change.author.partition(" <")[0], blame.change.pull_request) == ("a", "47")
    assert blame.confirmed
    assert blame.spent.tests <= 9  # two ends, and the commits before 80 are halved 6 or 7 times
    assert plain.culprit[:SHORT] in report.read_text()


def test_the_culprit_stands_in_the_ticket(plain: History, bundle: Path, tmp_path: Path):
    """What was found out is told in the text of an issue."""
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--quiet")
    ticket = tmp_path / "issue.md"
    exported = replaykit("export", bundle, "--format", "ticket", "--output", ticket)

    assert (ran.code, exported.code) == (0, 0), (ran, exported)
    assert plain.culprit[:SHORT] in ticket.read_text()


def test_commits_that_can_not_be_built_are_left_out(bundle: Path, tmp_path: Path):
    """Here and there a build fails: the commit is found all the same."""
    plan = Plan(commits=COMMITS, culprit=CULPRIT, broken={8, 20, 39, 40, 44, 50, 60}, breaks="build")
    history = made(tmp_path / "ledger", plan)
    ran = asked(history, tmp_path, *bisect_words(bundle), "--build", BUILD, "--json")
    blame = told(ran)

    assert ran.code == 0, ran
    assert named(blame) == history.culprit
    assert {each.word for each in blame.tested if each.state == "skipped"} <= {"unbuildable"}


def test_a_block_that_can_not_be_started_leaves_candidates(bundle: Path, tmp_path: Path):
    """Where the culprit can't be told from its neighbours, all of them are named, and nobody is accused: 125."""
    broken = range(CULPRIT - 3, CULPRIT + 2)
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT, broken=broken))
    ran = asked(history, tmp_path, *bisect_words(bundle), "--json")
    blame = told(ran)

    assert (ran.code, blame.outcome) == (125, "candidates"), ran
    assert {each.point.id for each in blame.suspects} == {history.hashes[each] for each in (*broken, CULPRIT + 2)}
    assert {each.place for each in blame.tested if each.state == "skipped"} <= set(broken)


@pytest.mark.parametrize("masks", ["step", "check"])
def test_another_bug_is_not_taken_for_this_one(bundle: Path, tmp_path: Path, masks):
    """Commits that fail in another way are neither good nor bad, so no wrong one is accused."""
    masked = range(30, 50)
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT, masked=masked, masks=masks))
    ran = asked(history, tmp_path, *bisect_words(bundle), "--json")
    blame = told(ran)

    assert (ran.code, blame.outcome) == (125, "candidates"), ran
    assert history.culprit in {each.point.id for each in blame.suspects}
    assert {each.word for each in blame.tested if each.state == "skipped"} == {"different"}


def test_a_bug_that_shows_only_sometimes_is_found(tmp_path: Path):
    """Each commit is tried as often as it takes, and how often the bug shows is told."""
    bundle = recorded(tmp_path / "flaky.pd", failed=5)
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT, rate=0.6))
    ran = asked(history, tmp_path, *bisect_words(bundle), "--json")
    blame = told(ran)

    assert ran.code == 0, ran
    assert named(blame) == history.culprit
    assert not blame.steady
    assert blame.confidence is not None
    assert blame.confidence >= 0.98


def test_a_budget_that_is_spent_ends_it(tmp_path: Path):
    """With too few replays nobody is accused: 125, and what is known so far stays."""
    bundle = recorded(tmp_path / "flaky.pd", failed=5)
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT, rate=0.6))
    ran = asked(history, tmp_path, *bisect_words(bundle), "--json", "--max-replays", "25")
    blame = told(ran)

    assert (ran.code, blame.outcome) == (125, "undecided"), ran
    assert blame.culprit is None


def test_the_commit_that_mended_it_is_found(bundle: Path, tmp_path: Path):
    """With --find-fix, bad is the older end and good the newer one."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=0, mended=33))
    ran = asked(history, tmp_path, *bisect_words(bundle, good="main", bad="v1.0"), "--find-fix", "--json")
    blame = told(ran)

    assert (ran.code, blame.fix) == (0, True), ran
    assert named(blame) == history.hashes[33]


def test_the_good_end_is_looked_for(bundle: Path, tmp_path: Path):
    """With --good auto, the search goes back from the bad end, twice as far each time."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=COMMITS - 10))
    ran = asked(history, tmp_path, *bisect_words(bundle, good="auto"), "--json")
    blame = told(ran)

    assert ran.code == 0, ran
    assert named(blame) == history.culprit
    assert all(each.place > COMMITS // 2 for each in blame.tested)


@pytest.mark.parametrize("options", [(), ("--all-parents",)], ids=["merges first", "all parents"])
def test_the_commit_inside_of_a_merge_is_found(merged: tuple[History, int], bundle: Path, tmp_path: Path, options):
    """The merge that brought the bug is found, then the commit inside of it; or that one at once."""
    history, merge = merged
    ran = asked(history, tmp_path, *bisect_words(bundle), *options, "--json")
    blame = told(ran)

    assert ran.code == 0, ran
    assert named(blame) == history.culprit
    if not options:
        assert blame.merge is not None
        assert blame.merge.id == history.hashes[merge]


def test_several_jobs_come_to_the_same(plain: History, bundle: Path, tmp_path: Path):
    """Two commits are tried at a time, each in a worktree of its own."""
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--jobs", "2", "--json")
    blame = told(ran)

    assert ran.code == 0, ran
    assert named(blame) == plain.culprit


def test_a_clone_comes_to_the_same(plain: History, bundle: Path, tmp_path: Path):
    """With --isolation clone, nothing at all is written into the repository."""
    before = sorted(path for path in (plain.folder / ".git").rglob("*"))
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--isolation", "clone", "--json")

    assert ran.code == 0, ran
    assert named(told(ran)) == plain.culprit
    assert before == sorted(path for path in (plain.folder / ".git").rglob("*"))


# --- what can't be searched ---------------------------------------------------------------------


def test_a_range_without_the_bug_is_wrong(plain: History, bundle: Path, tmp_path: Path):
    """Not bad at the bad end: 1, and nobody is accused."""
    ran = asked(plain, tmp_path, *bisect_words(bundle, bad=plain.hashes[CULPRIT - 1]))

    assert ran.code == 1, ran
    assert ran.verdict.startswith("VERDICT not bad"), ran


def test_a_range_in_which_the_bug_is_from_the_start_is_wrong(plain: History, bundle: Path, tmp_path: Path):
    """Not good at the good end: 1, and what to do about it."""
    ran = asked(plain, tmp_path, *bisect_words(bundle, good=plain.culprit))

    assert ran.code == 1, ran
    assert ran.verdict.startswith("VERDICT not good"), ran
    assert "--good auto" in ran.out + ran.err


def test_a_shallow_clone_is_refused(plain: History, bundle: Path, tmp_path: Path):
    """Half of a history is none: 129, with the command that fetches the rest."""
    folder = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "5", f"file://{plain.folder}", str(folder))
    ran = replaykit(*bisect_words(bundle, good="HEAD~3", bad="HEAD"), cwd=folder, **homes(tmp_path))

    assert ran.code == 129, ran
    assert "git fetch --unshallow" in ran.err


@pytest.mark.parametrize("ref", ["nowhere", "--exec=touch owned", "v1.0:app.py", ""])
def test_a_commit_that_there_is_not_is_refused(plain: History, bundle: Path, tmp_path: Path, ref: str):
    """What names no commit is a mistake on the command line, whatever it looks like: 129."""
    ran = asked(plain, tmp_path, "bisect", bundle, f"--good={ref}", "--bad", "main", *NAMES, "--start", START)

    assert ran.code == 129, ran
    assert not (plain.folder / "owned").exists()


def test_a_good_commit_on_another_branch_is_refused_and_the_merge_base_is_offered(bundle: Path, tmp_path: Path):
    """Good has to be an ancestor of bad: 129, with the commit at which the two came apart."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    history.git("branch", "side", history.hashes[20])
    tree = history.git("rev-parse", f"{history.hashes[20]}^{{tree}}")
    side = history.git("commit-tree", tree, "-p", history.hashes[20], "-m", "aside")
    history.git("update-ref", "refs/heads/side", side)
    ran = asked(history, tmp_path, *bisect_words(bundle, good="side"))

    assert ran.code == 129, ran
    assert history.hashes[20][:SHORT] in ran.err


def test_outside_of_a_repository_nothing_is_searched(bundle: Path, tmp_path: Path):
    """Where there is no repository, it is a mistake of whoever called it: 129."""
    ran = replaykit(*bisect_words(bundle), cwd=tmp_path, **homes(tmp_path))

    assert ran.code == 129, ran


def test_without_a_command_to_start_nothing_is_searched(plain: History, bundle: Path, tmp_path: Path):
    """A service has to be started at each commit, so its command has to be named: 129."""
    ran = asked(plain, tmp_path, *bisect_words(bundle, start=None))

    assert ran.code == 129, ran
    assert "--start" in ran.err


# --- what is the user's -------------------------------------------------------------------------


def test_what_is_not_committed_stays_as_it_is(steady: Path, tmp_path: Path):
    """Changed, staged and untracked files, and an own bisect in progress, are neither in the way nor touched.

    The bundle is one of the untracked files: it is read before anything is checked out.
    """
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    history.git("bisect", "start", "main~1", "v1.0")
    (history.folder / "app.py").write_text("changed\n")
    (history.folder / "build.py").write_text("staged\n")
    history.git("add", "build.py")
    (history.folder / "notes.txt").write_text("untracked\n")
    bundle = Path(shutil.copy(steady, history.folder / "pay.pd"))
    ran = asked(history, tmp_path, *bisect_words(Path("pay.pd")), "--json")

    assert ran.code == 0, ran
    assert named(told(ran)) == history.culprit
    assert (history.folder / "app.py").read_text() == "changed\n"
    assert (history.folder / "notes.txt").read_text() == "untracked\n"
    assert (read(bundle).provenance.culprit or "").startswith(history.culprit[:SHORT])


def test_variables_of_a_hook_lead_nowhere(plain: History, bundle: Path, tmp_path: Path):
    """Started from a hook, with git's variables set, it works in its own worktree all the same."""
    own = str(plain.folder / ".git")
    more = {"GIT_DIR": own, "GIT_WORK_TREE": str(plain.folder), "GIT_INDEX_FILE": f"{own}/index"}
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--json", **more)

    assert ran.code == 0, ran
    assert named(told(ran)) == plain.culprit


def test_hooks_are_not_run(bundle: Path, tmp_path: Path):
    """A hook that git runs after each checkout is the user's, and is not run for ours."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    hook = history.folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    ran = asked(history, tmp_path, *bisect_words(bundle))

    assert ran.code == 0, ran
    assert not (tmp_path / "hooked").exists()


def test_commands_in_a_bundle_are_never_run(plain: History, bundle: Path, tmp_path: Path):
    """A bundle may be a stranger's: what it says of building and starting is not even looked at."""
    owned = tmp_path / "owned"
    said = dict.fromkeys(("build", "setup", "start", "reset_command", "profile"), f"touch {owned}")
    head, mark, rest = bundle.read_text().partition('# {"k":"bundle",')
    text = f"{head}{mark}{json.dumps(said)[1:-1]},{rest}"
    above, end, last = text.rpartition('# {"k":"end"')
    digest = hashlib.sha256(above.encode()).hexdigest()
    bundle.write_text(above + end + re.sub(r'"sha256":"\w+"', f'"sha256":"{digest}"', last))
    assert read(bundle).whole
    without = asked(plain, tmp_path, *bisect_words(bundle, start=None))
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--json")

    assert (without.code, ran.code) == (129, 0), (without, ran)
    assert not owned.exists()


def test_secrets_of_the_command_line_are_covered(plain: History, bundle: Path, tmp_path: Path):
    """What a start command has for a secret stands in no file of ours and on no terminal, whatever it is called by."""
    secrets = ("sk_live_abcdef0123456789abcdef", "hunter2secret")
    start = f"{START} --api-key={secrets[0]} --password {secrets[1]}"
    report = tmp_path / "report.md"
    ran = asked(plain, tmp_path, *bisect_words(bundle, start=start), "--markdown", report)
    files = [path for path in (tmp_path / "xdg_state_home").rglob("*") if path.is_file()]
    texts = [report.read_text(), ran.out, ran.err, *(path.read_text(errors="replace") for path in files)]
    results = [path for path in files if path.name in {"result.json", "bisect.log"}]

    assert ran.code == 0, ran
    assert "--password REDACTED.--password" in texts[0]
    assert [] == [each for each in secrets for text in texts if each in text]
    assert [0o600, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in results]


def test_git_comes_to_the_same_commit(bundle: Path, tmp_path: Path):
    """The log that is kept brings `git bisect replay` to the commit that was found."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    ran = asked(history, tmp_path, *bisect_words(bundle), "--json")
    [log] = (tmp_path / "xdg_state_home").rglob("bisect.log")
    said = history.git("bisect", "replay", str(log))

    assert ran.code == 0, ran
    assert f"{history.culprit} is the first bad commit" in said
    assert log.read_text().splitlines()[-1].startswith(f"# first bad commit: [{history.culprit}] ")


# --- what can't be written ----------------------------------------------------------------------


def test_a_report_that_can_not_be_written_is_told_before_anything_is_tried(
    plain: History, bundle: Path, tmp_path: Path
):
    """A folder that is not there is a mistake on the command line: 129, and no bisect begins."""
    ran = asked(plain, tmp_path, *bisect_words(bundle), "--markdown", tmp_path / "nowhere" / "report.md")

    assert ran.code == 129, ran
    assert "there is no folder" in ran.err
    assert written(tmp_path) == 0


@pytest.mark.parametrize("name", ["result.json", "report.md"])
def test_a_result_that_can_not_be_written_is_shown(plain: History, bundle: Path, tmp_path: Path, name: str):
    """What becomes unwritable on the way is told, and the result is printed all the same."""
    state = tmp_path / "xdg_state_home"
    build = shlex.join([sys.executable, "-c", textwrap.dedent(f"""
        from pathlib import Path
        kept = [each.with_name("result.json") for each in Path({str(state)!r}).rglob("logs")]
        for path in [Path({str(tmp_path / "report.md")!r}), *kept]:
            if path.name == {name!r}:
                (path / "x").mkdir(parents=True, exist_ok=True)
    """)])  # fmt: skip
    words = (*bisect_words(bundle), "--build", build, "--markdown", tmp_path / "report.md")
    ran = asked(plain, tmp_path, *words)

    assert ran.code == 0, ran
    assert ran.verdict.startswith("VERDICT found"), ran
    assert f"{name} can't be written" in ran.err
    assert "Traceback" not in ran.err


# --- stopped, and gone on with ------------------------------------------------------------------


def stopped(history: History, folder: Path, bundle: Path, how: signal.Signals, lines: int) -> int:
    """Start a bisect, and stop it once its journal has so many lines; return its exit code."""
    process = subprocess.Popen(
        command(*bisect_words(bundle)), cwd=history.folder, env=variables(folder), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with process:
        deadline = time.monotonic() + SOON
        while process.poll() is None and written(folder) <= lines and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it could be stopped"
        process.send_signal(how)
        return process.wait(SOON)


def written(folder: Path) -> int:
    """Count the lines of the journal; 0 while there is none."""
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("journal.jsonl"))


@pytest.mark.parametrize("lines", WRITTEN)
def test_after_sigkill_it_goes_on(plain: History, bundle: Path, tmp_path: Path, lines: int):
    """Killed at any moment, it leaves no process and nothing changed; --resume ends at the same commit."""
    before = kept(plain)
    code = stopped(plain, tmp_path, bundle, signal.SIGKILL, lines)

    assert code == -signal.SIGKILL
    assert left_of(tmp_path) == []
    assert kept(plain) == before

    ran = asked(plain, tmp_path, "bisect", "--resume", "--json")

    assert ran.code == 0, ran
    assert named(told(ran)) == plain.culprit


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_on_request_it_goes_on(plain: History, bundle: Path, tmp_path: Path, how: signal.Signals, code: int):
    """Ctrl-C is 130 and TERM 143: everything is put away, and --resume ends at the same commit."""
    before = kept(plain)

    assert stopped(plain, tmp_path, bundle, how, 2) == code
    assert left_of(tmp_path) == []
    assert (kept(plain), trees_of(plain)) == (before, [])

    ran = asked(plain, tmp_path, "bisect", "--resume", "--json")

    assert ran.code == 0, ran
    assert named(told(ran)) == plain.culprit


def test_nothing_to_go_on_with(plain: History, tmp_path: Path):
    """Without a bisect that was stopped, --resume is a mistake: 129."""
    ran = asked(plain, tmp_path, "bisect", "--resume")

    assert ran.code == 129, ran


def test_a_spent_budget_is_raised(bundle: Path, tmp_path: Path):
    """What is spent is told with the command that gives more of it, and a shorter one does as well.

    A mistyped command in between, and a commit that came since, do not matter.
    """
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    words = bisect_words(bundle, good="HEAD~75", bad="HEAD")
    spent = asked(history, tmp_path, *words, "--max-replays", "6", "--json")
    history.git("commit", "--quiet", "--allow-empty", "-m", "later")
    wrong = asked(history, tmp_path, *bisect_words(bundle, start="nowhere-to-be-found {port}"))
    again = asked(history, tmp_path, "bisect", "--resume", "--max-replays", "7", "--json")
    last = asked(history, tmp_path, "bisect", "--resume", "--max-replays", "500", "--json")

    assert (spent.code, wrong.code, again.code, last.code) == (125, 129, 125, 0), (spent, wrong, again, last)
    assert "bisect --resume --max-replays 12\n" in spent.err
    assert "bisect --resume --max-replays 14\n" in again.err
    assert named(told(last)) == history.culprit


def test_all_of_it_is_said_again_where_it_had_a_secret(bundle: Path, tmp_path: Path):
    """What was not written down has to be given again, and the command says so; the ends are those that it had."""
    history = made(tmp_path / "ledger", Plan(commits=COMMITS, culprit=CULPRIT))
    start = f"{START} --password hunter2secret"
    words = bisect_words(bundle, good="HEAD~75", bad="HEAD", start=start)
    spent = asked(history, tmp_path, *words, "--max-replays", "6")
    history.git("commit", "--quiet", "--allow-empty", "-m", "later")
    short = asked(history, tmp_path, "bisect", "--resume")
    last = asked(history, tmp_path, *words, "--resume", "--json")

    assert (spent.code, short.code, last.code) == (125, 129, 0), (spent, short, last)
    assert "--password REDACTED.--password.1' --resume --max-replays 12\n" in spent.out
    assert "Give all of it again" in short.err
    assert named(told(last)) == history.culprit


@pytest.mark.parametrize("option", ["--build make", "--setup 'true {env}'", "--keep cache", "--isolation clone"])
def test_what_is_for_commits_is_refused_for_versions(bundle: Path, tmp_path: Path, option: str):
    """Versions have no checkout: what is about one is a mistake, and not left out without a word."""
    words = ["--versions", "parrot==1.0..2.0", *NAMES, "--start", START, *shlex.split(option)]
    ran = replaykit("bisect", bundle, *words, cwd=tmp_path, **homes(tmp_path))

    assert ran.code == 129
    assert f"{option.split(maxsplit=1)[0]} is for commits, and --versions has no checkout." in ran.err
