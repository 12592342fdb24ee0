"""Bisecting, on histories of which nothing exists: what comes of an attempt is drawn by chance."""

import statistics
from contextlib import AbstractContextManager
from random import Random

import pytest
from drawn import Draw, Drawn, bisected, points

from replaykit.axis import Point, Tried
from replaykit.bisecting import Bisect
from replaykit.blame import Blame
from replaykit.errors import UnreachableError
from replaykit.memory import Memory
from replaykit.plan import Plan, Range

SIZE = 1000


def after(culprit: int, size: int = SIZE) -> set[str]:
    """Return the names of all points from the culprit on."""
    return {str(place) for place in range(culprit, size)}


def named(blame: Blame) -> str | None:
    """Return the name of the culprit."""
    return blame.culprit and blame.culprit.name


def holds(blame: Blame, culprit: int) -> bool:
    """Say whether the blame names the culprit, or has it among the suspects."""
    return named(blame) == str(culprit) or str(culprit) in {each.point.name for each in blame.suspects}


def chosen(seed: int) -> tuple[Random, int]:
    """Draw a culprit."""
    random = Random(seed)
    return random, random.randrange(1, SIZE)


def block(random: Random, length: int) -> set[str]:
    """Draw so many points in a row, neither end among them."""
    first = random.randrange(1, SIZE - length)
    return {str(place) for place in range(first, first + length)}


def test_a_bug_that_shows_each_time_is_found_in_twelve_tests():
    """With 1,000 points, twelve are tried at most, both ends among them; and two of these once more."""
    for seed in range(50):
        random, culprit = chosen(seed)
        blame = bisected(Drawn(after(culprit), chance=random), SIZE)

        assert ("found", str(culprit)) == (blame.outcome, named(blame))
        assert blame.spent.tests <= 12
        assert blame.spent.visits <= 14
        assert blame.confirmed


def test_what_can_not_be_built_is_left_in_big_steps():
    """With 8 % and 50 in a row that can't be built, the culprit is named, or among those who are."""
    tests = []
    for seed in range(50):
        random, culprit = chosen(seed)
        broken = block(random, 50) | {str(place) for place in range(1, SIZE - 1) if random.random() < 0.08}
        blame = bisected(Drawn(after(culprit), broken=broken - {"0", "999"}, chance=random), SIZE)
        tests.append(blame.spent.tests)

        assert holds(blame, culprit), seed

    assert statistics.median(tests) <= 18


def test_a_culprit_in_the_middle_of_what_can_not_be_built_is_among_the_suspects():
    """Where the culprit itself is one of 50 that can't be built, it is told that nobody knows who of them it is."""
    tests = []
    for seed in range(30):
        random, culprit = chosen(seed)
        first = max(1, culprit - random.randrange(50))
        broken = {str(place) for place in range(first, min(SIZE - 1, first + 50))}
        blame = bisected(Drawn(after(culprit), broken=broken, chance=random), SIZE)
        tests.append(blame.spent.tests)

        assert holds(blame, culprit), seed
        if str(culprit) in broken:
            assert ("candidates", 125) == (blame.outcome, blame.exit_code)

    assert statistics.median(tests) <= 18


@pytest.mark.parametrize("length", [50, 200])
def test_another_bug_in_front_never_accuses_an_innocent_point(length: int):
    """Where another bug hides this one, the point is skipped, and whoever is named did it."""
    for seed in range(100):
        random, culprit = chosen(seed)
        other = block(random, length) - {"0", "999"}
        blame = bisected(Drawn(after(culprit), other=other, chance=random), SIZE)

        assert holds(blame, culprit), seed


@pytest.mark.parametrize(("rate", "false"), [(0.5, 0.0), (0.5, 0.02), (0.9, 0.02), (0.3, 0.0)])
def test_a_flaky_bug_is_found_by_evidence(rate: float, false: float):
    """Of 40 bugs that show now and then, 39 at least are found, and nobody else is accused, in 15 visits or fewer."""
    visits, found = [], 0
    for seed in range(40):
        random, culprit = chosen(seed)
        blame = bisected(Drawn(after(culprit), rate, false, chance=random), SIZE, steady=False)
        visits.append(blame.spent.visits)
        found += blame.outcome == "found"

        assert holds(blame, culprit), (seed, blame.outcome, blame.reason)

    assert found >= 39
    assert statistics.median(visits) <= 15


