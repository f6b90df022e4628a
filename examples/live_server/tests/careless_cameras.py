"""Streams that are not as they should be, sent to the live server by curl; what is shown is compared with what ffmpeg reads.
Called by scripts/end_to_end with the target directory.

The pictures are from ffmpeg, and what is around them is made with printf, cat, head and exiftool's rules for MPO (one JPEG
behind the other), as the table says. A viewer that reads along is sent each picture, byte for byte. Each stream of bare
pictures is read by `ffmpeg -f mjpeg` too.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TARGET = Path(sys.argv[1])
WORK = TARGET / "careless"
TOKEN = "a token of the test's own"
CRLF = b"\r\n"


def run(*command, stdin=None):
    return subprocess.run([*map(str, command)], input=stdin, check=True, capture_output=True).stdout


def printf(text):
    return run("printf", text)


class Server:
    def __init__(self, *more):
        command = [TARGET / "release/live_server", "--listen", "127.0.0.1:0", *more]
        environment = {**os.environ, "INGEST_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.url = self.process.stdout.readline().strip()
        self.address = self.url.removeprefix("http://")

    def curl(self, *arguments, stdin=None, token=TOKEN):
        """The code and the answer."""
        shown = ["-H", f"Authorization: Bearer {token}"] if token else []
        said = run("curl", "-s", "-w", "\n%{http_code}", *shown, *arguments, stdin=stdin)
        answer, code = said.decode().rsplit("\n", 1)
        return int(code), answer.strip()

    def send(self, channel, body):
        """By `curl -T -`, which sends what it reads in chunks."""
        return self.curl("-T", "-", f"{self.url}/ingest/{channel}", stdin=body)

    def ask(self, method, path, **headers):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def channel(self, name):
        channels = json.loads(self.ask("GET", "/status")[1])["channels"]
        return next((channel for channel in channels if channel["name"] == name), None)

    def shown(self, name, first, stream, count):
        """What the server says of a stream, and the pictures of it that a viewer is sent that was there before."""
        end = time.monotonic() + 10
        # The viewer of an earlier stream of this channel may not have left yet.
        while (channel := self.channel(name)) and channel["viewers"] > 0:
            assert time.monotonic() < end, f"an earlier viewer of {name} is still there"
            time.sleep(0.01)
        assert self.send(name, first)[0] == 200
        # With what was sent before it came.
        command = ["curl", "-sfN", "--max-time", "20", f"{self.url}/live/{name}?limit={count + 1}"]
        viewer = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            end = time.monotonic() + 10
            while self.channel(name)["viewers"] < 1:
                assert time.monotonic() < end, f"no viewer of {name}"
                time.sleep(0.01)
            code, said = self.send(name, stream)
            sent, _ = viewer.communicate(timeout=25)
        finally:
            viewer.kill()
        pictures = parts(sent)
        assert pictures[:1] == [first], f"{name}: the viewer began with something else"
        # 18: the server closed the connection; 28: the pictures did not come in time.
        ended = f"{name}: {len(pictures) - 1} of {count} pictures, and curl ended with {viewer.returncode}; {self.ask('GET', '/status')[1]}"
        assert viewer.returncode == 0, ended
        return code, said, pictures[1:]

    def end(self):
        """What it printed of sources that it refused."""
        self.process.terminate()
        said, log = self.process.communicate(timeout=30)
        assert "256 of 256 samples were returned" in said, said
        return log


def parts(body):
    """The pictures in a multipart body, by their lengths."""
    found = []
    while head := re.search(rb"Content-Length: (\d+)\r\n.*?\r\n\r\n", body, re.DOTALL):
        end = head.end() + int(head[1])
        found.append(body[head.end():end])
        body = body[end:]
    return found


def pictures():
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=5:duration=1"]
    run("ffmpeg", "-nostdin", "-loglevel", "error", "-y", *source, "-q:v", 3, WORK / "%d.jpg")
    # As a camera writes it: a header with a thumbnail, which begins and ends as a picture does.
    files = [(WORK / f"{number}.jpg").read_bytes() for number in range(1, 6)]
    thumbnail = run("ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=32x24:rate=1:duration=1",
                    "-f", "mjpeg", "-")
    exif = b"Exif\0\0" + thumbnail
    header = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    return [file[:2] + header + file[2:] for file in files]


def bare_streams(files):
    """What, the stream, the pictures of it that are shown, and how many of them ffmpeg reads."""
    film = WORK / "motion.mp4"
    run("ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x48:duration=1", film)
    between = [
        ("padding zeroes", printf(r"\0\0\0\0\0\0\0\0") * 100),
        ("a second EOI", printf(r"\377\331")),
        ("CRLF", printf(r"\r\n")),
        ("a trailer of Samsung's", printf(r"\0\0\1\n\16\0\0\0Image_UTC_Data1700000000000SEFH\153\0\0\0\1\0\0\0SEFT")),
        ("a motion photo", film.read_bytes()),
    ]
    for what, junk in between:
        yield what, b"".join(file + junk for file in files), files, 5
    yield "MPO", files[0] + files[1] + files[2] + files[3] + files[4], files, 5
    # The first byte of the next picture fills, and the end marker is the server's.
    mended = [files[0], files[1][:-2] + b"\xff\xff\xd9", *files[2:]]
    yield "a missing EOI", b"".join([files[0], files[1][:-2], *files[2:]]), mended, 5
    yield "two SOI", b"".join([files[0], printf(r"\377\330") + files[1], *files[2:]]), files, 5
    yield "a stray byte at the front", b"".join([printf("x"), *files]), files, 5
    # Behind the first segment, whose length is in its third and fourth byte.
    place = 4 + int.from_bytes(files[1][4:6], "big")
    stained = [files[0], files[1][:place] + b"\x55" + files[1][place:], *files[2:]]
    yield "a stray byte before a marker", b"".join(stained), stained, 5
    # The segment that is cut takes the head of the next picture for its rest, so the next that begins is its thumbnail.
    cut = run("head", "--bytes=300", WORK / "2.jpg")
    thumbnail = files[1][12:place]
    yield "a picture that is cut in its header", b"".join([files[0], cut, *files[1:]]), [files[0], thumbnail, *files[2:]], 5


def check_bare(server, files):
    for number, (what, stream, expected, most) in enumerate(bare_streams(files)):
        name = f"bare-{number % 5}"
        code, said, shown = server.shown(name, files[0], stream, len(expected))
        assert code == 200 and said.startswith(f"{len(expected)} frames"), f"{what}: {code} {said}"
        assert shown == expected, f"{what}: a viewer was sent {[len(picture) for picture in shown]} bytes"
        channel = server.channel(name)
        skipped = int(next(iter(re.findall(r"(\d+) bytes skipped", said)), "0"))
        assert channel["skipped_bytes"] == skipped, f"{what}: {said}, and {channel}"
        assert (skipped > 0) == (len(stream) > sum(map(len, expected))), f"{what}: {said}"
        newest = server.ask("GET", "/metrics")[1]
        assert f'live_channel_skipped_bytes_total{{channel="{name}"}} {skipped}' in newest, newest
        # What a viewer is sent can be decoded, and ffmpeg reads as much of the same stream.
        (WORK / "stream.mjpeg").write_bytes(stream)
        read = run("ffmpeg", "-nostdin", "-loglevel", "quiet", "-f", "mjpeg", "-i", WORK / "stream.mjpeg", "-f", "framecrc", "-")
        assert read.count(b"\n0,") == most, f"ffmpeg reads {read.count(b'0,')} of {what}: {read.decode()}"
        run("curl", "-sf", "-o", WORK / "newest.jpg", f"{server.url}/live/{name}.jpg")
        run("ffmpeg", "-nostdin", "-xerror", "-loglevel", "error", "-i", WORK / "newest.jpg", "-f", "null", "-")
        assert server.ask("DELETE", f"/ingest/{name}", Authorization=f"Bearer {TOKEN}")[0] == 204
    print("bare JPEG: padding, EOI twice and missing, CRLF, trailers, motion photo, MPO, SOI twice, stray bytes: all shown")


def multipart_streams(files):
    """Each with printf's lines before the pictures and between them."""
    kind, length = b"Content-Type: image/jpeg\r\n", lambda file: b"Content-Length: %d\r\n" % len(file)
    part = lambda lines, file: lines + CRLF + file + CRLF
    parts = lambda boundary: [part(boundary + kind + length(file), file) for file in files]
    text = part(printf(r"--b\r\nContent-Type: text/plain\r\n"), b"motion=1")
    sound = part(printf(r"--b\r\nContent-Type: audio/basic\r\nContent-Length: 8000\r\n"), bytes(range(250)) * 32)
    first, *rest = parts(b"--b\r\n")
    yield "no boundary before the first part", [first.removeprefix(b"--b\r\n"), *rest]
    yield "the boundary line twice", parts(b"--b\r\n--b\r\n")
    yield "a boundary without --", parts(b"b\r\n")
    yield "preamble text", [printf(r"This is a stream.\r\nIt has parts.\r\n\r\n"), first, *rest]
    yield "folded headers", [part(b"--b\r\n" + kind + b"Content-Length:\r\n\t%d\r\nX-A: b;\r\n c\r\n" % len(file), file) for file in files]
    yield "a part that is text", [first, text, *rest]
    yield "a part that is sound", [sound, first, sound, *rest]
    yield "Content-Length: 0", [part(b"--b\r\n" + kind + b"Content-Length: 0\r\n", file) for file in files]
    yield "a Content-Length that is too small", [part(b"--b\r\n" + kind + b"Content-Length: 999\r\n", file) for file in files]
    yield "no length, and a missing EOI", [part(b"--b\r\n" + kind, file[:-2]) for file in files] + [b"--b--\r\n"]
    # printf '\0' in front of each, as a part of it.
    stray = [b"\0" + file for file in files]
    yield "a stray byte, and a length", [part(b"--b\r\n" + kind + length(file), file) for file in stray]
    yield "a stray byte, and no length", [part(b"--b\r\n" + kind, file) for file in stray]
    yield "as ffmpeg writes it", parts(b"--ffmpeg\r\n")


