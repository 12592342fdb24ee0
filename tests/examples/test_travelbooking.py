"""TravelBooking over HTTP: its rules, its errors, its switches; and its models."""

import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import abrupt
import httpx
import pytest
from conftest import ROOT, environment

from examples.travelbooking import BookingLifecycle, Travel, TravelApi
from examples.travelbooking.model import (
    ILLEGAL,
    PENDING,
    SOLD_OUT,
    Booking,
    Bookings,
    Cancel,
    Cancelled,
    Expire,
    Flight,
    Held,
    Hold,
    Inventory,
)
from examples.travelbooking.service import BUGS
from replaykit import Mock, Ref, integration
from replaykit.difference import NotSameError
from replaykit.service import reached

DELAY = 0.03  # seconds until the provider answers
PATIENCE = 10.0  # seconds that a test waits for it
NAMES = [bug.name for bug in BUGS]
TRIES = 5  # of what a busy machine may miss


class Agency:
    """A running travel agency, as a client sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/api", timeout=PATIENCE)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def flight(self, seats: int = 1) -> str:
        return self.post("/flights", seats=seats).raise_for_status().json()["id"]

    def hotel(self, rooms: int = 1) -> str:
        return self.post("/hotels", rooms=rooms).raise_for_status().json()["id"]

    def draft(self, flight: str | None = None, hotel: str | None = None) -> str:
        answer = self.post("/bookings", traveller="Ada", flight=flight, hotel=hotel)
        return answer.raise_for_status().json()["id"]

    def hold(self, booking: str) -> httpx.Response:
        return self.post(f"/bookings/{booking}/hold")

    def confirm(self, booking: str, card: str = "valid") -> httpx.Response:
        return self.post(f"/bookings/{booking}/confirm", card=card)

    def cancel(self, booking: str) -> httpx.Response:
        return self.post(f"/bookings/{booking}/cancel")

    def expire(self, booking: str) -> httpx.Response:
        return self.post(f"/bookings/{booking}/expire")

    def held(self, flight: str | None = None, hotel: str | None = None) -> str:
        booking = self.draft(flight, hotel)
        self.hold(booking).raise_for_status()
        return booking

    def state(self, booking: str) -> str:
        return self.get(f"/bookings/{booking}")["state"]

    def settled(self, booking: str) -> str:
        """Wait for the provider's answer."""
        deadline = time.monotonic() + PATIENCE
        while (state := self.state(booking)) == "pending" and time.monotonic() < deadline:
            time.sleep(0.005)
        return state

    def free(self) -> list[int]:
        """List what is free: seats of all flights, then rooms of all hotels."""
        return [each["free"] for each in self.get("/flights") + self.get("/hotels")]

    def everything(self) -> list[Any]:
        return [self.get("/flights"), self.get("/hotels"), self.get("/bookings")]


@contextmanager
def running(*options: object) -> Iterator[Agency]:
    """Run a travel agency."""
    words = ["-m", "examples.travelbooking", "--port", "{port}", *map(str, options)]
    with reached(url=None, start=" ".join([sys.executable, *words]), health=None, patience=None) as url:
        agency = Agency(url)
        with agency.http:
            yield agency


@pytest.fixture(scope="module")
def started() -> Iterator[Agency]:
    """Start one agency for all tests that need no bug."""
    with running("--provider-delay", DELAY) as agency:
        yield agency


@pytest.fixture
def agency(started: Agency) -> Agency:
    """Give an agency without bugs, and with nothing in it."""
    started.post("/fixes/enable").raise_for_status()
    started.post("/reset").raise_for_status()
    return started


@pytest.fixture(scope="module")
def slow() -> Iterator[Agency]:
    """Give an agency whose provider does not answer while the tests run."""
    with running("--provider-delay", 3600) as agency:
        yield agency


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return an error's status and code, and hold that it has nothing but a code and a message."""
    error = answer.json()["error"]

    assert ["code", "message"] == sorted(error)
    assert error["message"]

    return answer.status_code, error["code"]


# --- what there is ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_health_is_told(agency, path):
    """The service says at both places that it is there."""
    assert 200 == httpx.get(agency.url + path).status_code


