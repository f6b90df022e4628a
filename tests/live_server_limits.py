"""What a client may cost: each limit of examples/live_server/limits.rs, with real sockets. See scripts/limits."""

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time

LIMIT = 10
SLACK = 6


class Server:
    def __init__(self, path):
        command = [path, "--listen", "127.0.0.1:0", "--buffers", "128", "--size", "65536"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self, receive=None):
        peer = socket.socket()
        if receive:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        peer.settimeout(LIMIT + SLACK)
        peer.connect(("127.0.0.1", self.port))
        return peer

    def status(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/status", headers={"Connection": "close"})
        return json.loads(connection.getresponse().read())


def answer(peer):
    """All that comes until the server closes."""
    said = b""
    try:
        while piece := peer.recv(1 << 16):
            said += piece
    except ConnectionError:
        pass
    return said


def code(peer):
    found = re.match(rb"HTTP/1\.1 (\d+)", answer(peer))
    return int(found[1]) if found else None


def closed_after(peer, feed=None):
    """How long it takes until the server closes, while `feed` is sent byte by byte, one every half second."""
    began = time.monotonic()
    peer.settimeout(0.5)
    while time.monotonic() - began < LIMIT + SLACK:
        try:
            if feed:
                peer.sendall(feed[:1])
                feed = feed[1:]
            if peer.recv(1 << 16) == b"":
                return time.monotonic() - began
        except TimeoutError:
            pass
        except ConnectionError:
            return time.monotonic() - began
    raise AssertionError(f"still open after {LIMIT + SLACK} s")


def request(server, text):
    peer = server.connect()
    try:
        peer.sendall(text)
    except ConnectionError:
        pass
    return peer


HEAD = b"POST /ingest/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"


def too_many_header_bytes(server):
    assert code(request(server, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000 + b"\r\n\r\n")) == 431


def a_line_without_end(server):
    assert code(request(server, b"GET /" + b"a" * 200_000)) in (414, 431)


def too_many_headers(server):
    headers = b"".join(b"H%d: x\r\n" % number for number in range(100))
    assert code(request(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")) == 431


def malformed_requests(server):
    for text in [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" * 9]:
        assert code(request(server, text)) == 400, text
    both = b"POST /ingest/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
    assert code(request(server, both)) == 400


def headers_that_come_slowly(server):
    slow = server.connect()
    took = closed_after(slow, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100)
    assert LIMIT - 1 < took < LIMIT + SLACK, took


def a_connection_that_says_nothing(server):
    took = closed_after(server.connect())
    assert LIMIT - 1 < took < LIMIT + SLACK, took


def a_connection_that_is_kept_and_not_used(server):
    idle = request(server, b"GET /live/none HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n")
    closed_after(idle)


def an_answer_that_nobody_takes(server):
    greedy = server.connect(receive=4096)
    began = time.monotonic()
    greedy.settimeout(0.5)
    asked, closed = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, False
    while not closed and time.monotonic() - began < 40:
        try:
            greedy.sendall(asked)
        except TimeoutError:
            pass
        except ConnectionError:
            closed = True
    assert closed, "a client that asks, and takes no answer, is kept"


def a_source_that_trickles(server):
    source = request(server, HEAD % b"slow" + b"--x\r\nContent-Length: 9000\r\n\r\n\xff\xd8")
    took = closed_after(source, b"a" * 100)
    assert LIMIT - 2 < took < LIMIT + SLACK, took
    assert "slow" not in [channel["name"] for channel in server.status()["channels"]]


def a_source_that_sends_line_breaks_without_end(server):
    source = server.connect()
    source.sendall(HEAD % b"endless")
    began, said = time.monotonic(), b""
    while not said and time.monotonic() - began < LIMIT + SLACK:
        try:
            source.sendall(b"\r\n" * 1000)
            time.sleep(0.01)
            source.setblocking(False)
            said = source.recv(1000)
        except BlockingIOError:
            pass
        except ConnectionError:
            said = b"reset"
        source.settimeout(5)
    assert said == b"reset" or said.startswith(b"HTTP/1.1 408"), said


def frames_and_lines_that_are_too_large(server):
    assert code(request(server, HEAD % b"big" + b"--x\r\nContent-Length: 99999999\r\n\r\n\xff\xd8")) == 413
    assert code(request(server, HEAD % b"long" + b"--x\r\n" + b"a" * 5000)) == 415
    assert code(request(server, HEAD % b"many" + b"--x\r\n" + b"a: b\r\n" * 100)) == 415


def names_of_channels(server):
    for name in [b"A", b"a" * 33, b"..%2f..", b"a%0aforged"]:
        assert code(request(server, HEAD % name)) == 400, name


def too_many_connections(server):
    held = [server.connect() for _ in range(300)]
    time.sleep(0.5)
    refused = [code(server.connect()) for _ in range(5)]
    assert refused == [503] * 5, refused
    for peer in held:
        peer.close()
    time.sleep(0.5)
    assert server.status()["buffers"] == 128, "who left made room"


# Those that take long, beside each other; then those that take all connections there are.
TOGETHER = [
    too_many_header_bytes, a_line_without_end, too_many_headers, malformed_requests, headers_that_come_slowly,
    a_connection_that_says_nothing, a_connection_that_is_kept_and_not_used, an_answer_that_nobody_takes,
    a_source_that_trickles, a_source_that_sends_line_breaks_without_end, frames_and_lines_that_are_too_large,
    names_of_channels,
]


def main():
    server = Server(sys.argv[1])
    failed = []

    def check(limit):
        try:
            limit(server)
            print(f"ok      {limit.__name__}", flush=True)
        except Exception as error:
            failed.append(limit.__name__)
            print(f"FAILED  {limit.__name__}: {error!r}", flush=True)

    threads = [threading.Thread(target=check, args=(limit,)) for limit in TOGETHER]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(too_many_connections)
    assert server.process.poll() is None, "the server has ended"
    server.process.terminate()
    said, log = server.process.communicate(timeout=30)
    assert "128 of 128 samples came home" in said, said
    assert all(re.match(r'ingest ".*": \d{3} ', line) for line in log.splitlines()), log
    sys.exit(f"{len(failed)} limits do not hold: {failed}" if failed else 0)


main()