def test_a_bug_that_turns_out_flaky_is_found_all_the_same():
    """A bug that showed each time when it was recorded, and does not now, is found by evidence."""
    for seed in range(30):
        random, culprit = chosen(seed)
        blame = bisected(Drawn(after(culprit), 0.7, chance=random), SIZE)

        assert str(culprit) == named(blame), (seed, blame.outcome, blame.reason)


@pytest.mark.parametrize("moods", [0.6, 0.5])
@pytest.mark.parametrize("steady", [True, False])
def test_a_bug_that_depends_on_the_start_of_the_service_is_found(moods: float, *, steady: bool):
    """What shows always or never, as each start of the service decides, is tried with a new start each time."""
    found = 0
    for seed in range(30):
        random, culprit = chosen(seed)
        blame = bisected(Drawn(after(culprit), moods=moods, chance=random), SIZE, steady=steady)
        found += blame.outcome == "found"

        assert named(blame) in {None, str(culprit)}, seed

    assert found >= 25


def test_a_bug_that_each_start_decides_is_found_with_several_benches():
    """Where a start of the service decides, three benches at a time name the same point, and lose none."""
    found = 0
    for seed in range(20):
        _, culprit = chosen(seed)
        benches = [Drawn(after(culprit), moods=0.6, chance=Random(seed * 3 + lane)) for lane in range(3)]
        blame = Bisect(Range(points(SIZE)), benches, Plan(), Memory()).run()
        found += blame.outcome == "found"

        assert blame.outcome in {"found", "not bad"}, (seed, blame.reason)
        assert named(blame) in {None, str(culprit)}, seed

    assert found >= 10


def test_a_flaky_bug_inside_of_a_merge_is_found():
    """A bug that turns out to be flaky only inside of a merge is searched for like one there."""
    for seed in range(20):
        inner = [f"42.{place}" for place in range(1, 8)]
        bad = {*after(42, 100), *inner[3:]}
        bench = Drawn(bad, 0.8, chance=Random(seed))
        blame = Bisect(Range(points(100)), [bench], Plan(), Memory(), inside=lambda _: merged(7)).run()

        assert ("found", "42.4") == (blame.outcome, named(blame)), (seed, blame.reason)


def test_a_flaky_bug_that_was_mended_is_found_without_an_older_end():
    """With `fix` and no bad end, a bug that turns out to be flaky is found all the same."""
    for seed in range(20):
        bench = Drawn({str(place) for place in range(137)}, 0.6, chance=Random(seed))
        blame = Bisect(Range(points(200), far=False), [bench], Plan(fix=True), Memory()).run()

        assert ("found", "137") == (blame.outcome, named(blame)), (seed, blame.reason)


def test_what_was_merged_may_be_older_than_the_good_end():
    """Where the point before a branch has the bug already, no commit of the branch is blamed, but the merge."""
    inner = [f"42.{place}" for place in range(1, 8)]
    outside = Point(id="base", name="base")
    came = merged(7)
    came = Range(came.points, came.parents, outside={1: [outside]})
    bench = Drawn({*after(42, 100), *inner, "base"})
    blame = Bisect(Range(points(100)), [bench], Plan(), Memory(), inside=lambda _: came).run()

    assert ("found", "42") == (blame.outcome, named(blame))
    assert any("brought it back" in note for note in blame.notes)


def test_the_parent_that_is_told_is_the_real_one():
    """The first commit of a branch is told beside the one that the branch comes from, which is tried too."""
    came = merged(7)
    came = Range(came.points, came.parents, outside={1: [Point(id="base", name="base")]})
    bench = Drawn({*after(42, 100), *(f"42.{place}" for place in range(1, 8))})
    blame = Bisect(Range(points(100)), [bench], Plan(), Memory(), inside=lambda _: came).run()

    assert ("found", "42.1", "base") == (blame.outcome, named(blame), blame.parent and blame.parent.name)
    assert "base" in bench.visits


def test_a_merge_of_which_some_commits_show_the_bug_is_not_blamed_itself():
    """Where a commit inside of a merge shows the bug, and the one before it can't be built, both are told."""
    inner = [f"42.{place}" for place in range(1, 8)]
    bench = Drawn({*after(42, 100), *inner[2:]}, broken={"42.3"})
    blame = Bisect(Range(points(100)), [bench], Plan(), Memory(), inside=lambda _: merged(7)).run()

    assert ("candidates", 125) == (blame.outcome, blame.exit_code)
    assert {"42.3", "42.4"} == {each.point.name for each in blame.suspects}
    assert blame.merge is not None