def test_flights_and_hotels_are_listed_with_all_and_free(agency):
    """A new flight and a new hotel are answered with 201, and listed with all of their seats and rooms free."""
    flight, hotel = agency.post("/flights", seats=2), agency.post("/hotels", rooms=1)

    assert (201, {"id": "f1", "seats": 2, "free": 2}) == (flight.status_code, flight.json())
    assert (201, {"id": "h1", "rooms": 1, "free": 1}) == (hotel.status_code, hotel.json())
    assert [[flight.json()], [hotel.json()], []] == agency.everything()


@pytest.mark.parametrize(("by_air", "to_stay"), [*itertools.product([True, False], repeat=2)])
def test_booking_is_drafted_for_a_flight_a_hotel_both_or_neither(agency, by_air, to_stay):
    """A draft names what it was asked for, takes nothing, and is shown alone and in the list."""
    flight, hotel = agency.flight(), agency.hotel()
    wanted = {"flight": flight if by_air else None, "hotel": hotel if to_stay else None}
    answer = agency.post("/bookings", traveller="Ada", **wanted)
    expected = {"id": "b1", "traveller": "Ada", **wanted, "state": "draft"}

    assert (201, expected) == (answer.status_code, answer.json())
    assert expected == agency.get("/bookings/b1")
    assert [expected] == agency.get("/bookings")
    assert [1, 1] == agency.free()


def test_what_a_draft_leaves_out_is_not_booked(agency):
    """A draft without the keys flight and hotel books neither."""
    answer = agency.post("/bookings", traveller="Ada").json()

    assert (None, None) == (answer["flight"], answer["hotel"])


# --- transitions --------------------------------------------------------------------------------


def test_hold_takes_a_seat_and_a_room(agency):
    """A hold takes one seat and one room, and answers with the booking."""
    booking = agency.draft(agency.flight(2), agency.hotel(2))
    answer = agency.hold(booking)

    assert (200, "held") == (answer.status_code, answer.json()["state"])
    assert [1, 1] == agency.free()


@pytest.mark.parametrize(("seats", "rooms"), [(1, 2), (2, 1)])
def test_hold_takes_both_or_nothing(agency, seats, rooms):
    """Where one of the two is sold out, the hold is refused, the other stays free, and the booking stays a draft."""
    flight, hotel = agency.flight(seats), agency.hotel(rooms)
    agency.held(flight, hotel)
    late = agency.draft(flight, hotel)

    assert (409, "sold_out") == code_of(agency.hold(late))
    assert [seats - 1, rooms - 1] == agency.free()
    assert "draft" == agency.state(late)


@pytest.mark.parametrize(
    ("card", "outcome", "free"), [("valid", "confirmed", [0, 0]), ("declined", "cancelled", [1, 1])]
)
def test_payment_is_answered_later(agency, card, outcome, free):
    """A confirmation is answered with 202 and pending; a valid card confirms, a declined one gives all back."""
    booking = agency.held(agency.flight(), agency.hotel())
    answer = agency.confirm(booking, card)

    assert (202, "pending") == (answer.status_code, answer.json()["state"])
    assert outcome == agency.settled(booking)
    assert free == agency.free()


@pytest.mark.parametrize("verb", ["cancel", "expire"])
def test_hold_that_is_over_gives_back(agency, verb):
    """A hold that is cancelled or expires gives its seat and its room back."""
    booking = agency.held(agency.flight(), agency.hotel())
    answer = agency.post(f"/bookings/{booking}/{verb}")

    assert (200, {"cancel": "cancelled", "expire": "expired"}[verb]) == (answer.status_code, answer.json()["state"])
    assert [1, 1] == agency.free()


def test_confirmed_booking_that_is_cancelled_gives_back(agency):
    """A confirmed booking that is cancelled gives its seat and its room back."""
    booking = agency.held(agency.flight(), agency.hotel())
    agency.confirm(booking)
    agency.settled(booking)
    answer = agency.cancel(booking)

    assert (200, "cancelled") == (answer.status_code, answer.json()["state"])
    assert [1, 1] == agency.free()


def test_draft_that_is_cancelled_gives_nothing_back(agency):
    """A draft took nothing, so cancelling it changes nothing but its state."""
    booking = agency.draft(agency.flight(), agency.hotel())

    assert 200 == agency.cancel(booking).status_code
    assert [1, 1] == agency.free()


