"""Clients for live_server_limits.py: a server, what is sent to it, and what comes back."""

import atexit
import http.client
import json
import os
import re
import socket
import subprocess
import time

LIMIT = 10
SLACK = 6
END_TIME = 2
POLITE_TIME = 0.5
POLITE_BYTES = 1 << 20
# Of a connection that no client reads, on both sides together.
MOST_IN_KERNEL = 16 << 20


TOKEN = "a token of the test's own"
SITE = "https://example.org"


class Server:
    def __init__(self, path, *more, **environment):
        command = [path, "--listen", "127.0.0.1:0", "--buffers", "128", "--size", "65536", *more]
        environment = {**os.environ, **environment}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        # Also that of a limit that does not hold.
        atexit.register(self.process.kill)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self, receive=None):
        peer = socket.socket()
        if receive:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        peer.settimeout(LIMIT + SLACK)
        peer.connect(("127.0.0.1", self.port))
        return peer

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Connection": "close", **named})
        return connection.getresponse()

    def end(self):
        """What it says at its end."""
        self.process.terminate()
        said, log = self.process.communicate(timeout=30)
        assert "128 of 128 samples were returned" in said, said
        return log

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


PICTURE = b"--x\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n"
