"""The live server on real input. Called by scripts/end_to_end with the target directory.

A real H.264 file is streamed by ffmpeg. One frame is sent first, the readers join, then the rest comes.
What must hold is asserted; what was measured is printed.
"""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

TARGET = Path(sys.argv[1])
WORK = TARGET / "end_to_end"
BUFFERS = 32
STALLED = 2 * BUFFERS
FRAMES = 300
RATE = 25
SIZE = 256 * 1024
# A frame comes every 40 ms. A healthy viewer may see it late by the scheduling of a busy machine with two
# cores, and by nothing that other viewers do.
WIDEST_GAP = 1.0
PART = re.compile(rb"Content-Length: (\d+)\r\nX-Timestamp: ([\d.]+)\r\nX-Sequence: (\d+)\r\n\r\n")


class Server:
    def __init__(self, buffers=BUFFERS):
        self.buffers = buffers
        command = [TARGET / "release/live_server", "--listen", "127.0.0.1:0"]
        command += ["--buffers", str(buffers), "--size", str(SIZE)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        self.port = int(self.url.rsplit(":", 1)[1])

    def request(self, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, said

    def status(self):
        code, said = self.request("GET", "/status")
        assert code == 200
        return json.loads(said)

    def channel(self, name):
        return next(channel for channel in self.status()["channels"] if channel["name"] == name)

    def sequence(self, name):
        """The number of its newest frame; none before its source was let in, as that of a channel without a frame."""
        channels = self.status()["channels"]
        return next((channel["sequence"] for channel in channels if channel["name"] == name), 0)

    def wait_for(self, what, holds, limit=20):
        end = time.monotonic() + limit
        while not holds():
            assert time.monotonic() < end, f"waited {limit} s in vain: {what}; {self.status()}"
            time.sleep(0.05)

    def watch(self, path, small=False):
        """A connection that has asked for a stream and read nothing of it."""
        stream = socket.socket()
        if small:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(("127.0.0.1", self.port))
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return stream


def run(*command):
    return subprocess.run(command, check=True, capture_output=True)


def ffmpeg(*arguments):
    return ["ffmpeg", "-nostdin", "-loglevel", "error", *map(str, arguments)]


def make_film():
    """An H.264 film, its first picture, and how many pictures it has."""
    film = WORK / "film.mp4"
    source = f"testsrc2=size=640x360:rate={RATE}:duration={FRAMES / RATE}"
    run(*ffmpeg("-y", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-pix_fmt", "yuv420p", film))
    first = run(*ffmpeg("-i", film, "-frames:v", 1, "-q:v", 2, "-f", "mjpeg", "-")).stdout
    return film, first


def parts(stream):
    """The parts of a stream that was read whole: (sequence, picture)."""
    found = []
    at = 0
    while part := PART.search(stream, at):
        at = part.end() + int(part[1])
        assert len(stream) >= at, "the last part is whole"
        found.append((int(part[3]), stream[part.end():at]))
    return found


class Healthy(threading.Thread):
    """Reads as fast as it can, and notes when each frame came."""

    def __init__(self, server, path):
        super().__init__()
        self.stream = server.watch(path)
        self.came = []

    def run(self):
        seen = b""
        while piece := self.stream.recv(1 << 16):
            seen += piece
            for part in PART.finditer(seen):
                self.came.append((int(part[3]), time.monotonic()))
            last = max((part.end() for part in PART.finditer(seen)), default=0)
            seen = seen[max(last, len(seen) - 200):]

    def widest_gap(self):
        times = [when for _, when in self.came[1:]]
        return max(later - earlier for earlier, later in zip(times, times[1:]))


class Slow(threading.Thread):
    """Reads a tenth of what is sent."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.stream = server.watch(path, small=True)
        self.seen = b""

    def run(self):
        try:
            while piece := self.stream.recv(4096):
                self.seen += piece
                time.sleep(0.02)
        except ConnectionError:
            # It may be closed for holding the oldest frame; what it saw by then counts.
            pass

    def sequence(self):
        return [int(part[3]) for part in PART.finditer(self.seen)]


def check_bad_input(server, first):
    def refused(code, method, path, body, *named):
        got, said = server.request(method, path, body)
        assert got == code, f"{method} {path}: {got} instead of {code}: {said}"
        for name in named:
            assert name.encode() in said, f"{said} does not name {name}"

    refused(415, "POST", "/ingest/bad", b"GIF89a, not a JPEG", "not a JPEG")
    large = b"--x\r\nContent-Length: 300000\r\n\r\n\xff\xd8" + bytes(1000)
    refused(413, "PUT", "/ingest/bad", large, "300000", str(SIZE))
    bare = b"\xff\xd8" + (b"\xff\xe0\xff\xff" + bytes(65533)) * 5
    refused(413, "PUT", "/ingest/bad", bare, str(SIZE))
    refused(404, "GET", "/live/missing", None, "missing")
    refused(404, "GET", "/live/missing.jpg", None, "missing")
    refused(400, "POST", "/ingest/NoSuchName", first, "1 to 32 characters")
    refused(400, "POST", "/ingest/" + "x" * 33, first, "1 to 32 characters")
    refused(400, "GET", "/live/test?limit=all", None, "limit")
    most = BUFFERS // 2 // 5
    names = [channel["name"] for channel in server.status()["channels"]]
    assert names == ["test"] and most == 3, f"a refused source leaves no channel: {names}"
    assert server.request("PUT", "/ingest/bad", first)[0] == 200
    assert server.request("PUT", "/ingest/cam", first)[0] == 200
    refused(503, "PUT", "/ingest/one-more", first, "too many channels", "leave 1")
    print("bad input: 400, 404, 413, 415 and 503, each with its reason")


def check_one_source_at_a_time(server, first):
    source = socket.create_connection(("127.0.0.1", server.port))
    source.sendall(b"POST /ingest/bad HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
    source.sendall(b"%x\r\n" % len(first) + first + b"\r\n")
    server.wait_for("the first source", lambda: server.sequence("bad") == 2)
    code, said = server.request("PUT", "/ingest/bad", first)
    assert code == 409, (code, said)
    # The source vanishes in the middle of its second frame.
    source.sendall(b"%x\r\n" % len(first) + first[:1000])
    # The test pattern takes samples too, so the one that is being filled cannot be seen by counting.
    time.sleep(0.2)
    source.close()
    server.wait_for("the source to go", lambda: not server.channel("bad")["live"])
    assert server.channel("bad")["sequence"] == 2, "the cut frame is lost, and only that one"
    assert server.request("PUT", "/ingest/bad", first)[0] == 200
    assert server.channel("bad")["sequence"] == 3, "the numbers go on"
    print("one source at a time: 409; a cut frame is lost alone; the numbers go on")


def check_stream(server, film, first):
    """The heart of it: N frames to fast, slow and stalled readers."""
    assert server.channel("cam")["sequence"] == 1
    last = 1 + FRAMES
    path = f"/live/cam?limit={last}"
    saved = WORK / "curl.multipart"
    curl = subprocess.Popen(["curl", "-sN", "--fail", "-o", saved, server.url + path])
    decoded = WORK / "decoded.txt"
    decode = ["-f", "mpjpeg", "-i", server.url + path, "-f", "framecrc", "-y", decoded]
    decoder = subprocess.Popen(ffmpeg("-xerror", *decode), stderr=subprocess.PIPE)
    healthy = Healthy(server, path)
    slow = Slow(server, "/live/cam")
    stalled = [server.watch("/live/cam", small=True) for _ in range(STALLED // 2)]
    server.wait_for("all readers", lambda: server.channel("cam")["viewers"] == 4 + len(stalled))
    healthy.start()
    slow.start()

    post = ["-q:v", 2, "-f", "mpjpeg", "-method", "POST", server.url + "/ingest/cam"]
    begin = time.monotonic()
    source = subprocess.Popen(ffmpeg("-re", "-i", film, *post))
    # The other half stalls later, each on a frame of its own.
    most_held = 0
    while source.poll() is None:
        if len(stalled) < STALLED:
            stalled.append(server.watch("/live/cam", small=True))
        most_held = max(most_held, server.status()["held_by_viewers"])
        time.sleep(0.1)
    took = time.monotonic() - begin
    assert source.returncode == 0, "ffmpeg sent everything"
    assert len(stalled) == STALLED, "all of them joined while the film ran"

    assert curl.wait(20) == 0
    healthy.join(20)
    errors = decoder.communicate(timeout=20)[1]
    assert decoder.returncode == 0, errors
    # Each of them holds a frame of which it takes nothing. Who is left at most is the slow one.
    server.wait_for("those that stall to be closed", lambda: server.channel("cam")["viewers"] <= 1)
    status = server.status()
    assert server.channel("cam")["sequence"] == last
    expected = list(range(1, last + 1))
    got = parts(saved.read_bytes())
    assert [sequence for sequence, _ in got] == expected, "curl saw every frame"
    assert got[0][1] == first, "the bytes are those that were sent"
    pictures = [line for line in decoded.read_text().splitlines() if not line.startswith("#")]
    assert len(pictures) == last, f"ffmpeg decoded {len(pictures)} of {last} as it watched"
    together = WORK / "pictures.mjpeg"
    together.write_bytes(b"".join(picture for _, picture in got))
    checked = run(*ffmpeg("-xerror", "-f", "mjpeg", "-i", together, "-f", "framecrc", "-")).stdout
    assert checked.count(b"\n0,") == last, "every part that curl saved decodes"
    assert [sequence for sequence, _ in healthy.came] == expected
    gap = healthy.widest_gap()
    assert gap < WIDEST_GAP, f"a healthy viewer waited {gap:.3f} s for a frame"
    seen = slow.sequence()
    assert seen == sorted(set(seen)) and 1 < len(seen) < last, f"the slow one skips: {len(seen)}"
    assert most_held <= BUFFERS // 2
    closed = status["closed_viewers"]
    # All of them, and perhaps the slow one.
    assert STALLED <= closed <= STALLED + 1, f"{closed} viewers were closed, and {STALLED} stalled"
    print(f"{FRAMES} frames in {took:.1f} s through {BUFFERS} buffers to 3 fast, 1 slow and {STALLED} stalled")
    print(f"  widest gap of a healthy viewer: {gap * 1000:.0f} ms (bound {WIDEST_GAP * 1000:.0f} ms)")
    print(f"  the slow viewer saw {len(seen)} frames; stalled viewers held at most {most_held} frames")
    print(f"  {closed} viewers were closed, all that stalled; gets that waited: {status['waited']}")
    return [*stalled, slow.stream]


def check_recovery(server, watching):
    for stream in watching:
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The server closed it already.
            pass
    # What is left out is what the channels keep: four of their newest frames each, and one being filled.
    kept = 4 * len(server.status()["channels"]) + 1
    server.wait_for("samples to be returned", lambda: server.status()["outstanding"] <= kept, 15)
    server.wait_for("viewers to hold none", lambda: server.status()["held_by_viewers"] == 0, 15)
    server.wait_for("viewers to go", lambda: server.channel("cam")["viewers"] == 0, 15)


def check_end(server):
    server.process.send_signal(signal.SIGINT)
    said, _ = server.process.communicate(timeout=20)
    assert f"{server.buffers} of {server.buffers} samples were returned" in said, said
    assert server.process.returncode == 0, server.process.returncode
    print("Ctrl-C:", said.strip())


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    film, first = make_film()
    server = Server()
    try:
        check_bad_input(server, first)
        check_one_source_at_a_time(server, first)
        watching = check_stream(server, film, first)
        check_recovery(server, watching)
        check_end(server)
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