REFUSED = [
    *[("held", "hold")],
    *[("pending", verb) for verb in ("hold", "confirm", "cancel", "expire")],
    *[("confirmed", verb) for verb in ("hold", "confirm", "expire")],
    *[("cancelled", verb) for verb in ("hold", "confirm", "cancel", "expire")],
    *[("declined", verb) for verb in ("hold", "confirm", "cancel", "expire")],
    *[("expired", verb) for verb in ("hold", "confirm", "cancel", "expire")],
    *[("draft", verb) for verb in ("confirm", "expire")],
]


@pytest.mark.parametrize(("state", "verb"), REFUSED)
def test_other_transitions_are_refused(agency, slow, state, verb):
    """Whatever is no transition of a booking's state is answered with 409, and changes nothing."""
    chosen = slow if state == "pending" else agency
    booking = chosen.draft(chosen.flight(), chosen.hotel())
    if state != "draft":
        chosen.hold(booking)
    if state in {"pending", "confirmed", "declined"}:
        chosen.confirm(booking, "declined" if state == "declined" else "valid")
        assert chosen is slow or chosen.settled(booking) in {"confirmed", "cancelled"}
    elif state in {"cancelled", "expired"}:
        chosen.post(f"/bookings/{booking}/{'cancel' if state == 'cancelled' else 'expire'}")
    before = chosen.everything()

    code = "payment_pending" if state == "pending" else "illegal_transition"

    assert (409, code) == code_of(chosen.post(f"/bookings/{booking}/{verb}", card="valid"))
    assert before == chosen.everything()


def test_reset_forgets_everything_and_the_answers_that_are_still_to_come():
    """What the provider answers for a booking that was forgotten does nothing to those that came after it."""
    with running("--provider-delay", 0.3) as agency:
        for card in ("valid", "declined"):
            agency.confirm(agency.held(agency.flight(), agency.hotel()), card).raise_for_status()
            agency.post("/reset").raise_for_status()

            assert [[], [], []] == agency.everything()

        agency.draft(agency.flight(), agency.hotel())
        after = agency.everything()
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            assert after == agency.everything()

            time.sleep(0.05)


# --- errors -------------------------------------------------------------------------------------

BAD_JSON = [b"{", b"\xff", b"[" * 60_000, b"[]", b"1", b"null", b'{"seats": 1' + b"0" * 5000 + b"}"]
BODIES = [
    *[("/flights", body) for body in ({}, {"rooms": 1})],
    *[("/flights", {"seats": seats}) for seats in (0, -1, True, 1.0, "1", None, [1], 1_000_001)],
    *[("/hotels", {"rooms": rooms}) for rooms in (0, -1, True, 1.0, "1", None, [1], 1_000_001)],
    *[("/bookings", body) for body in ({}, {"flight": None, "hotel": None})],
    *[("/bookings", {"traveller": traveller}) for traveller in (None, 1, True, [], "", "  ", "\ud800")],
    *[("/bookings", {"traveller": "Ada", "flight": flight}) for flight in (1, False, [], {}, "\ud800")],
    *[("/bookings", {"traveller": "Ada", "hotel": hotel}) for hotel in (0, True, [], {}, "\ud800")],
    ("/bookings/b1/confirm", {}),
    *[("/bookings/b1/confirm", {"card": card}) for card in (None, 1, True, [], "", "gold")],
]


@pytest.mark.parametrize("path", ["/flights", "/hotels", "/bookings", "/bookings/b1/confirm"])
@pytest.mark.parametrize("content", BAD_JSON, ids=lambda content: content[:4])
def test_body_that_is_no_json_is_refused(agency, path, content):
    """A body that is no object in JSON is answered with 400."""
    agency.held()

    assert (400, "invalid_json") == code_of(agency.http.post(path, content=content))


