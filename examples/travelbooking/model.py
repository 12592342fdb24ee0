"""What the travel agency should do."""

from typing import Annotated, Any, ClassVar, Literal

from replaykit import (
    Command,
    Entity,
    Event,
    Like,
    Model,
    Observation,
    Ref,
    check,
    eventually,
    expects,
    gen,
    invariant,
    like,
    on,
    requires,
    same,
)

MOST = 3  # flights, and hotels, in one run; few, so that they sell out

Traveller = Annotated[str, gen.mint("traveller")]
Few = Annotated[int, gen.integers(1, 3)]
Card = Annotated[
    Literal["valid", "declined"], gen.frequency((3, gen.const("valid")), (1, gen.const("declined")))
]  # fmt: skip


class Flight(Entity):
    """A flight that is offered."""

    seats: int


class Hotel(Entity):
    """A hotel that is offered."""

    rooms: int


class Booking(Entity):
    """A booking, as far as it is known: when a payment is answered is not."""

    flight: Ref[Flight] | None
    hotel: Ref[Hotel] | None
    state: str = "draft"
    card: str = ""

    @property
    def settled(self) -> str:
        """The state once the provider has answered."""
        if self.state != "pending":
            return self.state
        return "confirmed" if self.card == "valid" else "cancelled"


class AddFlight(Command):
    """Offer a flight."""

    seats: Few


class AddHotel(Command):
    """Offer a hotel."""

    rooms: Few


class Draft(Command, weight=4):
    """Begin a booking of a flight, a hotel, both or neither."""

    traveller: Traveller
    flight: Ref[Flight] | None
    hotel: Ref[Hotel] | None


class Hold(Command, weight=5):
    """Take the seat and the room of a booking."""

    booking: Ref[Booking]


class Confirm(Command, weight=3):
    """Pay for a booking."""

    booking: Ref[Booking]
    card: Card


class Cancel(Command, weight=2):
    """Call a booking off."""

    booking: Ref[Booking]


class Expire(Command, weight=2):
    """End a hold that was not confirmed in time, as a scheduler would."""

    booking: Ref[Booking]


class FlightAdded(Event):
    """The flight is offered."""

    flight: Ref[Flight]
    seats: int


class HotelAdded(Event):
    """The hotel is offered."""

    hotel: Ref[Hotel]
    rooms: int


class Drafted(Event):
    """The booking is begun."""

    booking: Ref[Booking]
    traveller: str
    flight: Ref[Flight] | None
    hotel: Ref[Hotel] | None


class Held(Event):
    """The seat and the room are taken."""

    booking: Ref[Booking]


class Confirming(Event):
    """The provider is asked for the money."""

    booking: Ref[Booking]
    card: str


class Cancelled(Event):
    """The booking is called off."""

    booking: Ref[Booking]


class Expired(Event):
    """The hold is ended."""

    booking: Ref[Booking]


class Rejected(Event):
    """The agency refuses, and nothing has changed."""

    status: int
    code: str


class Bookings(Observation):
    """The state of each booking."""

    states: dict[str, str]


class Inventory(Observation):
    """The seats of each flight and the rooms of each hotel: all, and those that are free."""

    stock: dict[str, tuple[int, int]]


ILLEGAL = Rejected(status=409, code="illegal_transition")
PENDING = Rejected(status=409, code="payment_pending")
SOLD_OUT = Rejected(status=409, code="sold_out")


def refusals(booking: Booking) -> tuple[Rejected, ...]:
    """How a transition may be refused that is none, now and once the payment is answered."""
    return (PENDING, ILLEGAL) if booking.state == "pending" else (ILLEGAL,)


