"""The page of a campaign: what it says, whatever a service says."""

import re
from html.parser import HTMLParser

import pytest
from browser import HOSTILE, inaccessible, too_wide, visit
from test_report_formats import bug as a_bug

from replaykit.account import Account, Crossings, Endpoint, Exercised, Fault, Judged, Shrinking, Unrecovered
from replaykit.coverage import Crossed
from replaykit.report import html
from replaykit.visible import visible


def account(said: str = "Balance went negative", *, bugs: int = 2, **more: object) -> Account:
    """Make an account in which everything that a page may say is said."""
    failures = tuple(
        a_bug(said, number=number).replace(first_seen_run=3 * number + 1, shrinking=shrinking(3 + number))
        for number in range(bugs)
    )
    told = {
        "success": not bugs,
        "exit_code": 1 if bugs else 0,
        "verdict": f"found {bugs} distinct failures in 40 runs",
        "model": said,
        "adapter": said,
        "url": said,
        "seed": 1,
        "total_runs": 40,
        "max_runs": 40,
        "passed": 30,
        "failed": 8,
        "not_judged": 2,
        "steps": 1234,
        "requests": 2345,
        "duration": 61.2,
        "started": "2026-11-22T10:00:00+00:00",
        "ended": "2026-11-22T10:01:01+00:00",
        "resumed_after": 3,
        "restarts": 1,
        "interrupted": True,
        "stopped": said,
        "died": said,
        "log": said,
        "failures": failures,
        "known": (a_bug(said, number=9),),
        "faults": (Fault(fingerprint="12345678", kind="adapter", name=said, message=said, traceback=said),),
        "checks": (
            Judged(kind="check", name=said, judged=3, bugs=tuple(each.fingerprint for each in failures)),
            Judged(kind="check", name="holds", judged=30),
            Judged(kind="check", name="idle", judged=0),
        ),
        "never_exercised": (said, "check idle"),
        "lacking": (said,),
        "coverage": {
            "commands": Exercised(covered=3, total=3, required=100.0),
            "checks": Exercised(covered=1, total=3, required=90.0),
            "outcomes": Exercised(covered=0, total=0),
        },
        "faults_by_endpoint": Crossings(
            kinds=("fault_timeout", "fault_down"),
            endpoints=(Endpoint(method="GET", path=said), Endpoint(method="PUT", path="/b")),
            tried=1,
            total=4,
            crossings=(Crossed(fault="fault_timeout", method="GET", path=said, tried=9, lost=4, failed=2),),
            left_out=1,
        ),
        "unrecovered": (Unrecovered(command=said, runs=2, advice=said),),
    }
    return Account(**{**told, **more})


def shrinking(failed: int) -> Shrinking:
    """Make what shrinking came to: it failed in so many of five runs."""
    return Shrinking(
        commands_before=20, commands_after=2, executions=30, requests=90, seconds=1.5, runs=5, failed=min(failed, 5)
    )


class Text(HTMLParser):
    """The text of a page without its script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self._silent = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._silent = tag in {"script", "style"}
        said = dict(attrs)
        self.ids += [said["id"]] if "id" in said else []
        self.anchors += [said["href"]] if "href" in said else []

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        self.parts += [] if self._silent else [data]

    @property
    def all(self) -> str:
        """All of it, in one line."""
        return " ".join(" ".join(self.parts).split())


def test_a_page_says_all_that_an_account_says():
    """Verdict, counts, bugs, curve, rates, coverage, checks, faults and what to do stand in the page, in this order."""
    said = Text(html.render(account())).all
    wanted = [
        "failed : found 2 distinct failures in 40 runs", "40 runs", "30 passed", "8 failed", "2 not judged",
        "2 new bugs", "1 known bug", "1,234 steps", "2,345 requests", "1 min 1 s", "Stopped early",
        "It was interrupted", "It goes on from 3 runs", "started again 1 time", "Coverage that was asked for is",
        "The service is not there any more", "Fault of the test code", "Bugs that were found",
        "check never_negative0 after debit", "Bugs that were known, over the runs", "Bug 1", "expected", "seen",
        "The simplest sequence", "fails here", "Replay it", "from 20 commands to 2 in 30 executions",
        "Known bugs that were seen again", "How often each bug shows", "3 of 5 runs", "60 % (", "flaky",
        "What was exercised", "3 of 3", "100 %: met", "33.3 %", "90 %: lacking", "Never exercised", "What was judged",
        "✗ broken", "✓ holds", "never judged", "endpoints: 1 of 4 tried", "9 4 lost ✗ 2 failed",
        "1 count had no place", "Runs that ended early",
    ]  # fmt: skip
    at = 0
    for each in wanted:
        assert each in said[at:], (each, said[at:])
        at = said.index(each, at)


def test_ids_are_unique_and_anchors_lead_somewhere():
    """No id stands twice, and each link leads to one."""
    found = Text(html.render(account(bugs=5)))

    assert sorted(set(found.ids)) == sorted(found.ids)
    assert [] == [each for each in found.anchors if each.removeprefix("#") not in found.ids]


def test_a_campaign_that_found_nothing_says_so():
    """Where nothing was found, there is no bug, no curve and no rate; the verdict is a good one."""
    plain = dict.fromkeys(("known", "faults", "lacking", "unrecovered", "never_exercised"), ())
    quiet = {"died": "", "stopped": "", "interrupted": False, "faults_by_endpoint": None, "exit_code": 0}
    text = html.render(account(bugs=0, **plain, **quiet))

    assert "✓ passed" in Text(text).all
    assert "is-good" in text
    assert not re.search(r"Bugs that|polyline|How often|Fault", Text(text).all)


def test_of_many_bugs_the_last_are_only_listed():
    """A page has room for so many characters; what finds none is in the table, and it is said."""
    text = html.render(account(bugs=30), most=40_000)
    told = len(re.findall(r'<details class="finding"', text))

    assert 0 < told < 30
    assert f"{30 - told} bugs more: listed at most" in Text(text).all
    assert all(f"never_negative{number} after debit" in text for number in range(30))


def test_bugs_in_great_number_stay_in_bounds():
    """Hundreds of bugs with long bodies make a page of less than 10 MB."""
    text = html.render(account("<" * 3_900, bugs=300))

    assert len(text.encode()) < 10_000_000


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_service_says_is_text(chromium, tmp_path, name):
    """Whatever a service says in whatever place, the page shows it as text, and nothing else comes of it."""
    said = HOSTILE[name][:5_000]
    path = tmp_path / "page.html"
    path.write_text(html.render(account(said)), encoding="utf-8")
    with visit(chromium, path) as looking:
        looking.open_all()

        assert [] == looking.problems()
        assert 1 == looking.page.locator("h1").count()
        assert visible(said) in looking.page.locator(".exchange pre").first.evaluate("(each) => each.textContent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_everyone_can_read_it(chromium, tmp_path, scheme, width):
    """With all open, axe finds nothing to object to, contrast included, and the page is no wider than the window."""
    path = tmp_path / "page.html"
    path.write_text(html.render(account()), encoding="utf-8")
    with visit(chromium, path, scheme=scheme, width=width) as looking:
        assert [] == inaccessible(looking)
        assert too_wide(looking.page) <= 0
        assert [] == looking.problems()
