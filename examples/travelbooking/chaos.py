"""The travel agency while the network fails: what a client does that gets no answer, and what must hold even then."""

from typing import Any, ClassVar

from examples.travelbooking.adapter import TravelApi
from examples.travelbooking.model import (
    AddFlight,
    AddHotel,
    Booking,
    Cancel,
    Cancelled,
    Confirm,
    Confirming,
    Draft,
    Drafted,
    Expire,
    Expired,
    Flight,
    FlightAdded,
    Held,
    Hold,
    Hotel,
    HotelAdded,
    Travel,
)
from replaykit import Command, Observation, Ref, check, fault, observes, on, recovers, same


class Payments(Observation):
    """The bookings that the provider was asked to be paid for, in that order."""

    bookings: list[str]


class ChaosTravel(Travel):
    """The same rules, whatever becomes of the answers; and nobody pays for what was not confirmed."""

    commands: ClassVar[tuple[type[Command], ...]] = (
        *Travel.commands,
        fault.Latency,
        fault.Timeout,
        fault.ResetPeer,
        fault.LimitData,
        fault.Slicer,
        fault.Down,
        fault.ErrorStatus,
        fault.Truncated,
        fault.Corrupted,
    )
    paid: list[Ref[Booking]] = []

    @on
    def confirming(self, event: Confirming) -> None:
        super().confirming(event)
        self.paid.append(event.booking)

    @check
    def payments_match(self, payments: Payments) -> None:
        same(payments.bookings, [str(booking) for booking in self.paid])


SOON = 0.1  # seconds in which the service has done what it was asked


class ChaosTravelApi(TravelApi):
    """Nothing has a key, so all is looked up."""

    @recovers(within=SOON)
    def flight_added(self, _: AddFlight) -> FlightAdded | None:
        row = self.new("flights", "flight")
        return None if row is None else FlightAdded(flight=self.ref(Flight, row["id"]), seats=row["seats"])

    @recovers(within=SOON)
    def hotel_added(self, _: AddHotel) -> HotelAdded | None:
        row = self.new("hotels", "hotel")
        return None if row is None else HotelAdded(hotel=self.ref(Hotel, row["id"]), rooms=row["rooms"])

    @recovers(within=SOON)
    def drafted(self, cmd: Draft) -> Drafted | None:
        row = next((each for each in self.listed("bookings") if each["traveller"] == cmd.traveller), None)
        if row is None:
            return None
        booking = self.ref(Booking, row["id"])
        return Drafted(booking=booking, traveller=cmd.traveller, flight=cmd.flight, hotel=cmd.hotel)

    @recovers(within=SOON)
    def held(self, cmd: Hold) -> Held | None:
        return Held(booking=cmd.booking) if self.state(cmd.booking) == "held" else None

    @recovers(within=SOON)
    def confirming(self, cmd: Confirm) -> Confirming | None:
        answered = {"valid": "confirmed", "declined": "cancelled"}[cmd.card]
        is_asked = self.state(cmd.booking) in {"pending", answered}
        return Confirming(booking=cmd.booking, card=cmd.card) if is_asked else None

    @recovers(within=SOON)
    def cancelled(self, cmd: Cancel) -> Cancelled | None:
        return Cancelled(booking=cmd.booking) if self.state(cmd.booking) == "cancelled" else None

    @recovers(within=SOON)
    def expired(self, cmd: Expire) -> Expired | None:
        return Expired(booking=cmd.booking) if self.state(cmd.booking) == "expired" else None

    @observes
    def payments(self) -> Payments:
        return Payments(bookings=[str(self.ref(Booking, row["booking"])) for row in self.listed("payments")])

    def new(self, place: str, entity: str) -> dict[str, Any] | None:
        """Find what nobody has heard of yet."""
        known = {service_id for name, service_id in self.refs.bound() if name == entity}
        return next((row for row in self.listed(place) if row["id"] not in known), None)

    def state(self, booking: Ref[Booking]) -> str:
        """Read the state of a booking."""
        return str(self.http.get(f"/api/bookings/{booking.id}").raise_for_status().json()["state"])
