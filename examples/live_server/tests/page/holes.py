"""A viewer that lags is sent a film with a fragment left out: it is played on behind the hole, by itself."""

import http.client
import subprocess
import threading
import time

from browser import Page

LENGTH = 2
FRAGMENTS = 5
LEFT_OUT = 2
# Pictures that last so long that a player halts well before the end of what it has.
RATE = 10
# In seconds, with that hole before it. A fragment later it would be far behind, and jump for that reason.
SOON = 1.6
RANGES = """() => {
  const { buffered } = document.querySelector('[data-channel="holed"] video');
  return Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)]);
}"""


def film():
    """Its init segment, and its fragments."""
    made = subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", f"testsrc2=size=192x108:rate={RATE}",
         "-t", str(FRAGMENTS * LENGTH), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
         "-pix_fmt", "yuv420p", "-g", str(RATE * LENGTH),
         "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", "pipe:1"],
        check=True, capture_output=True).stdout
    init, fragments, at = b"", [], 0
    while at < len(made):
        size = int.from_bytes(made[at:at + 4], "big")
        assert size >= 8, f"a box of {size} bytes"
        kind, box = made[at + 4:at + 8], made[at:at + size]
        at += size
        if kind == b"moof":
            fragments.append(box)
        elif kind == b"mdat":
            fragments[-1] += box
        elif kind in (b"ftyp", b"moov"):
            init += box
    assert len(fragments) == FRAGMENTS, len(fragments)
    return init, fragments


def send(server, init, fragments):
    """In real time, as if the one that is left out had been sent."""
    def pieces():
        yield init
        for index, fragment in enumerate(fragments):
            if index != LEFT_OUT:
                yield fragment
            time.sleep(LENGTH)

    connection = http.client.HTTPConnection(server.listens, timeout=30)
    connection.request("POST", "/ingest/holed", pieces(), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    connection.getresponse().read()
    connection.close()


def check_holes(browser, server):
    source = threading.Thread(target=send, args=(server, *film()), daemon=True)
    source.start()
    server.wait_live("holed")
    page = Page(browser, server.url)
    page.wait_for("it streams", lambda: page.playing("holed") == "stream" and page.look("holed"))
    ranges = page.wait_for("the hole", lambda: len(found := page.evaluate(RANGES)) == 2 and found)
    hole = ranges[1][0] - ranges[0][1]
    assert abs(hole - LENGTH) < 0.2, f"a hole of {hole:.2f} s: {ranges}"
    page.wait_for("all in front of the hole is played", lambda: page.video("holed")["time"] > ranges[0][1] - 0.2, 5)
    page.wait_for("it is played behind the hole", lambda: page.video("holed")["time"] >= ranges[1][0], SOON)
    page.wait_advance("holed", LENGTH / 2)
    source.join(20)
    page.close()
    print(f"a film with a hole of {hole:.1f} s is played on behind it")
