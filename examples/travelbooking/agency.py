"""The travel agency: flights, hotels and bookings, kept in memory, and the bugs that can be switched on."""

import asyncio
from dataclasses import dataclass

from examples.answers import RefusedError
from examples.serving import Bug

BUGS = (
    Bug("overbooking", "race", "seats are looked at first and taken later, so holds at the same time sell too many", 3),
    Bug("confirm-draft", "illegal transition", "a draft can be confirmed without being held", 2),
    Bug("expired-confirms", "illegal transition", "a hold that has expired can still be confirmed", 4),
    Bug("double-cancel", "illegal transition", "cancelling twice is accepted, and gives the seat back twice", 3),
    Bug("cancel-keeps-seat", "lost update", "a cancelled booking does not give its seat back", 4),
    Bug("expire-keeps-room", "lost update", "an expired hold does not give its room back", 4),
    Bug("declined-keeps-seat", "lost update", "a declined payment does not give the seat back", 4),
    Bug("half-hold", "no rollback", "when the hotel is full, the seat that was already taken stays taken", 6),
    Bug("never-settles", "lost answer", "a booking of both a flight and a hotel stays pending for ever", 5),
    Bug("last-seat", "off by one", "the last seat of a flight can't be sold", 3),
    Bug("nothing-booked", "crash", "holding a booking that names neither flight nor hotel ends in a 500", 2),
    Bug("hang-up-keeps-seat", "fault", "a hold whose client has hung up is undone, but seat and room stay taken", 4),
    Bug(
        "confirmed-to-nobody",
        "fault",
        "a confirmation whose client has hung up is undone, but the provider was charged, and confirms it to nobody",
        4,
    ),
    Bug("half-body", "fault", "only the first piece of a body is read: one that comes in several is refused", 2),
)

FARE = 0.005  # seconds that it takes to ask for a fare, where bug overbooking does so in between


@dataclass(slots=True)
class Stock:
    """What can be sold of one flight, or of one hotel."""

    id: str
    unit: str  # seats or rooms
    total: int
    free: int


@dataclass(slots=True)
class Booking:
    """One traveller's booking of a flight, a hotel, both or neither."""

    id: str
    traveller: str
    flight: str | None
    hotel: str | None
    state: str = "draft"  # then held, pending, confirmed, cancelled, expired
    took: bool = False  # were its seat and its room ever taken?
    called_off: bool = False  # did anybody cancel it?


