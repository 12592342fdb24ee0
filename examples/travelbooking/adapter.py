"""How the travel agency is spoken to."""

from typing import Any

from examples.travelbooking.model import (
    AddFlight,
    AddHotel,
    Booking,
    Bookings,
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
    Inventory,
    Rejected,
    Travel,
)
from replaykit import Adapter, Ref, handles, observes


class TravelApi(Adapter[Travel]):
    """The travel agency over HTTP."""

    timeout = 5.0

    def reset(self) -> None:
        self.http.post("/api/reset").raise_for_status()

    @handles
    def add_flight(self, cmd: AddFlight) -> FlightAdded | Rejected:
        said = self.post("flights", seats=cmd.seats)
        if isinstance(said, Rejected):
            return said
        return FlightAdded(flight=self.ref(Flight, said["id"]), seats=said["seats"])

    @handles
    def add_hotel(self, cmd: AddHotel) -> HotelAdded | Rejected:
        said = self.post("hotels", rooms=cmd.rooms)
        if isinstance(said, Rejected):
            return said
        return HotelAdded(hotel=self.ref(Hotel, said["id"]), rooms=said["rooms"])

    @handles
    def draft(self, cmd: Draft) -> Drafted | Rejected:
        said = self.post(
            "bookings",
            traveller=cmd.traveller,
            flight=cmd.flight and cmd.flight.id,
            hotel=cmd.hotel and cmd.hotel.id,
        )
        if isinstance(said, Rejected):
            return said
        return Drafted(
            booking=self.ref(Booking, said["id"]),
            traveller=said["traveller"],
            flight=said["flight"] and self.ref(Flight, said["flight"]),
            hotel=said["hotel"] and self.ref(Hotel, said["hotel"]),
        )

    @handles
    def hold(self, cmd: Hold) -> Held | Rejected:
        said = self.move(cmd.booking, "hold")
        return said if isinstance(said, Rejected) else Held(booking=cmd.booking)

    @handles
    def confirm(self, cmd: Confirm) -> Confirming | Rejected:
        said = self.move(cmd.booking, "confirm", card=cmd.card)
        return said if isinstance(said, Rejected) else Confirming(booking=cmd.booking, card=cmd.card)

    @handles
    def cancel(self, cmd: Cancel) -> Cancelled | Rejected:
        said = self.move(cmd.booking, "cancel")
        return said if isinstance(said, Rejected) else Cancelled(booking=cmd.booking)

    @handles
    def expire(self, cmd: Expire) -> Expired | Rejected:
        said = self.move(cmd.booking, "expire")
        return said if isinstance(said, Rejected) else Expired(booking=cmd.booking)

    @observes
    def bookings(self) -> Bookings:
        return Bookings(states={str(self.ref(Booking, row["id"])): row["state"] for row in self.listed("bookings")})

    @observes
    def inventory(self) -> Inventory:
        seats = {str(self.ref(Flight, row["id"])): (row["seats"], row["free"]) for row in self.listed("flights")}
        rooms = {str(self.ref(Hotel, row["id"])): (row["rooms"], row["free"]) for row in self.listed("hotels")}
        return Inventory(stock={**seats, **rooms})

    def move(self, booking: Ref[Booking], verb: str, **body: str) -> dict[str, Any] | Rejected:
        """Ask for a transition of a booking."""
        return self.post(f"bookings/{booking.id}/{verb}", **body)

    def post(self, place: str, **body: Any) -> dict[str, Any] | Rejected:
        """Send something, and return the answer, or the refusal."""
        answer = self.http.post(f"/api/{place}", json=body)
        if answer.is_error:
            return Rejected(status=answer.status_code, code=answer.json()["error"]["code"])
        said: dict[str, Any] = answer.json()
        return said

    def listed(self, place: str) -> list[dict[str, Any]]:
        """Read a list."""
        rows: list[dict[str, Any]] = self.http.get(f"/api/{place}").raise_for_status().json()
        return rows
