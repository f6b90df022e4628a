"""Fragmented MP4 through the live server, on real H.264 with sound. Called by scripts/end_to_end with the target directory.

What a viewer is sent must be what was sent, byte for byte. What must hold is asserted; what was measured is printed.
"""

import http.client
import socket
import subprocess
import threading
import time

from end_to_end import BUFFERS, SIZE, WORK, Server, check_end, ffmpeg, run

RATE = 25
SECONDS = 8
# A fragment of one second at a rate that needs several buffers for each.
FRAGMENT_SECONDS = 1
MOST_FRAGMENT = 8 * SIZE


def make_film(name, *more):
    """A fragmented film with sound: its init segment and its fragments."""
    film = WORK / name
    picture = f"testsrc2=size=1280x720:rate={RATE}:duration={SECONDS}"
    sound = f"sine=frequency=440:duration={SECONDS}"
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-minrate", "6M", "-maxrate", "6M",
              "-bufsize", "1M", "-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p",
              "-g", RATE * FRAGMENT_SECONDS, "-c:a", "aac"]
    flags = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4"]
    run(*ffmpeg("-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *codecs, *flags, *more, film))
    return split(film.read_bytes())


def boxes(stream):
    """The boxes of a stream at the top: (type, bytes)."""
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at:at + 4], "big")
        assert size >= 8 and at + size <= len(stream), f"a whole box at {at} of {len(stream)}"
        yield stream[at + 4:at + 8], stream[at:at + size]
        at += size


def split(film):
    """What ffmpeg wrote, without the index behind the last fragment."""
    init, fragments = b"", []
    for kind, box in boxes(film):
        if kind in (b"ftyp", b"moov"):
            init += box
        elif kind == b"moof":
            fragments.append(box)
        elif kind == b"mdat":
            fragments[-1] += box
        else:
            assert kind == b"mfra", kind
    return init, fragments


class Source:
    """A sender that is in no hurry."""

    def __init__(self, server, name):
        self.connection = socket.create_connection(("127.0.0.1", server.port))
        head = f"POST /ingest/{name} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.connection.sendall(head.encode())

    def send(self, piece):
        self.connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")

    def end(self):
        """The answer's code and text."""
        self.connection.sendall(b"0\r\n\r\n")
        said = b""
        self.connection.settimeout(20)
        while b"\r\n\r\n" not in said or not said.partition(b"\r\n\r\n")[2]:
            piece = self.connection.recv(4096)
            assert piece, said
            said += piece
        self.connection.close()
        return int(said.split()[1]), said.partition(b"\r\n\r\n")[2]


class Viewer(threading.Thread):
    """Saves what it is sent, until the response ends or breaks off."""

    def __init__(self, server, path):
        super().__init__(daemon=True)
        self.server, self.path = server, path
        self.saved = b""
        self.breaks_off = False
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request("GET", self.path)
        answer = connection.getresponse()
        self.code = answer.status
        try:
            while some := answer.read1(1 << 16):
                self.saved += some
        except http.client.IncompleteRead as error:
            self.saved += error.partial
            self.breaks_off = True
        connection.close()

    def bytes(self, breaks_off=False):
        self.join(30)
        assert not self.is_alive(), f"{self.path} does not end"
        assert self.code == 200, (self.code, self.saved)
        assert self.breaks_off == breaks_off, f"it breaks off: {self.breaks_off}"
        return self.saved


def wait_for_viewers(server, name, count):
    server.wait_for(f"{count} viewers of {name}", lambda: server.channel(name)["viewers"] == count)


def check_whole(server, init, fragments):
    """Viewers from the first fragment on, and one that joins later."""
    source = Source(server, "film")
    source.send(init + fragments[0])
    server.wait_for("the first fragment", lambda: server.sequence("film") == 1)
    channel = server.channel("film")
    assert channel["kind"] == "mp4", channel
    assert channel["media_type"].startswith('video/mp4; codecs="avc1.'), channel
    assert channel["media_type"].endswith(', mp4a.40.2"'), channel
    early = [Viewer(server, f"/live/film?limit={len(fragments)}") for _ in range(3)]
    decoded = WORK / "decoded_mp4.txt"
    watch = ["-xerror", "-i", f"{server.url}/live/film?limit={len(fragments)}"]
    decoder = subprocess.Popen(ffmpeg("-y", *watch, "-f", "framecrc", decoded), stderr=subprocess.PIPE)
    wait_for_viewers(server, "film", 4)
    half = len(fragments) // 2
    for fragment in fragments[1:half]:
        time.sleep(0.1)
        # Cut anywhere, as a socket cuts.
        source.send(fragment[:1001])
        source.send(fragment[1001:])
    server.wait_for("half of the film", lambda: server.channel("film")["sequence"] == half)
    # In the middle of a fragment: who joins now begins with the newest whole one.
    source.send(fragments[half][:50_000])
    late = Viewer(server, f"/live/film?limit={len(fragments) - half + 1}")
    wait_for_viewers(server, "film", 5)
    source.send(fragments[half][50_000:])
    for fragment in fragments[half + 1:]:
        time.sleep(0.1)
        source.send(fragment)
    code, said = source.end()
    assert (code, said) == (200, b"%d frames\n" % len(fragments)), (code, said)
    for viewer in early:
        assert viewer.bytes() == init + b"".join(fragments), "every byte, and no other"
    assert late.bytes() == init + b"".join(fragments[half - 1:]), "from the newest whole fragment on"
    errors = decoder.communicate(timeout=30)[1]
    assert decoder.returncode == 0, errors
    lines = [line for line in decoded.read_text().splitlines() if not line.startswith("#")]
    pictures = sum(line.startswith("0,") for line in lines)
    assert pictures == RATE * SECONDS, f"{pictures} pictures"
    assert len(lines) > pictures + 300, "and sound"
    sizes = [len(fragment) for fragment in fragments]
    assert max(sizes) > 2 * SIZE, f"a fragment that needs several buffers: {max(sizes)}"
    print(f"{len(fragments)} fragments of up to {max(sizes)} bytes, in buffers of {SIZE}: untouched for 3 viewers from the")
    print(f"  beginning and one that joined inside a fragment; ffmpeg decoded all {pictures} pictures, and the sound")
    print(f"  as {channel['media_type']}")