@pytest.mark.parametrize(("path", "body"), BODIES, ids=lambda each: json.dumps(each)[:40])
def test_body_of_wrong_types_is_refused(agency, path, body):
    """A body with something missing, of the wrong type or out of range is answered with 400, and changes nothing."""
    agency.held(agency.flight())
    before = agency.everything()

    assert (400, "invalid") == code_of(agency.http.post(path, content=json.dumps(body)))
    assert before == agency.everything()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/bookings/b2", {}),
        *[("POST", f"/bookings/b2/{verb}", {"card": "valid"}) for verb in ("hold", "confirm", "cancel", "expire")],
        ("POST", "/bookings", {"traveller": "Ada", "flight": "f2"}),
        ("POST", "/bookings", {"traveller": "Ada", "hotel": "h2"}),
        ("POST", "/bookings", {"traveller": "Ada", "flight": "h1"}),
        ("GET", "/bookings/b1/hotel", {}),
        ("GET", f"/bookings/{'9' * 5000}", {}),
    ],
)
def test_what_is_not_there_is_not_found(agency, method, path, body):
    """An id or a path that the service does not know is answered with 404, and changes nothing."""
    agency.held(agency.flight(), agency.hotel())
    before = agency.everything()

    assert (404, "not_found") == code_of(agency.http.request(method, path, json=body))
    assert before == agency.everything()


def test_other_methods_are_refused(agency):
    """A path that is asked with a method that it does not have is answered with 405."""
    assert (405, "method_not_allowed") == code_of(agency.http.delete("/flights"))


# --- bugs ---------------------------------------------------------------------------------------


