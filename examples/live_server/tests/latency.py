"""How late a fragment is at a viewer: by bytes on the wire, and when they were sent and came.

    latency.py TARGET [SECONDS [CHUNKS [BYTES]]]      three numbers: of a fragment

A source sends fragments as an encoder does that writes while it encodes: each lasts SECONDS, and is written in CHUNKS pieces
of BYTES, one at a time. The first has the `moof` and the header of the `mdat`. A viewer notes when each byte comes.

It prints medians: of the first bytes of fragments, of the last ones, and of the last bytes of all pieces; each from the call
that sends them to the call that receives them. It fails if the first bytes of a fragment come only when the fragment is
whole.
"""

import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

FRAGMENTS = 4
FILM = Path(__file__).parent.parent / "src" / "mp4" / "test_data" / "h264_aac.mp4"


def boxes(film):
    at = 0
    while at < len(film):
        size, kind = struct.unpack_from(">I4s", film, at)
        yield kind, film[at : at + size]
        at += size


def pieces_of_a_fragment(moof, chunks, size):
    mdat = struct.pack(">I4s", 8 + chunks * size - len(moof) - 8, b"mdat")
    fragment = moof + mdat
    fragment += bytes(chunks * size - len(fragment))
    return [fragment[at : at + size] for at in range(0, len(fragment), size)]


class Server:
    def __init__(self, target):
        path = Path(target) / "release" / "live_server"
        self.process = subprocess.Popen([path, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self, request):
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n".encode())
        return peer


class Source:
    def __init__(self, server):
        self.peer = server.connect("POST /ingest/film")
        self.peer.sendall(b"Transfer-Encoding: chunked\r\n\r\n")

    def send(self, data):
        sent = time.monotonic()
        self.peer.sendall(b"%x\r\n%b\r\n" % (len(data), data))
        return sent

    def end(self):
        self.peer.sendall(b"0\r\n\r\n")
        answer = self.peer.recv(4096)
        assert b" 200 " in answer, answer


class Viewer:
    """Takes a response apart, and remembers when how many bytes of its body had come."""

    def __init__(self, server):
        self.peer = server.connect("GET /live/film")
        self.peer.sendall(b"\r\n")
        self.came = []
        self.bytes = 0
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        held, left, header = b"", 0, True
        while received := self.peer.recv(1 << 20):
            now = time.monotonic()
            held += received
            if header:
                if b"\r\n\r\n" not in held:
                    continue
                head, held = held.split(b"\r\n\r\n", 1)
                assert b" 200 " in head, head
                header = False
            while held:
                if left == 0:
                    # Also what ends the piece before.
                    if held == b"\r" or b"\r\n" not in held[2:]:
                        break
                    line, held = held.removeprefix(b"\r\n").split(b"\r\n", 1)
                    left = int(line, 16)
                    if left == 0:
                        return
                some = min(left, len(held))
                held, left = held[some:], left - some
                self.bytes += some
            self.came.append((self.bytes, now))
            self.begun.set()

    def when(self, place):
        """When so many bytes had come."""
        for _ in range(1000):
            for count, now in self.came:
                if count >= place:
                    return now
            time.sleep(0.01)
        raise SystemExit(f"byte {place} did not come")


def measure(server, seconds, chunks, size):
    film = FILM.read_bytes()
    parts = list(boxes(film))
    first = next(at for at, (kind, _) in enumerate(parts) if kind == b"moof")
    init = b"".join(data for _, data in parts[:first])
    pieces = pieces_of_a_fragment(parts[first][1], chunks, size)
    whole = b"".join(pieces)
    source = Source(server)
    # A viewer needs a channel, which begins with a whole fragment.
    source.send(init + whole)
    time.sleep(0.2)
    viewer = Viewer(server)
    assert viewer.begun.wait(5), "nothing came"
    begin = len(init) + len(whole)
    viewer.when(begin)
    firsts, lasts, all_pieces = [], [], []
    clock = time.monotonic() + 0.1
    sent = []
    for number in range(FRAGMENTS):
        for at, piece in enumerate(pieces):
            due = clock + (number + at / chunks) * seconds
            time.sleep(max(0, due - time.monotonic()))
            sent.append(source.send(piece))
    for number in range(FRAGMENTS):
        times = sent[number * chunks : (number + 1) * chunks]
        at = begin + number * len(whole)
        firsts.append(viewer.when(at + 1) - times[0])
        lasts.append(viewer.when(at + len(whole)) - times[-1])
        all_pieces += [viewer.when(at + (index + 1) * size) - then for index, then in enumerate(times)]
    source.end()
    return [statistics.median(values) * 1000 for values in (firsts, lasts, all_pieces)]


def main():
    target, *numbers = sys.argv[1:]
    seconds = float(numbers[0]) if numbers else 1
    chunks = int(numbers[1]) if numbers[1:] else 25
    size = int(numbers[2]) if numbers[2:] else 10_000
    server = Server(target)
    try:
        first, last, piece = measure(server, seconds, chunks, size)
    finally:
        server.process.terminate()
        server.process.wait(20)
    print(f"fragments of {seconds:g} s in {chunks} pieces of {size} bytes, {FRAGMENTS} of them; medians in milliseconds:")
    print(f"first byte {first:.1f}, last byte {last:.1f}, a piece {piece:.1f}")
    assert first < seconds * 1000 / 4, "the first bytes of a fragment came with its last"


if __name__ == "__main__":
    main()
