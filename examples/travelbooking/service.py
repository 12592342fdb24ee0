"""The travel agency's requests: Starlette, JSON in and out, and one place where errors become answers."""

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.answers import RefusedError, document, not_routed, refused
from examples.regrets import Regrets
from examples.travelbooking.agency import BUGS, Agency, Booking, Stock

__all__ = ["BUGS", "application"]

MOST = 1_000_000  # seats of one flight, or rooms of one hotel


def application(bugs: frozenset[str] = frozenset(), provider_delay: float = 0.03) -> Starlette:
    """Make the service, with some bugs on; the provider answers after `provider_delay` seconds."""
    agency, regrets = Agency(bugs, provider_delay), Regrets()

    async def said(request: Request) -> dict[str, Any]:
        return await document(request, whole="half-body" not in agency.bugs)

    async def add_flight(request: Request) -> Response:
        return JSONResponse(stock(agency.add_flight(count(await said(request), "seats"))), 201)

    async def add_hotel(request: Request) -> Response:
        return JSONResponse(stock(agency.add_hotel(count(await said(request), "rooms"))), 201)

    async def flights(_: Request) -> Response:
        return JSONResponse([stock(each) for each in agency.flights.values()])

    async def hotels(_: Request) -> Response:
        return JSONResponse([stock(each) for each in agency.hotels.values()])

    async def draft(request: Request) -> Response:
        data = await said(request)
        traveller = text(data, "traveller")
        if not traveller.strip():
            raise RefusedError(400, "invalid", "traveller is blank.")
        return JSONResponse(shown(agency.draft(traveller, optional(data, "flight"), optional(data, "hotel"))), 201)

    async def bookings(_: Request) -> Response:
        return JSONResponse([shown(each) for each in agency.bookings.values()])

    async def booking(request: Request) -> Response:
        return JSONResponse(shown(named(request)))

    async def hold(request: Request) -> Response:
        chosen = named(request)
        await agency.hold(chosen)
        async with regrets.after(request, bug="hang-up-keeps-seat" in agency.bugs) as hung_up:
            if hung_up:
                agency.undo_hold(chosen)
        return JSONResponse(shown(chosen))

    async def confirm(request: Request) -> Response:
        chosen = named(request)
        card = text(await said(request), "card")
        if card not in {"valid", "declined"}:
            raise RefusedError(400, "invalid", 'card is neither "valid" nor "declined".')
        agency.confirm(chosen)
        async with regrets.after(request, bug="confirmed-to-nobody" in agency.bugs) as hung_up:
            agency.charge(chosen, card)
            if hung_up:
                agency.undo_confirm(chosen)
        return JSONResponse(shown(chosen), 202)

    async def cancel(request: Request) -> Response:
        chosen = named(request)
        agency.cancel(chosen)
        return JSONResponse(shown(chosen))

    async def expire(request: Request) -> Response:
        chosen = named(request)
        agency.expire(chosen)
        return JSONResponse(shown(chosen))

    async def payments(_: Request) -> Response:
        return JSONResponse([{"booking": booking, "card": card} for booking, card in agency.payments])

    def named(request: Request) -> Booking:
        return agency.booking(request.path_params["id"])

    async def reset(_: Request) -> Response:
        agency.clear()
        return JSONResponse({})

    async def enable_fixes(_: Request) -> Response:
        agency.enable_fixes()
        return fixes_now()

    async def disable_fixes(_: Request) -> Response:
        agency.disable_fixes()
        return fixes_now()

    async def fixes(_: Request) -> Response:
        return fixes_now()

    def fixes_now() -> Response:
        names = [bug.name for bug in BUGS]
        return JSONResponse(
            {
                "fixes": [name for name in names if name not in agency.bugs],
                "bugs": [name for name in names if name in agency.bugs],
            }
        )

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/api/flights", regrets.before(flights), methods=["GET"]),
            Route("/api/flights", regrets.before(add_flight), methods=["POST"]),
            Route("/api/hotels", regrets.before(hotels), methods=["GET"]),
            Route("/api/hotels", regrets.before(add_hotel), methods=["POST"]),
            Route("/api/bookings", regrets.before(bookings), methods=["GET"]),
            Route("/api/bookings", regrets.before(draft), methods=["POST"]),
            Route("/api/bookings/{id}", regrets.before(booking), methods=["GET"]),
            Route("/api/bookings/{id}/hold", regrets.before(hold), methods=["POST"]),
            Route("/api/bookings/{id}/confirm", regrets.before(confirm), methods=["POST"]),
            Route("/api/bookings/{id}/cancel", regrets.before(cancel), methods=["POST"]),
            Route("/api/bookings/{id}/expire", regrets.before(expire), methods=["POST"]),
            Route("/api/payments", regrets.before(payments), methods=["GET"]),
            Route("/api/reset", regrets.before(reset), methods=["POST"]),
            Route("/api/fixes", fixes, methods=["GET"]),
            Route("/api/fixes/enable", enable_fixes, methods=["POST"]),
            Route("/api/fixes/disable", disable_fixes, methods=["POST"]),
            Route("/api/health", health, methods=["GET"]),
            Route("/health", health, methods=["GET"]),
        ],
        exception_handlers={RefusedError: refused, HTTPException: not_routed},
    )


# --- answers ------------------------------------------------------------------------------------


def stock(each: Stock) -> dict[str, Any]:
    """Show a flight or a hotel."""
    return {"id": each.id, each.unit: each.total, "free": each.free}


def shown(booking: Booking) -> dict[str, Any]:
    """Show a booking."""
    return {
        "id": booking.id,
        "traveller": booking.traveller,
        "flight": booking.flight,
        "hotel": booking.hotel,
        "state": booking.state,
    }


# --- what the client sent -----------------------------------------------------------------------


def count(data: dict[str, Any], name: str) -> int:
    """Read a number of seats or rooms."""
    value = data.get(name)
    if type(value) is not int or not 1 <= value <= MOST:  # not isinstance: a bool is an int
        raise RefusedError(400, "invalid", f"{name} is no whole number from 1 to {MOST}.")
    return value


def text(data: dict[str, Any], name: str) -> str:
    """Read a text."""
    value = data.get(name)
    if not isinstance(value, str):
        raise RefusedError(400, "invalid", f"{name} is no text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RefusedError(400, "invalid", f"{name} has half a character in it.") from None
    return value


def optional(data: dict[str, Any], name: str) -> str | None:
    """Read a text, or null; what is left out is null."""
    return None if data.get(name) is None else text(data, name)