def together(agency: Agency, bookings: list[str]) -> int:
    """Hold bookings at the same time; return how many were held."""
    barrier, statuses = threading.Barrier(len(bookings)), []

    def hold(booking: str) -> None:
        barrier.wait(PATIENCE)
        statuses.append(agency.hold(booking).status_code)

    threads = [threading.Thread(target=hold, args=(booking,)) for booking in bookings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert len(bookings) == statuses.count(200) + statuses.count(409)

    return statuses.count(200)


def oversold(agency: Agency) -> bool:
    for _ in range(5):
        flight = agency.flight()
        if together(agency, [agency.draft(flight) for _ in range(4)]) > 1:
            return True
    return False


def confirm_draft(agency: Agency) -> int:
    return agency.confirm(agency.draft()).status_code


def confirm_expired(agency: Agency) -> int:
    booking = agency.held()
    agency.expire(booking)
    return agency.confirm(booking).status_code


def cancel_twice(agency: Agency) -> tuple[int, list[int]]:
    booking = agency.held(agency.flight())
    agency.cancel(booking)
    return agency.cancel(booking).status_code, agency.free()


def cancel_declined(agency: Agency) -> tuple[int, list[int]]:
    booking = agency.held(agency.flight())
    agency.confirm(booking, "declined")
    agency.settled(booking)
    return agency.cancel(booking).status_code, agency.free()


def cancel_held(agency: Agency) -> list[int]:
    agency.cancel(agency.held(agency.flight(), agency.hotel()))
    return agency.free()


def expire_held(agency: Agency) -> list[int]:
    agency.expire(agency.held(agency.flight(), agency.hotel()))
    return agency.free()


def decline(agency: Agency) -> tuple[str, list[int]]:
    booking = agency.held(agency.flight(), agency.hotel())
    agency.confirm(booking, "declined")
    return agency.settled(booking), agency.free()


def hold_where_the_hotel_is_full(agency: Agency) -> list[int]:
    flight, hotel = agency.flight(), agency.hotel()
    agency.held(None, hotel)
    agency.hold(agency.draft(flight, hotel))
    return agency.free()


def confirm_both(agency: Agency) -> str:
    booking = agency.held(agency.flight(), agency.hotel())
    agency.confirm(booking)
    time.sleep(10 * DELAY)
    return agency.state(booking)


def hold_last_seat(agency: Agency) -> int:
    return agency.hold(agency.draft(agency.flight())).status_code


def hold_nothing(agency: Agency) -> int:
    """Hold over a connection of its own: uvicorn closes those on which a request crashed."""
    return httpx.post(f"{agency.url}/api/bookings/{agency.draft()}/hold").status_code


def hold_and_hang_up(agency: Agency) -> tuple[str, list[int]]:
    for _ in range(TRIES):
        agency.post("/reset").raise_for_status()
        booking = agency.draft(agency.flight(), agency.hotel())
        abrupt.hang_up(agency.url, f"/api/bookings/{booking}/hold", {})
        if agency.state(booking) == "draft":
            break
    return agency.state(booking), agency.free()


def confirm_and_hang_up(agency: Agency) -> tuple[bool, int, str]:
    """Say whether the booking is held again, how often the provider was asked, and what becomes of the booking."""
    for _ in range(TRIES):
        agency.post("/reset").raise_for_status()
        booking = agency.held()
        abrupt.hang_up(agency.url, f"/api/bookings/{booking}/confirm", {"card": "valid"})
        is_held, asked = agency.state(booking) == "held", len(agency.get("/payments"))
        if is_held and asked:
            break
    deadline = time.monotonic() + PATIENCE
    while agency.state(booking) == "pending" and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(2 * float(DELAY))  # in which the provider answers
    return is_held, asked, agency.state(booking)


def offer_in_pieces(agency: Agency) -> int:
    """Offer a flight a few times, and give the worst status."""
    head, body = abrupt.written("/api/flights", {"seats": 2})
    return max(abrupt.in_pieces(agency.url, head + body[:5], body[5:])[0] for _ in range(TRIES))


STORIES: dict[str, tuple[Callable[[Agency], object], object, object]] = {
    "overbooking": (oversold, False, True),
    "confirm-draft": (confirm_draft, 409, 202),
    "expired-confirms": (confirm_expired, 409, 202),
    "double-cancel": (cancel_twice, (409, [1]), (200, [2])),
    "cancel-keeps-seat": (cancel_held, [1, 1], [0, 1]),
    "expire-keeps-room": (expire_held, [1, 1], [1, 0]),
    "declined-keeps-seat": (decline, ("cancelled", [1, 1]), ("cancelled", [0, 1])),
    "half-hold": (hold_where_the_hotel_is_full, [1, 0], [0, 0]),
    "never-settles": (confirm_both, "confirmed", "pending"),
    "last-seat": (hold_last_seat, 200, 409),
    "nothing-booked": (hold_nothing, 200, 500),
    "hang-up-keeps-seat": (hold_and_hang_up, ("held", [0, 0]), ("draft", [0, 0])),
    "confirmed-to-nobody": (confirm_and_hang_up, (False, 1, "confirmed"), (True, 1, "held")),
    "half-body": (offer_in_pieces, 201, 400),
}


@pytest.mark.parametrize("name", NAMES)
def test_bug_shows_with_its_switch_on_only(agency, name):
    """What goes wrong with a switch on goes right with it off; turning on the fixes turns the bug off."""
    story, right, wrong = STORIES[name]

    assert right == story(agency)

    with running("--provider-delay", DELAY, "--bug", name) as buggy:
        assert [name] == buggy.get("/fixes")["bugs"]
        assert wrong == story(buggy)

        buggy.post("/fixes/enable").raise_for_status()
        buggy.post("/reset").raise_for_status()

        assert [] == buggy.get("/fixes")["bugs"]
        assert right == story(buggy)

        buggy.post("/fixes/disable").raise_for_status()
        buggy.post("/reset").raise_for_status()

        assert [name] == buggy.get("/fixes")["bugs"]
        assert wrong == story(buggy)


# --- where the network fails --------------------------------------------------------------------

FAULTS = [bug.name for bug in BUGS if bug.kind == "fault"]


@pytest.fixture(scope="module")
def failing() -> Iterator[Agency]:
    """Give an agency with all bugs on that only faults show."""
    with running("--provider-delay", DELAY, *[word for bug in FAULTS for word in ("--bug", bug)]) as agency:
        yield agency


@pytest.fixture
def faulty(failing: Agency) -> Agency:
    """Give an agency with those bugs on, and with nothing in it."""
    failing.post("/reset").raise_for_status()
    return failing


@pytest.mark.parametrize("verb", ["hold", "confirm", "cancel", "expire"])
def test_client_that_hangs_up_finds_its_request_done_or_not(agency, verb):
    """A transition whose client hangs up at once is done whole or not at all."""
    before, after = {
        "hold": (("draft", [1, 1]), ("held", [0, 0])),
        "confirm": (("held", [0, 0]), ("confirmed", [0, 0])),
        "cancel": (("held", [0, 0]), ("cancelled", [1, 1])),
        "expire": (("held", [0, 0]), ("expired", [1, 1])),
    }[verb]
    for _ in range(10):
        agency.post("/reset").raise_for_status()
        flight, hotel = agency.flight(), agency.hotel()
        booking = agency.draft(flight, hotel) if verb == "hold" else agency.held(flight, hotel)
        with abrupt.connected(agency.url) as connection:
            request = abrupt.written(f"/api/bookings/{booking}/{verb}", {"card": "valid"})
            connection.sendall(b"".join(request))
        time.sleep(abrupt.MOMENT)

        assert (agency.settled(booking), agency.free()) in (before, after)


@pytest.mark.parametrize("size", [1, 7, 30])
def test_body_may_come_in_pieces(agency, size):
    """A body that comes in pieces of any size is read whole."""
    head, body = abrupt.written("/api/bookings", {"traveller": "Ada"})
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    status, booking = abrupt.in_pieces(agency.url, head, *pieces)

    assert (201, "Ada") == (status, booking["traveller"])


def test_half_body_takes_a_body_in_one_piece(faulty):
    """With half-body on, a body that comes as one piece is read, also behind its head; one in two is no JSON."""
    head, body = abrupt.written("/api/flights", {"seats": 2})
    whole = [abrupt.in_pieces(faulty.url, *pieces)[0] for pieces in ([head + body], [head, body])]
    parts = (abrupt.in_pieces(faulty.url, head, body[:-1], body[-1:]) for _ in range(TRIES))
    codes = [said["error"]["code"] for status, said in parts if status == 400]

    assert [201, 201] == whole
    assert {"invalid_json"} == set(codes)


def test_seat_that_nobody_holds_is_never_given_back(faulty):
    """With hang-up-keeps-seat on, the draft can be cancelled, and the seat stays taken; nobody else gets it."""
    assert ("draft", [0, 0]) == hold_and_hang_up(faulty)
    assert (409, "sold_out") == code_of(faulty.hold("b1"))
    assert 200 == faulty.cancel("b1").status_code
    assert [0, 0] == faulty.free()


def test_payments_are_listed(agency):
    """The list of payments has what the provider was asked for, until a reset."""
    first, second = agency.held(), agency.held()
    agency.confirm(second, "declined")
    agency.confirm(agency.draft())
    agency.confirm(first)

    assert [{"booking": "b2", "card": "declined"}, {"booking": "b1", "card": "valid"}] == agency.get("/payments")
    agency.post("/reset").raise_for_status()
    assert [] == agency.get("/payments")


def test_where_no_fault_is_the_bugs_of_faults_show_nothing(faulty):
    """With all bugs on that only faults show, the ordinary runs of the models find nothing."""
    for model in (Travel, BookingLifecycle):
        result = integration.run(model=model, adapter=TravelApi, base_url=faulty.url, seed=0, max_runs=2)

        assert (0, 2) == (result.exit_code, result.passed), result


# --- switches -----------------------------------------------------------------------------------


def test_double_cancel_is_about_what_a_client_cancelled(agency):
    """A booking whose payment was declined can't be cancelled, and bug double-cancel does not change that."""
    assert (409, [1]) == cancel_declined(agency)

    with running("--provider-delay", DELAY, "--bug", "double-cancel") as buggy:
        assert (409, [1]) == cancel_declined(buggy)


def test_fixes_of_a_service_without_bugs(agency):
    """Where no bug was named, all are fixed at first, and to disable the fixes turns on all bugs."""
    all_fixed = {"fixes": NAMES, "bugs": []}
    none_fixed = {"fixes": [], "bugs": NAMES}

    assert all_fixed == agency.get("/fixes")
    assert none_fixed == agency.post("/fixes/disable").json()
    assert none_fixed == agency.get("/fixes")
    assert 202 == confirm_draft(agency)

    agency.post("/reset").raise_for_status()

    assert none_fixed == agency.get("/fixes")
    assert all_fixed == agency.post("/fixes/enable").json()
    assert 409 == confirm_draft(agency)


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of the service."""
    return subprocess.run(
        [sys.executable, "-m", "examples.travelbooking", *options],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_switches_are_listed():
    """--list-bugs prints the names; with --json, all that is known of each."""
    assert NAMES == run("--list-bugs").stdout.split()
    assert NAMES == [bug["name"] for bug in json.loads(run("--list-bugs", "--json").stdout)]


@pytest.mark.parametrize("options", [("--bug", "typo"), *[("--provider-delay", each) for each in ("-1", "nan")]])
def test_wrong_options_are_refused(options):
    """A bug that there is not, and a delay that is no number of seconds, end the service before it serves."""
    done = run(*options)

    assert (2, "") == (done.returncode, done.stdout)


def test_readme_lists_the_bugs():
    """The README's table has each switch, what goes wrong, and how many commands show it."""
    text = (ROOT / "examples" / "travelbooking" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (\d+)", text, re.MULTILINE)

    assert [(bug.name, bug.wrong, str(bug.shortest)) for bug in BUGS] == rows


# --- the models ---------------------------------------------------------------------------------

FLIGHT: Ref[Flight] = Ref("flight@0")
PAID: Ref[Booking] = Ref("booking@1")
OTHER: Ref[Booking] = Ref("booking@2")


def waiting(card: str) -> Travel:
    """Give a model of a flight with one seat, which a booking has whose payment is open, and another that wants it."""
    return Travel(
        flights={FLIGHT: Flight(seats=1)},
        bookings={
            PAID: Booking(flight=FLIGHT, hotel=None, state="pending", card=card),
            OTHER: Booking(flight=FLIGHT, hotel=None),
        },
    )


@pytest.mark.parametrize(
    ("card", "command", "expected"),
    [
        ("valid", Cancel(booking=PAID), (Cancelled(booking=PAID), PENDING)),
        ("declined", Cancel(booking=PAID), (PENDING, ILLEGAL)),
        ("valid", Hold(booking=OTHER), (SOLD_OUT,)),
        ("declined", Hold(booking=OTHER), (Held(booking=OTHER), SOLD_OUT)),
        ("valid", Hold(booking=PAID), (PENDING, ILLEGAL)),
        ("valid", Expire(booking=OTHER), (ILLEGAL,)),
    ],
)
def test_model_admits_two_answers_only_where_an_open_payment_decides(card, command, expected):
    """While a payment is open, the model expects what may be now, and nothing else."""
    assert expected == waiting(card).predict(command).admissible


@pytest.mark.parametrize(
    ("card", "states", "free"),
    [("valid", {"pending", "confirmed"}, {0}), ("declined", {"pending", "cancelled"}, {0, 1})],
)
def test_checks_admit_what_an_open_payment_leaves_open(card, states, free):
    """While a payment is open, both its states pass, and each number of free seats that may be; at the end, one."""
    model = waiting(card)
    settled = model.bookings[PAID].settled

    def passes(check: Callable[[Any], None], seen: object) -> bool:
        try:
            check(seen)
        except NotSameError:
            return False
        return True

    def seen(state: str) -> Bookings:
        return Bookings(states={str(PAID): state, str(OTHER): "draft"})

    def left(number: int) -> Inventory:
        return Inventory(stock={str(FLIGHT): (1, number)})

    every = ["draft", "held", "pending", "confirmed", "cancelled", "expired"]

    assert states == {state for state in every if passes(model.bookings_match, seen(state))}
    assert {settled} == {state for state in every if passes(model.payments_are_answered, seen(state))}
    assert free == {number for number in (-1, 0, 1, 2) if passes(model.inventory_matches, left(number))}
    assert {max(free)} == {number for number in (-1, 0, 1, 2) if passes(model.inventory_is_exact, left(number))}


@pytest.mark.parametrize("model", [Travel, BookingLifecycle])
def test_model_agrees_with_itself(model):
    """A run of a model against itself finds nothing, and exercises all but the checks, which read from a service."""
    result = integration.run(model=model, adapter=Mock, seed=0, max_runs=50)

    assert 50 == result.passed, result
    assert [] == [each for each in result.never_exercised() if not each.startswith("check")]


@pytest.mark.parametrize("model", [Travel, BookingLifecycle])
def test_model_agrees_with_a_service_without_bugs(agency, model):
    """Some runs against the service without bugs find nothing, and leave nothing unexercised."""
    result = integration.run(model=model, adapter=TravelApi, base_url=agency.url, seed=0, max_runs=5)

    assert 5 == result.passed, result
    assert [] == result.never_exercised()


def test_lifecycle_books_neither_a_flight_nor_a_hotel(agency):
    """Where nothing is offered, bookings are of neither."""
    integration.run(model=BookingLifecycle, adapter=TravelApi, base_url=agency.url, seed=0, max_runs=1)

    assert {(None, None)} == {(each["flight"], each["hotel"]) for each in agency.get("/bookings")}
