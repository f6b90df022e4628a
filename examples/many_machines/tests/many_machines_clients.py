"""The sources and viewers of many_machines.py: real sockets, and every byte is looked at."""

import hashlib
import re
import socket
import struct
import threading
import time

PART = re.compile(
    rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: [\d.]+\r\nX-Sequence: (\d+)\r\n\r\n"
)


def picture(number, size=20_000):
    """A JPEG, as far as markers go, of about `size` bytes, which all follow from its number and that size."""
    seed = hashlib.sha256(str(number).encode()).hexdigest().encode()
    head = b"\xff\xd8\xff\xe1" + struct.pack(">HQI", 14, number, size)
    tail = b"\xff\xda\x00\x02" + seed + b"\xff\xd9"
    segments = b""
    while len(head) + len(segments) + len(tail) < size:
        length = min(60_000, max(2, size - len(head) - len(segments) - len(tail) - 2))
        segments += b"\xff\xe2" + struct.pack(">H", length) + (seed * (length // 64 + 1))[: length - 2]
    return head + segments + tail


def number_of(jpeg):
    """The number of a picture. Its bytes must be those, all of them."""
    number, size = struct.unpack(">QI", jpeg[6:18])
    assert jpeg == picture(number, size), f"picture {number} came with other bytes than it was sent with"
    return number


class Pictures(threading.Thread):
    """Sends numbered pictures, and comes back when the server was gone."""

    def __init__(self, port, channel, rate):
        super().__init__(daemon=True)
        self.port, self.channel, self.rate = port, channel, rate
        self.sent = 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                self.send()
            except OSError:
                self.ending.wait(0.1)

    def send(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
            head = f"PUT /ingest/{self.channel} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
            stream.sendall(head.encode())
            while not self.ending.is_set():
                self.sent += 1
                jpeg = picture(self.sent)
                stream.sendall(b"%x\r\n%b\r\n" % (len(jpeg), jpeg))
                # No catching up: two frames at once are what a camera does not do.
                self.ending.wait(1 / self.rate)
            stream.sendall(b"0\r\n\r\n")
            stream.recv(1000)

    def end(self):
        self.ending.set()
        self.join(10)


class Viewer(threading.Thread):
    """Watches a channel, and comes back when the server was gone. What it saw stands in `seen`: (when, number, digest)."""

    def __init__(self, name, port, channel):
        super().__init__(daemon=True)
        self.name, self.port, self.channel = name, port, channel
        self.seen = []
        # What it cannot be content with.
        self.wrong = []
        self.ending = False

    def run(self):
        while not self.ending:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as stream:
                    ask = f"GET /live/{self.channel} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
                    stream.sendall(ask.encode())
                    self.watch(Body(stream))
            except (OSError, EOFError):
                pass
            except AssertionError as error:
                self.wrong.append(str(error))
            time.sleep(0.05)

    def see(self, number, data):
        self.seen.append((time.monotonic(), number, hashlib.sha256(data).digest()))

    def watch(self, body):
        """A stream of pictures."""
        while True:
            head = body.until(b"\r\n\r\n")
            part = PART.search(head)
            assert part, f"no part of a stream: {head[-300:]}"
            jpeg = body.exactly(int(part[1]))
            number_of(jpeg)
            # The header with it: the time and the number are the origin's as well.
            self.see(int(part[2]), part[0] + jpeg)

    def check(self):
        assert not self.wrong, f"{self.name}: {self.wrong[0]}"

    def numbers(self, since=0, until=float("inf")):
        return [number for when, number, _ in list(self.seen) if since <= when < until]

    def digests(self):
        return {number: digest for _, number, digest in list(self.seen)}

    def last(self):
        return self.seen[-1][1] if self.seen else 0


class FilmViewer(Viewer):
    """Sees fragments, by the number that their muxer has given them."""

    def __init__(self, name, port, channel, saved=None):
        super().__init__(name, port, channel)
        self.inits = set()
        self.saved = saved

    def watch(self, body):
        kind, init = self.box(body)
        assert kind == b"ftyp", f"a film begins with {kind}"
        kind, moov = self.box(body)
        assert kind == b"moov", f"a film goes on with {kind}"
        self.inits.add(init + moov)
        self.save(init + moov)
        while True:
            fragment = b""
            kind = None
            while kind != b"mdat":
                kind, box = self.box(body)
                assert kind in (b"styp", b"sidx", b"prft", b"emsg", b"moof", b"mdat"), f"a fragment with {kind}"
                fragment += box
            at = fragment.index(b"mfhd")
            (number,) = struct.unpack(">I", fragment[at + 8 : at + 12])
            self.see(number, fragment)
            self.save(fragment)

    def save(self, data):
        if self.saved:
            with open(self.saved, "ab") as film:
                film.write(data)

    @staticmethod
    def box(body):
        head = body.exactly(8)
        size, kind = struct.unpack(">I4s", head)
        assert 8 <= size < 1 << 24, f"a box {kind} of {size} bytes"
        return kind, head + body.exactly(size - 8)


def holes(numbers):
    """Where numbers are missing: (the last before, the first after)."""
    return [(before, after) for before, after in zip(numbers, numbers[1:]) if after != before + 1]


def missing(found):
    return sum(after - before - 1 for before, after in found)


def when(viewer, number):
    return next(at for at, seen, _ in viewer.seen if seen == number)


class Body:
    """The body of a response that comes in chunks."""

    def __init__(self, stream):
        self.file = stream.makefile("rb")
        status = self.file.readline()
        # Not there yet, or not any more: come back.
        if b" 200 " not in status:
            raise EOFError
        while self.file.readline() not in (b"\r\n", b""):
            pass
        self.buffer = b""

    def more(self):
        size = int(self.file.readline().strip() or b"0", 16)
        if size == 0:
            raise EOFError
        chunk = self.file.read(size)
        if len(chunk) < size or len(self.file.read(2)) < 2:
            raise EOFError
        self.buffer += chunk

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def until(self, mark):
        while mark not in self.buffer:
            self.more()
        return self.exactly(self.buffer.index(mark) + len(mark))
