"""Records travelbooking.har: a page in Chromium that books journeys, with scripts, pictures and a foreign host around.

    python -m examples.travelbooking --port 4445 &
    python tests/hars/browsing.py http://127.0.0.1:4445 tests/hars/travelbooking.har

The page and its files are given by Playwright, all under /api is answered by the service.
"""

import sys

from playwright.sync_api import Route, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PAGE = "<!doctype html><link rel=icon href=/logo.png><script src=https://cdn.example/lib.js></script><p>Journeys</p>"
FILES = {"/": ("text/html", PAGE), "/logo.png": ("image/png", "png"), "/lib.js": ("text/javascript", "window.lib = 1")}
BOOKING = """
async () => {
  const ask = async (method, path, body) => {
    const sent = body === undefined ? {} : {body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}};
    const answer = await fetch(path, {method, ...sent});
    return await answer.json();
  };
  await fetch('/logo.png');
  await ask('GET', '/api/flights');
  const flight = await ask('POST', '/api/flights', {seats: 2});
  const other = await ask('POST', '/api/flights', {seats: 1});
  const hotel = await ask('POST', '/api/hotels', {rooms: 1});
  await ask('POST', '/api/flights', {seats: 0});
  await ask('GET', '/api/flights');
  await ask('GET', '/api/hotels');
  const bookings = [];
  for (const [traveller, where] of [['Ada', {flight: flight.id, hotel: hotel.id}], ['Ben', {flight: other.id}],
                                    ['Cleo', {hotel: hotel.id}], ['Dora', {flight: flight.id, hotel: null}]]) {
    const made = await ask('POST', '/api/bookings', {traveller, flight: null, hotel: null, ...where});
    bookings.push(made.id);
    await ask('GET', '/api/bookings/' + made.id);
    await ask('POST', '/api/bookings/' + made.id + '/hold');
  }
  await ask('GET', '/api/bookings');
  await ask('POST', '/api/bookings/' + bookings[0] + '/confirm', {card: 'valid'});
  await ask('POST', '/api/bookings/' + bookings[1] + '/confirm', {card: 'declined'});
  await ask('POST', '/api/bookings/' + bookings[3] + '/expire');
  await new Promise(done => setTimeout(done, 100));
  await ask('POST', '/api/bookings/' + bookings[0] + '/cancel');
  await ask('POST', '/api/bookings/' + bookings[1] + '/cancel');
  await ask('GET', '/api/bookings/nowhere');
  await ask('GET', '/api/bookings');
}
"""


def give(route: Route) -> None:
    """Give a file of the page."""
    path = "/" + route.request.url.split("/", 3)[3]
    kind, text = FILES[path]
    route.fulfill(content_type=kind, body=text)


def main(service: str, target: str) -> None:
    """Open the page, book, and write the archive."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(record_har_path=target, record_har_content="embed")
        for name in FILES:
            context.route(f"**{name}" if name != "/" else f"{service}/", give)
        page = context.new_page()
        page.goto(f"{service}/")
        page.evaluate(BOOKING)
        context.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2])
