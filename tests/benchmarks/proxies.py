"""What the embedded proxy costs and how true its toxics are: python tests/benchmarks/proxies.py [TOXIPROXY_URL].

Requests go over kept connections, straight to a small service and through a proxy, in turns, since the machine may be
busy with something else. With the URL of a real Toxiproxy, the same is measured with that.
"""

import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median, quantiles, stdev

from replaykit.toxic import Toxic
from replaykit.toxiproxy import Embedded, Interposed, interposed

REQUESTS = 4000
LATE = 300  # requests with a latency
BLOB = 200_000  # bytes that are sent with a bandwidth
STARTS = 15
SERVICE = """
import socket, sys, threading
body = b"x" * 700
def serve(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    heard = b""
    while data := sock.recv(65536):
        heard += data
        while b"\\r\\n\\r\\n" in heard:
            head, heard = heard.split(b"\\r\\n\\r\\n", 1)
            size = int(head.split(b"/")[1].split()[0])
            sock.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % size + b"x" * size)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Speaker:
    """A kept connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, size: int = 700) -> float:
        """Ask for an answer of a size; return the seconds that it took."""
        began = time.perf_counter()
        self.sock.sendall(b"GET /%d HTTP/1.1\r\nhost: here\r\n\r\n" % size)
        left = size + len(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while left:
            left -= len(self.sock.recv(65536))
        return time.perf_counter() - began


def cost(service: tuple[str, int], proxy: Interposed) -> None:
    """Print what a request takes straight, and through the proxy."""
    straight, through = Speaker(service), Speaker(proxy.address)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(REQUESTS):
        for speaker, taken in ((straight, times[0]), (through, times[1])):
            took = speaker.ask()
            if number >= REQUESTS // 10:
                taken.append(took * 1e6)
    direct, proxied = (median(each) for each in times)
    p99 = [quantiles(each, n=100)[98] for each in times]
    print(f"median: straight {direct:.0f} us, through {proxied:.0f} us, {proxied - direct:+.0f} us a request")
    print(f"p99:    straight {p99[0]:.0f} us, through {p99[1]:.0f} us")


def lateness(proxy: Interposed) -> None:
    """Print how long a request takes with a latency of 100 ms and 10 ms of jitter."""
    speaker = Speaker(proxy.address)
    proxy.add(Toxic("late", "latency", attributes={"latency": 100, "jitter": 10}))
    times = [speaker.ask() * 1000 for _ in range(LATE)]
    proxy.remove("late")
    p5, *_, p95 = quantiles(times, n=20)
    print(
        f"latency 100 +- 10 ms, {LATE} requests: mean {mean(times):.1f}, deviation {stdev(times):.1f} (uniform: 5.8),"
    )
    print(f"  min {min(times):.1f}, p5 {p5:.1f}, p50 {median(times):.1f}, p95 {p95:.1f}, max {max(times):.1f} ms")
    for low in range(88, 114, 2):
        count = sum(low <= each < low + 2 for each in times)
        print(f"  {low:>3} to {low + 2:<3} ms {'#' * (count // 2)} {count}")


def pace(proxy: Interposed) -> None:
    """Print how fast data comes with some bandwidths."""
    for rate in (50, 100, 1000):
        speaker = Speaker(proxy.address)
        proxy.add(Toxic("narrow", "bandwidth", attributes={"rate": rate}))
        size = BLOB * rate // 100
        took = speaker.ask(size)
        proxy.remove("narrow")
        print(f"bandwidth {rate} KB/s: {size / took / 1000:.1f} KB/s ({size} bytes in {took:.2f} s)")


def main() -> None:
    """Print all."""
    with subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        service = ("127.0.0.1", int(process.stdout.readline()))
        for url in [None, *sys.argv[1:2]]:
            print(f"--- {url or 'embedded'}")
            with interposed(service, toxiproxy=url) as proxy:
                cost(service, proxy)
                lateness(proxy)
                pace(proxy)
        process.terminate()
    starts = []
    for _ in range(STARTS):
        began = time.perf_counter()
        with Embedded():
            starts.append((time.perf_counter() - began) * 1000)
    print(f"start of the embedded proxy: median {median(starts):.0f} ms")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
