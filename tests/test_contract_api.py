"""Adapters of contracts: where they send their requests to."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from replaykit.adapter import Adapter
from replaykit.client import Client
from replaykit.openapi.scaffold import put, scaffold

PATHS = {"/pets": {"get": {"operationId": "listPets", "responses": {"204": {"description": "none"}}}},
         "/reset": {"post": {"responses": {"204": {"description": "done"}}}}}  # fmt: skip
VERSIONED = {"url": "https://pets.example.com/{version}", "variables": {"version": {"default": "v3"}}}


@pytest.fixture
def service():
    """Run a service that says nothing, and knows where it was asked; yield its URL and these paths."""
    asked: list[str] = []

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def adapter_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *servers: dict) -> type[Adapter]:
    """Write a package for a description with some servers, and return its adapter."""
    document = {"openapi": "3.1.0", "info": {"title": "Pets"}, "paths": PATHS, "servers": [*servers]}
    put(scaffold(document, name="paths"), folder / "paths")
    monkeypatch.syspath_prepend(str(folder))
    for name in [each for each in sys.modules if each.partition(".")[0] == "paths"]:
        monkeypatch.delitem(sys.modules, name)
    import paths.generated

    return paths.generated.PathsApi


@pytest.mark.parametrize(
    ("servers", "own", "path"),
    [
        ([{"url": "https://pets.example.com/live"}, {"url": "http://localhost:80/v1/"}], "", "/v1/pets"),
        ([{"url": "https://pets.example.com/v1"}], "/", "/v1/pets"),
        ([{"url": "/api/v2"}], "", "/api/v2/pets"),
        ([VERSIONED], "", "/v3/pets"),
        ([{"url": "http://localhost:80/v1"}], "/v1", "/v1/pets"),
        ([{"url": "http://localhost:80/v1"}], "/other", "/other/pets"),
        ([{"url": "http://localhost:80"}], "", "/pets"),
        ([], "", "/pets"),
        ([{"url": "https://pets.example.com/{where}"}], "", "/pets"),
    ],
)
def test_paths_stand_below_that_of_the_server(service, tmp_path: Path, monkeypatch, servers, own: str, path: str):
    """What is asked stands below the path of the described server, or below the one of the URL that is given."""
    url, asked = service
    kind = adapter_of(tmp_path, monkeypatch, *servers)
    with Client(url + own) as client:
        api = kind(client)
        api.reset()
        command = next(iter(kind.handlers))
        api.perform(command())

    assert asked == [path.replace("pets", "reset"), path]


def test_the_path_of_the_server_is_a_setting(service, tmp_path: Path, monkeypatch):
    """Where the service stands elsewhere than described, a setting says so."""
    url, asked = service
    kind = adapter_of(tmp_path, monkeypatch, {"url": "http://localhost/v1"})
    with Client(url) as client:
        kind(client, {"base": "/v2"}).perform(next(iter(kind.handlers))())

    assert asked == ["/v2/pets"]
