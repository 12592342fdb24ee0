"""Calendars on a CalDAV server that others wrote (Radicale): events and tasks, added, removed, moved and listed."""

import re
from typing import Annotated, ClassVar, Literal

from replaykit import Adapter, Command, Event, Model, expects, gen, handles, on

Name = Annotated[str, gen.pool(gen.text(gen.letters(), min_size=1, max_size=3), size=8)]
Where = Literal["home", "work"]
Kind = Literal["event", "task"]

CALDAV = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"'
USER = "/someone"
COMPONENTS = {"event": "VEVENT", "task": "VTODO"}
SPAN = 'start="20240101T000000Z" end="20240201T000000Z"'


class Add(Command, weight=4):
    """Put an event or a task into a calendar."""

    where: Where
    name: Name
    kind: Kind
    day: Annotated[int, gen.integers(1, 28)]


class Remove(Command):
    """Take something out of a calendar."""

    where: Where
    name: Name


class Move(Command):
    """Move something from home to work."""

    name: Name


class Ask(Command, weight=3):
    """Ask for what is in a calendar; with `expand`, each event or task that repeats once for each time."""

    where: Where
    kind: Kind
    expand: bool


class Added(Event):
    """It is there."""

    where: Where
    name: str
    kind: Kind


class Removed(Event):
    """It is not there any more."""

    where: Where
    name: str


class Moved(Event):
    """It is at work now."""

    name: str


class Listed(Event):
    """What there is of a kind."""

    names: list[str]


class Refused(Event):
    """The server did not do it."""

    status: int


class Calendars(Model):
    """Two calendars; the names of what is in one are its own."""

    commands: ClassVar = (Add, Remove, Move, Ask)
    home: dict[str, Kind] = {}  # noqa: RUF012
    work: dict[str, Kind] = {}  # noqa: RUF012

    @expects
    def adding(self, cmd: Add) -> Added:
        return Added(where=cmd.where, name=cmd.name, kind=cmd.kind)

    @expects
    def removing(self, cmd: Remove) -> Removed | Refused:
        there = self.home if cmd.where == "home" else self.work
        return Removed(where=cmd.where, name=cmd.name) if cmd.name in there else Refused(status=404)

    @expects
    def moving(self, cmd: Move) -> Moved | Refused:
        if cmd.name not in self.home:
            return Refused(status=404)
        return Refused(status=412) if cmd.name in self.work else Moved(name=cmd.name)

    @expects
    def asking(self, cmd: Ask) -> Listed:
        there = self.home if cmd.where == "home" else self.work
        return Listed(names=sorted(name for name, kind in there.items() if kind == cmd.kind))

    @on
    def added(self, event: Added) -> None:
        (self.home if event.where == "home" else self.work)[event.name] = event.kind

    @on
    def removed(self, event: Removed) -> None:
        del (self.home if event.where == "home" else self.work)[event.name]

    @on
    def moved(self, event: Moved) -> None:
        self.work[event.name] = self.home.pop(event.name)


class CalDav(Adapter[Calendars]):
    """The calendars over HTTP."""

    timeout = 10.0

    def auth(self) -> tuple[str, str]:
        return USER.strip("/"), ""  # anybody is let in; this says whose calendars they are

    def reset(self) -> None:
        for where in ("home", "work"):
            self.http.delete(self.path(where))
            made = self.http.request("MKCALENDAR", self.path(where))
            made.raise_for_status()

    @handles
    def add(self, cmd: Add) -> Added | Refused:
        at = f"202401{cmd.day:02}T100000Z"
        lines = [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:replaykit", f"BEGIN:{COMPONENTS[cmd.kind]}",
            f"UID:{cmd.name}", "DTSTAMP:20240101T000000Z", f"SUMMARY:{cmd.name}",
            f"DTSTART:{at}" if cmd.kind == "event" else f"DUE:{at}",
            f"END:{COMPONENTS[cmd.kind]}", "END:VCALENDAR", "",
        ]  # fmt: skip
        answer = self.http.put(self.path(cmd.where, cmd.name), content="\r\n".join(lines).encode())
        if answer.is_error:
            return Refused(status=answer.status_code)
        return Added(where=cmd.where, name=cmd.name, kind=cmd.kind)

    @handles
    def remove(self, cmd: Remove) -> Removed | Refused:
        answer = self.http.delete(self.path(cmd.where, cmd.name))
        return Refused(status=answer.status_code) if answer.is_error else Removed(where=cmd.where, name=cmd.name)

    @handles
    def move(self, cmd: Move) -> Moved | Refused:
        wanted = {"Destination": str(self.http.base_url).rstrip("/") + self.path("work", cmd.name), "Overwrite": "F"}
        answer = self.http.request("MOVE", self.path("home", cmd.name), headers=wanted)
        return Refused(status=answer.status_code) if answer.is_error else Moved(name=cmd.name)

    @handles
    def ask(self, cmd: Ask) -> Listed | Refused:
        data = f"<C:calendar-data><C:expand {SPAN}/></C:calendar-data>" if cmd.expand else "<C:calendar-data/>"
        kind = f'<C:comp-filter name="{COMPONENTS[cmd.kind]}"/>'
        query = (
            f'<?xml version="1.0"?><C:calendar-query {CALDAV}><prop>{data}</prop>'
            f'<C:filter><C:comp-filter name="VCALENDAR">{kind}</C:comp-filter></C:filter></C:calendar-query>'
        )
        answer = self.http.request("REPORT", self.path(cmd.where), content=query.encode(), headers={"Depth": "1"})
        if answer.is_error:
            return Refused(status=answer.status_code)
        found = re.findall(rf"<href>{self.path(cmd.where)}(\w+)\.ics</href>", answer.text)
        return Listed(names=sorted(found))

    def path(self, where: str, name: str = "") -> str:
        return f"{USER}/{where}/{name}.ics" if name else f"{USER}/{where}/"
