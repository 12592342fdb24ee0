"""Verdicts: the one table of exit codes, and what makes two failures the same bug."""

import itertools

import pytest

from replaykit.errors import (
    BundleError,
    CorruptBundleError,
    DefinitionError,
    ForeignHostError,
    LoadError,
    MissingFileError,
    NewerBundleError,
    ProfileError,
    ReplaykitError,
    StaleError,
    Terminated,
    TruncatedBundleError,
    UnreachableError,
    UsageError,
)
from replaykit.verdict import Failure, Verdict, exit_code, worst

FAILURE = Failure(kind="check", name="board_matches", step=7, command="increase_score", message="1 is not 2")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Verdict.FIXED, 0),
        (Verdict.REPRODUCED, 1),
        (Verdict.DIFFERENT, 125),
        (Verdict.STALE, 125),
        (Verdict.UNREACHABLE, 125),
        (StaleError("a"), 125),
        (UnreachableError("a"), 125),
        (ReplaykitError("a"), 128),
        (DefinitionError("a"), 128),
        (LoadError("a"), 128),
        (BundleError("a"), 128),
        (CorruptBundleError("a"), 128),
        (TruncatedBundleError("a"), 128),
        (NewerBundleError("a"), 128),
        (UsageError("a"), 129),
        (MissingFileError("a"), 129),
        (ProfileError("a"), 129),
        (ForeignHostError("a"), 129),
        (KeyboardInterrupt(), 130),
        (Terminated(15), 143),
        (Terminated(1), 129),
        (ZeroDivisionError(), 128),
        (ImportError("a"), 128),
        (SystemExit(1), 128),
    ],
    ids=repr,
)
def test_each_outcome_has_its_exit_code(outcome, code):
    """The exit code of an outcome is the one in the table."""
    assert code == exit_code(outcome)


def test_only_a_bug_exits_in_the_range_that_git_reads_as_bad():
    """Of all verdicts, `reproduced`, the `failed` of a run that passed, and drift where asked for end with 1 to 124."""
    bad = [verdict for verdict in Verdict if 1 <= exit_code(verdict) <= 124]

    assert [Verdict.REPRODUCED, Verdict.FAILED, Verdict.DRIFTED] == bad


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 125], 125),
        ([0, 1, 125], 1),
        ([125, 1, 0], 1),
        ([1, 128, 125], 128),
        ([129, 1], 129),
        ([0, 130], 130),
        ([1, 1], 1),
    ],
)
def test_of_several_outcomes_the_worst_counts(codes, code):
    """128 and above come before 1, that before 125, and that before 0, in whatever order they happened."""
    assert {code} == {worst(order) for order in itertools.permutations(codes)}


def test_the_worst_can_be_told_of_an_iterator():
    """The codes may come one by one."""
    assert 1 == worst(iter([0, 1]))


# --- fingerprints -------------------------------------------------------------------------------


def test_the_fingerprint_of_an_example_is_pinned():
    """Fingerprints stand in the names of bundles, and so stay the same for ever."""
    assert "f1e38173" == FAILURE.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 8},
        {"step": None},
        {"message": "3 is not 4"},
        {"expected": [1], "actual": [2]},
        {"traceback": "line 3"},
    ],
)
def test_the_fingerprint_leaves_out_what_changes_from_run_to_run(changes):
    """Step, message, values and traceback say nothing of which bug it is."""
    assert FAILURE.fingerprint == FAILURE.replace(**changes).fingerprint


@pytest.mark.parametrize(
    "changes", [{"kind": "invariant"}, {"name": "board_sorted"}, {"command": "create_player"}, {"command": None}]
)
def test_the_fingerprint_is_made_of_kind_name_and_command(changes):
    """Another kind, check or command type is another bug."""
    assert FAILURE.fingerprint != FAILURE.replace(**changes).fingerprint


def test_fingerprints_do_not_mix_their_parts():
    """Moving a letter from one part to the next gives another fingerprint."""
    one = FAILURE.replace(name="ab", command="c")
    other = FAILURE.replace(name="a", command="bc")

    assert one.fingerprint != other.fingerprint


def test_a_fingerprint_is_eight_hexadecimal_digits():
    """A fingerprint fits into a file name, whatever characters the name of the check has."""
    fingerprint = FAILURE.replace(name="größe/☃").fingerprint

    assert 8 == len(fingerprint)
    assert int(fingerprint, 16) >= 0


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        ("expectation", True),
        ("invariant", True),
        ("check", True),
        ("linearization", True),
        ("idempotency", True),
        ("server_error", True),
        ("adapter", False),
        ("model", False),
    ],
)
def test_faults_of_the_test_code_are_no_findings(kind, finding):
    """Only what the service did is a finding."""
    assert finding is FAILURE.replace(kind=kind).is_finding


def test_the_kinds_of_failure_are_a_closed_set():
    """A kind that nobody knows is refused."""
    with pytest.raises(ValueError, match="kind"):
        Failure(kind="slow", name="a", step=1, command="b", message="c")


def test_messages_of_errors_have_two_sentences():
    """An error says what happened, and what to do."""
    error = UsageError("It happened.", "Do this.")

    assert "It happened.\nDo this." == str(error)
    assert ("It happened.", "Do this.") == (error.happened, error.todo)
    assert "Alone." == str(StaleError("Alone."))


def test_each_error_has_a_slug():
    """The docs have a paragraph for each error, found by its slug."""
    kinds = [ReplaykitError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = [kind for kind in kinds if kind.__module__ == "replaykit.errors"]

    assert len(ours) == len({kind.slug for kind in ours})


def test_a_server_error_is_called_so_once():
    """A failure is called by its kind and its name, and by its kind alone where it has no name of its own."""
    error = Failure(kind="server_error", name="server_error", step=0, command="ask", message="500")

    assert "server_error" == error.title
    assert "check rows" == error.replace(kind="check", name="rows").title