def check_multipart(server, files):
    for what, stream in multipart_streams(files):
        code, said, shown = server.shown("parts", files[0], b"".join(stream), len(files))
        assert code == 200 and said.startswith("5 frames"), f"{what}: {code} {said}"
        skipped = {"preamble text": 30, "a part that is text": 8, "a part that is sound": 16_000}
        skipped |= {"a stray byte, and a length": 5, "a stray byte, and no length": 5}
        is_skipped = what in skipped
        assert ("skipped" in said) == is_skipped, f"{what}: {said}"
        assert f"{skipped.get(what, 0)} bytes skipped" in said or not is_skipped, f"{what}: {said}"
        # A picture that ends at the boundary alone has the line break in front of that, and the server's end marker.
        expected = [file[:-2] + b"\r\xff\xd9" for file in files] if "missing EOI" in what else files
        assert shown == expected, f"{what}: a viewer was sent {[len(picture) for picture in shown]} bytes"
    print("multipart: all that real cameras make of it is shown")


def check_refused(server):
    """What can be no stream of pictures is refused, and what is no stream at all; with one line in the log for each."""
    for body in (b"GIF89a, not a JPEG", run("printf", r"\211PNG\r\n\032\n"), b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"):
        code, said = server.send("refused", body)
        assert code == 415 and "not a JPEG" in said, f"{code} {said}"
    code, said = server.curl("--data-binary", "", f"{server.url}/ingest/refused")
    assert code == 400 and "nothing was sent" in said, f"an empty POST: {code} {said}"
    request = printf(rf"POST /ingest/refused HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n")
    said = run("curl", "-s", "--max-time", 10, f"telnet://{server.address}", stdin=request)
    assert said.startswith(b"HTTP/1.1 400 "), f"a POST without a length: {said}"
    assert server.channel("refused") is None
    # What is printed in a client's terminal is escaped, and no longer than a name may be.
    for method, path in (("GET", "/live/"), ("DELETE", "/ingest/")):
        code, said = server.curl("-X", method, f"{server.url}{path}cam%0AERROR%20forged%1b%5B31m{'x' * 5000}")
        assert code == 404 and said.startswith(r"no channel cam\nERROR forged\u{1b}[31m") and len(said) < 80, f"{code} {said}"
    # A head of a film, and a picture that is cut.
    for body in (printf(r"\0\0\0\20free\0\0\0\0\0\0\0\0"), printf(r"\0\0\0\34ftyp"), run("head", "--bytes=300", WORK / "2.jpg")):
        code, said = server.send("refused", body)
        assert code == 400 and "nothing can be shown" in said, f"{code} {said}"


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    files = pictures()
    server = Server()
    try:
        check_bare(server, files)
        check_multipart(server, files)
        check_refused(server)
        log = server.end().splitlines()
        assert [line.split(" ", 3)[:3] for line in log] == [["ingest", '"refused":', code] for code in 3 * ["415"] + 5 * ["400"]], log
        print("refused with one line each: three times 415, five times 400")
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