def test_a_parent_that_can_not_be_built_is_no_trouble_of_the_machine():
    """A parent that is good since what comes from it is may be one that can't be built."""
    # 1 -> 2 -> 3, and 4 from 2: the culprit is 3, 4 is good, 2 can't be built
    parents = [[], [0], [1], [2], [2], [3, 4]]
    bench = Drawn({"3", "5"}, broken={"2"})
    blame = Bisect(Range(points(6), parents), [bench], Plan(), Memory()).run()

    assert ("found", "3") == (blame.outcome, named(blame)), blame.reason
    assert any("can't be judged itself" in note for note in blame.notes)


class Dying(Drawn):
    """A bench whose service does not come up one time."""

    dies_at: int = 0

    def visit(self, point: Point) -> AbstractContextManager[Draw]:
        """Come to a point, or not."""
        if len(self.visits) + 1 == self.dies_at:
            self.visits.append(point.name)
            raise UnreachableError("it did not come up")
        return super().visit(point)


def test_a_service_that_does_not_come_up_once_changes_nothing():
    """One hiccup, whenever it comes, does not end a bisect, nor make it blame somebody else."""
    for dies_at in range(1, 12):
        bench = Dying(after(47, 100))
        bench.dies_at = dies_at
        blame = bisected(bench, 100)

        assert ("found", "47") == (blame.outcome, named(blame)), (dies_at, blame.reason)


def test_another_bug_that_hides_this_one_now_and_then_is_no_reason_to_give_up():
    """A failure of another kind in one of ten attempts leaves a point judged; in most, nobody else is blamed."""
    for other, outcomes in ((0.1, {"found"}), (0.7, {"found", "candidates", "not judged", "undecided"})):
        for seed in range(10):
            bench = Drawn(after(47, 100), other_rate=other, chance=Random(seed))
            blame = bisected(bench, 100)

            assert blame.outcome in outcomes, (other, seed, blame.reason)
            assert blame.outcome != "found" or named(blame) == "47"


def test_what_is_known_from_elsewhere_is_forgotten_where_it_contradicts():
    """Verdicts of another bisect that do not fit make no bug flaky: they are tried anew."""
    memory = Memory()
    lie = Tried(word="reproduced", reason="known", shown=1, attempts=1, anew=True)
    lines = points(100)
    same = [point.replace(code=f"{place % 50}") if place in {24, 74} else point for place, point in enumerate(lines)]
    memory.learn("search", same[24], lie, steady=True)
    memory.rewind()
    bench = Drawn(after(80, 100))
    blame = Bisect(Range(same), [bench], Plan(), memory).run()

    assert ("found", "80", True) == (blame.outcome, named(blame), blame.steady), blame.notes


def test_a_range_in_which_nothing_can_be_found_says_so():
    """A bug that does not show at the near end, or shows at the far one, is a wrong range, and exits with 1."""
    assert ("not bad", 1) == ((blame := bisected(Drawn(set()), 20)).outcome, blame.exit_code)
    assert ("not good", 1) == ((blame := bisected(Drawn(after(0)), 20)).outcome, blame.exit_code)
    assert ("not bad", 1) == ((blame := bisected(Drawn(set()), 20, steady=False)).outcome, blame.exit_code)
    assert ("not good", 1) == ((blame := bisected(Drawn(after(0), 0.5), 20, steady=False)).outcome, blame.exit_code)


def test_an_end_that_can_not_be_judged_is_neither():
    """Where an end can't be built, or fails in another way, nobody knows, and the exit code is 125."""
    for bench in (Drawn(after(7), broken={"19"}), Drawn(after(7), other={"0"}), Drawn(after(7), broken={"0"})):
        blame = bisected(bench, 20)

        assert ("not judged", 125) == (blame.outcome, blame.exit_code)


def test_the_point_that_mended_a_bug_is_found():
    """With `fix`, the bug is at the far end and not at the near one, and who mended it is named."""
    for culprit, rate in ((437, 1.0), (2, 1.0), (999, 1.0), (437, 0.5)):
        bad = {str(place) for place in range(culprit)}
        blame = bisected(Drawn(bad, rate), SIZE, fix=True, steady=rate == 1)

        assert ("found", str(culprit)) == (blame.outcome, named(blame))
        assert blame.fix


def test_without_a_far_end_it_goes_back_in_steps_that_double():
    """Where no good point is named, one is looked for backwards, twice as far each time."""
    bench = Drawn(after(970))
    blame = Bisect(Range(points(SIZE), far=False), [bench], Plan(), Memory()).run()

    assert ("found", "970") == (blame.outcome, named(blame))
    assert ["999", "998", "997", "995", "991", "983", "967"] == bench.visits[:7]


