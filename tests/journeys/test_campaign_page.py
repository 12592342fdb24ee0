"""The page of a campaign, through the command line: exit code first, then a real browser."""

import json
from pathlib import Path

import pytest
from browser import inaccessible, too_wide, visit
from conftest import NAMES, replaykit

BUGS = {
    "leaderboard": ("leaderboard", "duplicate-names", "expectation create after create_player"),
    "toybank": ("toybank", "negative-balance", "debit"),
    "travelbooking": ("travelbooking", "cancel-keeps-seat", "cancel"),
    "toybank-chaos": ("toybank", "negative-balance", "debit"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Give the page of a campaign of a service with a bug on, and its account, made once."""
    made: dict[str, tuple[Path, dict[str, object]]] = {}

    def page(profile: str) -> tuple[Path, dict[str, object]]:
        if profile not in made:
            folder = tmp_path_factory.mktemp(profile)
            service, bug, _ = BUGS[profile]
            ran = replaykit(
                "integration", "--profile", profile, "--runs", "8", "--seed", "1",
                "--start", f"python -m examples.{service} --port {{port}} --bug {bug}",
                "--save-failures", folder / "failures",
                "--report", f"html={folder}/page.html", "--report", f"json={folder}/account.json",
            )  # fmt: skip
            assert 1 == ran.code, ran
            assert f"report written: {folder}/page.html" in ran.out
            made[profile] = folder / "page.html", json.loads((folder / "account.json").read_text())
        return made[profile]

    return page


@pytest.mark.parametrize("profile", BUGS)
def test_page_of_a_campaign_is_right_in_a_browser(chromium, written, profile):
    """Nothing complains, leaves or was injected; it says the verdict, each bug and each check; all can read it."""
    path, account = written(profile)
    for scheme, width in (("light", 1200), ("dark", 375)):
        with visit(chromium, path, scheme=scheme, width=width) as looking:
            assert [] == inaccessible(looking)
            said = looking.text()

            assert [] == looking.problems()
            assert too_wide(looking.page) <= 0
    assert account["verdict"] in said
    assert BUGS[profile][2] in said
    assert [] == [each["fingerprint"] for each in account["failures"] if each["fingerprint"] not in said]
    assert [] == [each["name"] for each in account["checks"] if each["name"] not in said]
    assert [] == [step["call"] for bug in account["failures"] for step in bug["steps"] if step["call"] not in said]


@pytest.mark.parametrize("how", [{"scripts": False}, {"styles": False}], ids=["no scripts", "as Jenkins shows it"])
def test_page_reads_right_with_less(chromium, written, how):
    """Without scripts, or without styles too, the same is read in the same order, and no control does nothing."""
    path, _ = written("leaderboard")
    with visit(chromium, path, **how) as looking:
        said = looking.text()
        # fmt: off
        wanted = ["failed: found 1 distinct failure", "Summary", "Bugs that were found", "Bug 1", "expected", "seen",
                  "[0] create_player", "fails here", "POST /players", "201", "Replay it", "What was judged"]
        # fmt: on
        rest = said
        for each in wanted:
            before, found, rest = rest.partition(each)

            assert each == found, before
        assert [] == [each for each in looking.page.locator("button, input").all() if each.is_visible()]
        assert [] == looking.left
        assert [] == looking.complaints or how == {"styles": False}


def test_keys_walk_through_the_steps(chromium, written):
    """The keys j and k go from step to step, f to the failing one, e opens and closes it; the address names it."""
    path, _ = written("leaderboard")
    with visit(chromium, path) as looking:
        press, page = looking.page.keyboard.press, looking.page
        focused = "document.activeElement.closest('.step')?.id"
        steps = [each.get_attribute("id") for each in page.locator(".step").all()]
        walked = []
        for key in ("j", "j", "j", "k", "f"):
            press(key)
            walked.append(page.evaluate(focused))

        assert [steps[0], steps[1], steps[1], steps[0], steps[1]] == walked
        assert page.evaluate("location.hash") == f"#{steps[1]}"
        opened = []
        for _ in range(3):
            press("e")
            parts = page.locator(f"#{steps[1]}, #{steps[1]} details").all()
            opened.append({each.get_attribute("open") is not None for each in parts})

        assert [{False}, {True}, {False}] == opened
        assert [] == looking.problems()


def test_keys_are_told(chromium, written):
    """? opens the list of keys, Escape closes it; a key in a field is text, and one with Ctrl is the browser's."""
    path, _ = written("leaderboard")
    with visit(chromium, path) as looking:
        page = looking.page
        page.keyboard.press("?")

        assert page.locator("#keys").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#keys").is_visible()
        page.keyboard.press("Control+j")
        assert page.evaluate("location.hash") == ""
        page.keyboard.press("/")
        page.keyboard.type("jfe")
        assert page.locator("#filter").input_value() == "jfe"
        assert page.evaluate("location.hash") == ""


def test_filter_leaves_what_is_looked_for(chromium, written):
    """The filter leaves the steps that hold a text, says how many, and Escape brings all back."""
    path, _ = written("toybank")
    with visit(chromium, path) as looking:
        page = looking.page
        steps = page.locator(".step").count()
        page.keyboard.press("/")
        page.keyboard.type("DEBIT(")
        left = [each.inner_text() for each in page.locator(".step > summary").all() if each.is_visible()]

        assert 0 < len(left) < steps
        assert all("debit(" in each for each in left)
        page.wait_for_function("document.querySelector('#said').textContent.includes('step')")
        page.keyboard.press("Escape")
        assert steps == sum(each.is_visible() for each in page.locator(".step > summary").all())


def test_an_address_opens_what_it_names(chromium, written):
    """#STEP opens the step and what it stands in; an address that names nothing, or nonsense, does nothing."""
    path, _ = written("leaderboard")
    with visit(chromium, path) as looking:
        step = looking.page.locator(".step").first.get_attribute("id")
    with visit(chromium, path, fragment=f"#{step}") as looking:
        looking.page.wait_for_function("document.activeElement.closest('.step')")

        assert looking.page.evaluate(f"document.getElementById('{step}').open")
        assert step == looking.page.evaluate("document.activeElement.closest('.step').id")
    for nonsense in ("#nowhere", "#%ff", "#main", "#'\"><img src=x onerror=window.hacked=1>"):
        with visit(chromium, path, fragment=nonsense) as looking:
            assert [] == looking.problems()


def test_copying_gives_the_command(chromium, written):
    """The button copies the command that replays the bug; where the clipboard is refused, the command is selected."""
    path, account = written("leaderboard")
    command = account["failures"][0]["replay"]
    with visit(chromium, path, permissions=["clipboard-read", "clipboard-write"]) as looking:
        looking.page.get_by_role("button", name="Copy").click()
        looking.page.wait_for_function("document.querySelector('#said').textContent === 'Copied.'")

        assert command == looking.page.evaluate("navigator.clipboard.readText()")
    with visit(chromium, path) as looking:
        looking.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
        looking.page.get_by_role("button", name="Copy").click()
        looking.page.wait_for_function("document.querySelector('#said').textContent.startsWith('Selected')")

        assert command == looking.page.evaluate("getSelection().toString()")


def test_paper_shows_what_failed(chromium, written, tmp_path):
    """Printed, the failing step is open with all in it, no control is left, and the colours are those of paper."""
    path, _ = written("leaderboard")
    with visit(chromium, path, scheme="dark") as looking:
        page = looking.page
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = false; })")
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        around = page.locator("[data-failing], [data-failing] details, details:has([data-failing])")

        assert {True} == set(around.evaluate_all("all => all.map((each) => each.open)"))
        assert page.locator("[data-failing] .exchange pre").first.is_visible()
        assert [] == [each for each in page.locator("button, input, .tools").all() if each.is_visible()]
        assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert "rgb(0, 0, 0)" == page.evaluate("getComputedStyle(document.documentElement).color")


def test_page_goes_to_standard_output(tmp_path):
    """`--report html=-` prints the page and nothing else; what people read goes to standard error."""
    ran = replaykit("integration", *NAMES[:2], "--mock", "--runs", "2", "--seed", "1", "--report", "html=-")

    assert 0 == ran.code, ran
    assert ran.out.startswith("<!doctype html>")
    assert ran.out.endswith("</html>\n")
    assert "VERDICT passed" in ran.err