class Travel(Model):
    """A booking takes a seat and a room when it is held, and gives them back when it is over.

    Nobody knows when a payment is answered. So what depends on it may come in two ways while a run goes on, and
    is exact at its end.
    """

    commands: ClassVar[tuple[type[Command], ...]] = (AddFlight, AddHotel, Draft, Hold, Confirm, Cancel, Expire)
    server_errors: ClassVar = True
    flights: dict[Ref[Flight], Flight] = {}
    hotels: dict[Ref[Hotel], Hotel] = {}
    bookings: dict[Ref[Booking], Booking] = {}

    # --- what may be asked

    @requires
    def few_flights(self, _: AddFlight) -> bool:
        return len(self.flights) < MOST

    @requires
    def few_hotels(self, _: AddHotel) -> bool:
        return len(self.hotels) < MOST

    # --- what is answered

    @expects
    def add_flight(self, cmd: AddFlight) -> Like[FlightAdded]:
        return like(FlightAdded, seats=cmd.seats)

    @expects
    def add_hotel(self, cmd: AddHotel) -> Like[HotelAdded]:
        return like(HotelAdded, rooms=cmd.rooms)

    @expects
    def draft(self, cmd: Draft) -> Like[Drafted]:
        return like(Drafted, traveller=cmd.traveller, flight=cmd.flight, hotel=cmd.hotel)

    @expects
    def hold(self, cmd: Hold) -> Held | Rejected | tuple[Held | Rejected, ...]:
        booking = self.bookings[cmd.booking]
        if booking.state != "draft":
            return refusals(booking)
        free = [self.free(each) for each in (booking.flight, booking.hotel) if each is not None]
        if all(least > 0 for least, _ in free):
            return Held(booking=cmd.booking)
        if any(most <= 0 for _, most in free):
            return SOLD_OUT
        self.label("an open payment has the last seat or room")
        return Held(booking=cmd.booking), SOLD_OUT

    @expects
    def confirm(self, cmd: Confirm) -> Confirming | tuple[Rejected, ...]:
        booking = self.bookings[cmd.booking]
        return Confirming(booking=cmd.booking, card=cmd.card) if booking.state == "held" else refusals(booking)

    @expects
    def cancel(self, cmd: Cancel) -> Cancelled | tuple[Cancelled | Rejected, ...]:
        booking = self.bookings[cmd.booking]
        if booking.state == "pending":
            self.label("a booking is called off while its payment is open")
        if booking.state in {"draft", "held"}:
            return Cancelled(booking=cmd.booking)
        if booking.settled == "confirmed":
            return Cancelled(booking=cmd.booking), PENDING
        return refusals(booking)

    @expects
    def expire(self, cmd: Expire) -> Expired | tuple[Rejected, ...]:
        booking = self.bookings[cmd.booking]
        return Expired(booking=cmd.booking) if booking.state == "held" else refusals(booking)

    # --- what changes

    @on
    def flight_added(self, event: FlightAdded) -> None:
        self.flights[event.flight] = Flight(seats=event.seats)

    @on
    def hotel_added(self, event: HotelAdded) -> None:
        self.hotels[event.hotel] = Hotel(rooms=event.rooms)

    @on
    def drafted(self, event: Drafted) -> None:
        self.bookings[event.booking] = Booking(flight=event.flight, hotel=event.hotel)

    @on
    def held(self, event: Held) -> None:
        self.bookings[event.booking].state = "held"

    @on
    def confirming(self, event: Confirming) -> None:
        booking = self.bookings[event.booking]
        booking.state, booking.card = "pending", event.card

    @on
    def cancelled(self, event: Cancelled) -> None:
        self.bookings[event.booking].state = "cancelled"

    @on
    def expired(self, event: Expired) -> None:
        self.bookings[event.booking].state = "expired"

    # --- what holds

    def stock(self) -> dict[Ref[Any], int]:
        """All seats of each flight, and all rooms of each hotel."""
        seats = {ref: flight.seats for ref, flight in self.flights.items()}
        rooms = {ref: hotel.rooms for ref, hotel in self.hotels.items()}
        return {**seats, **rooms}

    def free(self, offer: Ref[Any]) -> tuple[int, int]:
        """How many seats or rooms are free: if no payment has been answered yet, and if all have."""
        wanting = [each for each in self.bookings.values() if offer in (each.flight, each.hotel)]
        least = self.stock()[offer] - sum(each.state in {"held", "pending", "confirmed"} for each in wanting)
        most = self.stock()[offer] - sum(each.settled in {"held", "confirmed"} for each in wanting)
        return max(0, least), most

    @invariant
    def nothing_is_oversold(self) -> None:
        assert all(self.free(offer)[1] >= 0 for offer in self.stock())

    @check
    def bookings_match(self, bookings: Bookings) -> None:
        seen = bookings.states
        expected = {
            str(ref): booking.settled if seen.get(str(ref)) == booking.settled else booking.state
            for ref, booking in self.bookings.items()
        }
        same(seen, expected)

    @check
    def inventory_matches(self, inventory: Inventory) -> None:
        expected = {}
        for offer, total in self.stock().items():
            least, most = self.free(offer)
            _, seen = inventory.stock.get(str(offer), (total, most))
            expected[str(offer)] = (total, min(max(seen, least), most))
        same(inventory.stock, expected)

    @eventually(within=1.0, every=0.05, at="end")
    def payments_are_answered(self, bookings: Bookings) -> None:
        same(bookings.states, {str(ref): booking.settled for ref, booking in self.bookings.items()})

    @check(at="end")  # after the one above, so no payment is open, and nothing may come in two ways any more
    def inventory_is_exact(self, inventory: Inventory) -> None:
        same(inventory.stock, {str(offer): (total, self.free(offer)[1]) for offer, total in self.stock().items()})


class BookingLifecycle(Travel):
    """Only the transitions: with nothing offered, all bookings are of neither a flight nor a hotel."""

    commands: ClassVar[tuple[type[Command], ...]] = (Draft, Hold, Confirm, Cancel, Expire)