def check_live(server):
    """ffmpeg itself posts as the README says; a source that vanishes inside a fragment loses that one only."""
    film = WORK / "film.mp4"
    post = ["-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", "-method", "POST"]
    source = subprocess.Popen(ffmpeg("-i", film, *post, f"{server.url}/ingest/film"))
    assert source.wait(30) == 0
    before = server.channel("film")
    init, fragments = make_film("other.mp4", "-g", "50")
    cut = Source(server, "film")
    cut.send(init + fragments[0])
    server.wait_for("its fragment", lambda: server.channel("film")["sequence"] == before["sequence"] + 1)
    inside = Viewer(server, "/live/film")
    wait_for_viewers(server, "film", 1)
    part = fragments[1][:len(next(boxes(fragments[1]))[1]) + 5000]
    cut.send(part)
    server.wait_for("the part to be shown", lambda: inside.saved == init + fragments[0] + part)
    cut.connection.close()
    # Who was sent a part of a fragment does not take it for a whole one.
    assert inside.bytes(breaks_off=True) == init + fragments[0] + part
    server.wait_for("the source to go", lambda: not server.channel("film")["live"])
    watcher = Viewer(server, "/live/film")
    wait_for_viewers(server, "film", 1)
    # Another film on the same channel: who watched the first is ended, and never sent a fragment of the other.
    other = Source(server, "film")
    third, pieces = make_film("third.mp4", "-profile:v", "baseline")
    assert third != init, "another init segment"
    other.send(third + pieces[0])
    assert watcher.bytes() == init + fragments[0], "ended at a fragment's end"
    assert other.end()[0] == 200
    assert Viewer(server, "/live/film?limit=1").bytes() == third + pieces[0]
    print("posted by ffmpeg; a fragment is shown while it arrives; one that is cut is lost alone, and breaks off the viewers")
    print("  that got a part of it; another film ends the viewers of the first")


def check_refused(server, init, fragments):
    def refused(code, body, *named, channel="bad"):
        got, said = server.request("POST", f"/ingest/{channel}", body)
        assert got == code, f"{got} instead of {code}: {said}"
        for name in named:
            assert name.encode() in said, f"{said} does not name {name}"

    plain = WORK / "plain.mp4"
    run(*ffmpeg("-y", "-i", WORK / "film.mp4", "-c", "copy", "-movflags", "faststart", "-f", "mp4", plain))
    refused(400, plain.read_bytes(), "frag_keyframe")
    refused(400, init[:40] + bytes(2000) + init[40:], "the moov cannot be read: ")
    refused(400, init + b"\0\0\0\4moof", "the box moof says that it has 4 bytes")
    # What a script prints to the pipe that ffmpeg writes to.
    text = f"not a box at byte {len(init + fragments[0])}, but 64 6f 6e 65"
    refused(400, init + fragments[0] + b"done, all of it\n", text, channel="printed")
    # Its fragment was whole and has a channel.
    code, said = server.request("DELETE", "/ingest/printed", b"")
    assert code == 204, said
    for before in (b"", b"\0\0\0\x10free" + bytes(8)):
        refused(415, before + fragments[0], "MP4 without ftyp and moov")
    refused(400, init + b"\0\0\0\x10mdat" + bytes(8), "an mdat without a moof before it")
    # No size of the buffers makes room for these, so what is named is how to send less.
    for what, body, helps in [("init segment", (1 << 20).to_bytes(4, "big") + b"moov", "-map 0:V"),
                              ("moof", init + (1 << 20).to_bytes(4, "big") + b"moof", "-frag_duration")]:
        refused(413, body + bytes(1000), f"the {what} has {1 << 20} bytes", helps)
    huge = (MOST_FRAGMENT + 100).to_bytes(4, "big") + b"mdat"
    moof = next(box for kind, box in boxes(fragments[0]) if kind == b"moof")
    refused(413, init + moof + huge + bytes(1000), str(MOST_FRAGMENT + 100 + len(moof)), str(MOST_FRAGMENT))
    assert [channel["name"] for channel in server.status()["channels"]] == ["film", "test"], "nothing is left of them"
    code, said = server.request("GET", "/live/film.jpg")
    assert code == 404 and b"film is video" in said, said
    print("malformed boxes: 400, each with its reason; an init segment, a moof and a fragment that are too large: 413")


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    init, fragments = make_film("fragmented.mp4")
    assert len(fragments) == SECONDS // FRAGMENT_SECONDS, len(fragments)
    # Room for two channels of fragments, and for the test pattern.
    server = Server(3 * BUFFERS)
    try:
        check_whole(server, init, fragments)
        check_refused(server, init, fragments)
        check_live(server)
        check_end(server)
    finally:
        server.process.kill()


if __name__ == "__main__":
    main()