def test_a_bug_as_old_as_the_history_is_told():
    """Where the bug shows at the very first point, there is no good one."""
    blame = Bisect(Range(points(100), far=False), [Drawn(after(0, 100))], Plan(), Memory()).run()

    assert ("not good", 1) == (blame.outcome, blame.exit_code)
    assert "as old as the history" in blame.reason


def test_a_first_point_that_can_not_be_built_is_no_good_end():
    """Where the oldest points can't be judged, they are suspects too."""
    bench = Drawn(after(0, 100), broken={str(place) for place in range(20)})
    blame = Bisect(Range(points(100), far=False), [bench], Plan(), Memory()).run()

    assert "candidates" == blame.outcome
    assert {str(place) for place in range(20)} < {each.point.name for each in blame.suspects}


def test_a_graph_is_searched_along_all_parents():
    """In a history with branches, the one commit is found that all bad points have behind them."""
    parents: list[list[int]] = [[]]
    tips = [0, 0, 0]
    random = Random(3)
    for place in range(1, 200):
        lane = random.randrange(3)
        others = [tips[random.randrange(3)]] if random.random() < 0.2 else []
        parents.append(list(dict.fromkeys([tips[lane], *others])))
        tips[lane] = place
    parents.append(list(dict.fromkeys(tips)))
    behind: list[set[int]] = []
    for place, before in enumerate(parents):
        behind.append({place}.union(*(behind[each] for each in before)))
    for culprit in range(1, 201, 7):
        bad = {str(place) for place in range(201) if culprit in behind[place]}
        blame = Bisect(Range(points(201), parents), [Drawn(bad)], Plan(), Memory()).run()

        assert ("found", str(culprit)) == (blame.outcome, named(blame))
        assert blame.spent.tests <= 14


def merged(inner: int) -> Range:
    """Return the points that came with a merge: the point before it, a branch of its own, the merge."""
    names = ["41", *(f"42.{place}" for place in range(1, inner + 1)), "42"]
    return Range([Point(id=name, name=name) for name in names], [[], *([place] for place in range(inner)), [0, inner]])


@pytest.mark.parametrize("culprit", ["42.1", "42.4", "42.7", "42"])
def test_the_search_goes_on_inside_of_a_merge(culprit: str):
    """The merge is found, then the commit inside of it; or the merge itself, where none of them did it."""
    inner = [f"42.{place}" for place in range(1, 8)]
    bad = {*after(42, 100), *(inner[inner.index(culprit) :] if culprit in inner else [])}
    bisect = Bisect(Range(points(100)), [Drawn(bad)], Plan(), Memory(), inside=lambda _: merged(7))
    blame = bisect.run()

    assert ("found", culprit) == (blame.outcome, named(blame))
    assert blame.merge is not None
    assert "42" == blame.merge.name


def test_a_merge_of_which_nothing_can_be_built_is_blamed_itself():
    """Where nothing inside of a merge can be built, the merge is named, and who may have done it."""
    inner = {f"42.{place}" for place in range(1, 8)}
    bench = Drawn({*after(42, 100), *inner}, broken=inner)
    blame = Bisect(Range(points(100)), [bench], Plan(), Memory(), inside=lambda _: merged(7)).run()

    assert ("found", "42") == (blame.outcome, named(blame))
    assert inner <= {each.point.name for each in blame.suspects}


@pytest.mark.parametrize("rate", [1.0, 0.6])
def test_several_benches_find_the_same(rate: float):
    """With four points tried at a time, the same one is found."""
    for culprit in (1, 333, 500, 999):
        benches = [Drawn(after(culprit), rate, chance=Random(lane)) for lane in range(4)]
        blame = Bisect(Range(points(SIZE)), benches, Plan(steady=rate == 1), Memory()).run()

        assert ("found", str(culprit)) == (blame.outcome, named(blame))
        assert all(bench.visits for bench in benches)


def test_a_machine_that_fails_is_not_taken_for_commits_that_do():
    """Where nothing can be built any more, what could be is tried again; and nobody is blamed."""
    blame = bisected(Drawn(after(400), machine_dies=5), SIZE)

    assert ("trouble", 128) == (blame.outcome, blame.exit_code)
    assert "could be tried before" in blame.reason


def test_a_budget_that_is_spent_is_told():
    """What may be spent is kept, and who is left is told."""
    blame = bisected(Drawn(after(400), 0.5), SIZE, steady=False, most_attempts=40)

    assert ("undecided", 125) == (blame.outcome, blame.exit_code)
    assert blame.spent.attempts <= 40
    assert "40 attempts" in blame.reason