class Agency:
    """One agency, with the bugs that are on."""

    def __init__(self, named: frozenset[str] = frozenset(), provider_delay: float = 0.03) -> None:
        self.named = named  # bugs that were asked for
        self.bugs = named  # bugs that are on now
        self.provider_delay = provider_delay  # seconds
        self.clear()

    def clear(self) -> None:
        """Forget everything; numbers start again."""
        self.flights: dict[str, Stock] = {}
        self.hotels: dict[str, Stock] = {}
        self.bookings: dict[str, Booking] = {}
        self.payments: list[tuple[str, str]] = []  # what the provider was asked for: a booking, and a card

    # --- bugs

    def enable_fixes(self) -> None:
        """Turn all bugs off."""
        self.bugs = frozenset()

    def disable_fixes(self) -> None:
        """Turn on the bugs that were named, or all."""
        self.bugs = self.named or frozenset(bug.name for bug in BUGS)

    # --- what there is

    def add_flight(self, seats: int) -> Stock:
        """Offer a flight."""
        flight = Stock(f"f{len(self.flights) + 1}", "seats", seats, seats)
        self.flights[flight.id] = flight
        return flight

    def add_hotel(self, rooms: int) -> Stock:
        """Offer a hotel."""
        hotel = Stock(f"h{len(self.hotels) + 1}", "rooms", rooms, rooms)
        self.hotels[hotel.id] = hotel
        return hotel

    def draft(self, traveller: str, flight: str | None, hotel: str | None) -> Booking:
        """Begin a booking; nothing is taken yet."""
        if flight is not None and flight not in self.flights:
            raise RefusedError(404, "not_found", f"There is no flight {flight!r}.")
        if hotel is not None and hotel not in self.hotels:
            raise RefusedError(404, "not_found", f"There is no hotel {hotel!r}.")
        booking = Booking(f"b{len(self.bookings) + 1}", traveller, flight, hotel)
        self.bookings[booking.id] = booking
        return booking

    def booking(self, number: str) -> Booking:
        """Find a booking."""
        if number not in self.bookings:
            raise RefusedError(404, "not_found", f"There is no booking {number!r}.")
        return self.bookings[number]

    # --- what becomes of a booking

    async def hold(self, booking: Booking) -> None:
        """Take the seat and the room: both or nothing."""
        self._demand(booking, "held", {"draft"})
        wanted = self._wanted(booking)
        if "overbooking" in self.bugs:
            for stock in wanted:
                self._look(stock)
            booking.state = "held"
            await asyncio.sleep(FARE)  # meanwhile, others see the same seats
            for stock in wanted:
                stock.free -= 1
        else:
            self._take(wanted)
        booking.took = True
        booking.state = "held"

    def undo_hold(self, booking: Booking) -> None:
        """Forget that a booking was held, with the bug hang-up-keeps-seat."""
        booking.took = False
        booking.state = "draft"

    def confirm(self, booking: Booking) -> None:
        """Begin to pay for a booking; then the provider is to be charged."""
        states = {"held"}
        if "confirm-draft" in self.bugs:
            states.add("draft")
        if "expired-confirms" in self.bugs:
            states.add("expired")
        self._demand(booking, "confirmed", states)
        booking.state = "pending"

    def undo_confirm(self, booking: Booking) -> None:
        """Forget that a booking was being paid for, with the bug confirmed-to-nobody."""
        booking.state = "held"

    def charge(self, booking: Booking, card: str) -> None:
        """Ask the provider to take the money; its answer comes later."""
        self.payments.append((booking.id, card))
        if "never-settles" in self.bugs and booking.flight is not None and booking.hotel is not None:
            return  # the answers of two providers are waited for, and only one is asked
        asyncio.get_running_loop().call_later(self.provider_delay, self._settle, booking, card == "valid")

    def _settle(self, booking: Booking, approved: bool) -> None:
        """Hear the provider's answer."""
        if self.bookings.get(booking.id) is not booking or booking.state != "pending":
            return  # it was forgotten meanwhile, or nobody waits for it
        if approved:
            booking.state = "confirmed"
        else:
            booking.state = "cancelled"
            self._give_back(booking, seat="declined-keeps-seat" not in self.bugs)

    def cancel(self, booking: Booking) -> None:
        """Call a booking off, and give back what it took."""
        states = {"draft", "held", "confirmed"}
        if "double-cancel" in self.bugs and booking.called_off:
            states.add("cancelled")  # so that a client can send it again when the answer was lost
        self._demand(booking, "cancelled", states)
        booking.state = "cancelled"
        booking.called_off = True
        self._give_back(booking, seat="cancel-keeps-seat" not in self.bugs)

    def expire(self, booking: Booking) -> None:
        """End a hold that was not confirmed in time."""
        self._demand(booking, "expired", {"held"})
        booking.state = "expired"
        self._give_back(booking, room="expire-keeps-room" not in self.bugs)

    def _demand(self, booking: Booking, what: str, states: set[str]) -> None:
        if booking.state not in states:
            code = "payment_pending" if booking.state == "pending" else "illegal_transition"
            raise RefusedError(409, code, f"Booking {booking.id} is {booking.state}, and can't be {what}.")

    # --- seats and rooms

    def _wanted(self, booking: Booking) -> list[Stock]:
        """List what a booking takes one of."""
        if "nothing-booked" in self.bugs and booking.flight is None:
            return [self.hotels[booking.hotel]]  # type: ignore[index]  # who does not fly needs a bed, it was thought
        flights = [] if booking.flight is None else [self.flights[booking.flight]]
        hotels = [] if booking.hotel is None else [self.hotels[booking.hotel]]
        return flights + hotels

    def _look(self, stock: Stock) -> None:
        """Refuse if nothing is left."""
        kept = 1 if "last-seat" in self.bugs and stock.unit == "seats" else 0
        if stock.free <= kept:
            raise RefusedError(409, "sold_out", f"{stock.id} has no {stock.unit} left.")

    def _take(self, wanted: list[Stock]) -> None:
        taken: list[Stock] = []
        for stock in wanted:
            try:
                self._look(stock)
            except RefusedError:
                if "half-hold" not in self.bugs:
                    for each in taken:
                        each.free += 1
                raise
            stock.free -= 1
            taken.append(stock)

    def _give_back(self, booking: Booking, *, seat: bool = True, room: bool = True) -> None:
        if not booking.took:
            return
        if booking.flight is not None and seat:
            self.flights[booking.flight].free += 1
        if booking.hotel is not None and room:
            self.hotels[booking.hotel].free += 1
