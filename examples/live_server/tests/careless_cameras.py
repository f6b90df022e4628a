"""Streams that are not as they should be, sent to the live server by curl; what is shown is compared with what ffmpeg reads.
Called by scripts/end_to_end with the target directory.

The pictures are from ffmpeg, and what is around them is made with printf, cat, head and exiftool's rules for MPO (one JPEG
behind the other), as the table says. Each stream is read by `ffmpeg -f mjpeg` too, which has to show as many pictures.
"""

import http.client
import json
import os
import re
import subprocess
import sys
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

    def end(self):
        """What it printed of sources that it refused."""
        self.process.terminate()
        said, log = self.process.communicate(timeout=30)
        assert "256 of 256 samples came home" in said, said
        return log


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
    """What, the stream, how many pictures ffmpeg shows of it, and how many of them are broken."""
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
        yield what, b"".join(file + junk for file in files), 5
    for what, stream in [
        ("MPO", [files[0] + files[1], files[2] + files[3] + files[4]]),
        ("a missing EOI", [files[0], files[1][:-2], *files[2:]]),
        ("two SOI", [files[0], printf(r"\377\330") + files[1], *files[2:]]),
        ("a stray byte at the front", [printf("x"), *files]),
    ]:
        yield what, b"".join(stream), 5
    # Behind the first segment, whose length is in its third and fourth byte.
    place = 4 + int.from_bytes(files[1][4:6], "big")
    yield "a stray byte before a marker", b"".join([files[0], files[1][:place] + b"\x55" + files[1][place:], *files[2:]]), 5
    cut = run("head", "--bytes=300", WORK / "2.jpg")
    yield "a picture that is cut in its header", b"".join([files[0], cut, *files[1:]]), 5


def check_bare(server, files):
    for number, (what, stream, most) in enumerate(bare_streams(files)):
        name = f"bare-{number % 5}"
        code, said = server.send(name, stream)
        assert code == 200 and said.startswith(f"{most} frames"), f"{what}: {code} {said}"
        channel = server.channel(name)
        skipped = int(next(iter(re.findall(r"(\d+) bytes skipped", said)), "0"))
        assert channel["skipped_bytes"] == skipped, f"{what}: {said}, and {channel}"
        assert (skipped > 0) == (what not in ("MPO", "a missing EOI", "a stray byte before a marker")), f"{what}: {said}"
        newest = server.ask("GET", "/metrics")[1]
        assert f'live_channel_skipped_bytes_total{{channel="{name}"}} {skipped}' in newest, newest
        # What a viewer is sent can be decoded, and ffmpeg reads as much of the same stream.
        (WORK / "stream.mjpeg").write_bytes(stream)
        read = run("ffmpeg", "-nostdin", "-loglevel", "quiet", "-f", "mjpeg", "-i", WORK / "stream.mjpeg", "-f", "framecrc", "-")
        assert read.count(b"\n0,") >= most - 1, f"ffmpeg reads less of {what}: {read.decode()}"
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
    yield "as ffmpeg writes it", parts(b"--ffmpeg\r\n")


def check_multipart(server, files):
    for what, stream in multipart_streams(files):
        code, said = server.send("parts", b"".join(stream))
        assert code == 200 and said.startswith("5 frames"), f"{what}: {code} {said}"
        is_skipped = what in ("preamble text", "a part that is text", "a part that is sound")
        assert ("skipped" in said) == is_skipped, f"{what}: {said}"
        newest = run("curl", "-sf", f"{server.url}/live/parts.jpg")
        assert newest.rstrip(b"\r").removesuffix(b"\xff\xd9").rstrip(b"\r") == files[-1][:-2], f"{what}: the last picture as it was sent"
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


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    files = pictures()
    server = Server()
    try:
        check_bare(server, files)
        check_multipart(server, files)
        check_refused(server)
        log = server.end().splitlines()
        assert [line.split(" ", 3)[:3] for line in log] == [["ingest", '"refused":', code] for code in 3 * ["415"] + 2 * ["400"]], log
        print("refused with one line each: three times 415, twice 400")
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
