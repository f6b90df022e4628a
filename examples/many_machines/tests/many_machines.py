"""An origin, a broker and two edges, each killed and brought back. Called by scripts/many_machines with the program.

What must hold is asserted; what was measured is printed.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from many_machines_clients import FilmViewer, Pictures, Viewer
from many_machines_clients import holes, missing, number_of, picture, when
from many_machines_processes import Broker, Process, Server, wait_for
from many_machines_removed import check_removed, check_room, check_steady
from many_machines_other_publishers import check_other_publishers, check_torn

PROGRAM = Path(sys.argv[1])
WORK = Path(tempfile.mkdtemp(prefix="many_machines."))
# Enough for every channel here, those of fragments with all that they may hold.
BUFFERS = 192
SIZE = 2 << 20
# The second edge has smaller buffers than the largest frame.
SMALL = 1 << 20
RATE = 15
CALM = 5
# The origin counts a source as gone after ten seconds; see `is_silent` in the edge.
SILENCE = 12
# Longer than three pings of the client.
STOP = 8
# Until frames are there again, from the moment at which an edge or the broker was started again, or the origin was killed:
# what it takes on an idle machine stands in the example's README, and one with two cores that does all of this at once
# takes longer.
EDGE_BACK = 5
BROKER_BACK = 2
ORIGIN_BACK = 8


class Scene:
    """Everything that runs."""

    def __init__(self):
        self.processes = []

    def begin(self):
        # An edge before there is anything to follow, an origin before there is a broker.
        self.broker = self.add(Broker(WORK))
        self.broker.kill()
        self.east = self.add_server("edge", "east", SIZE)
        self.origin = self.add_server("origin", "origin", SIZE)
        self.west = self.add_server("edge", "west", SMALL)
        self.edges = [self.east, self.west]
        wait_for("the servers", lambda: all(server.is_up() for server in [*self.edges, self.origin]))
        assert not self.origin.json("/broker")["connected"]
        self.broker.start()
        everybody = [*self.edges, self.origin]
        wait_for("the broker", lambda: all(server.json("/broker")["connected"] for server in everybody))

        self.source = Pictures(self.origin.port, "cam", RATE)
        self.source.start()
        self.film = self.start_film()
        servers = [self.origin, *self.edges]
        for channel in ("cam", "film"):
            wait_for(f"{channel} everywhere", lambda: all(server.channel(channel) for server in servers))
        # At the origin, and at each edge.
        self.cams = [Viewer(f"cam at {server.name}", server.port, "cam") for server in servers]
        saved = [None, WORK / "east.mp4", None]
        self.films = [
            FilmViewer(f"film at {server.name}", server.port, "film", saved) for server, saved in zip(servers, saved)
        ]
        for viewer in self.viewers():
            viewer.start()
        wait_for("all viewers", lambda: all(viewer.seen for viewer in self.viewers()))

    def add(self, process):
        self.processes.append(process)
        return process

    def add_server(self, role, name, size):
        return self.add(Server(WORK, PROGRAM, role, name, self.broker.port, BUFFERS, size))

    def add_origin(self, name):
        return self.add_server("origin", name, SIZE)

    def viewers(self):
        return [*self.cams, *self.films]

    def start_film(self):
        pattern = ["-re", "-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={RATE}"]
        coded = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "8", "-pix_fmt", "yuv420p"]
        fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", "-method", "POST"]
        where = f"http://127.0.0.1:{self.origin.port}/ingest/film"
        # It ends by itself even if something goes wrong here.
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", *pattern, *coded, "-t", "120", *fragments, where]
        return self.add(Process(WORK, "ffmpeg", None, command))

    def check_bytes(self):
        """What an edge shows is what the origin shows under the same number, header and all."""
        for viewer in self.viewers():
            viewer.check()
        for at_origin, *at_edges in (self.cams, self.films):
            expected = at_origin.digests()
            for viewer in at_edges:
                shown = viewer.digests()
                both = shown.keys() & expected.keys()
                assert len(both) > 5, f"{viewer.name}: {len(both)} of its frames were seen at the origin"
                for number in both:
                    assert shown[number] == expected[number], f"{viewer.name}: frame {number} is another one"
        for viewer in self.films:
            assert viewer.inits == self.films[0].inits and len(viewer.inits) == 1, viewer.name

    def kill_what_is_left(self):
        for process in self.processes:
            process.kill()


def check_calm(scene):
    since = time.monotonic()
    time.sleep(CALM)
    scene.check_bytes()
    counts = []
    for viewer in scene.viewers():
        numbers = viewer.numbers(since)
        assert len(numbers) > CALM, f"{viewer.name} saw {len(numbers)} frames in {CALM} s"
        assert not holes(numbers), f"{viewer.name}: {holes(numbers)}; {scene.origin.json('/broker')}"
        counts.append(len(numbers))
    # How far an edge is behind the origin.
    at_origin = {number: at for at, number, _ in scene.cams[0].seen}
    late = sorted(at - at_origin[number] for at, number, _ in scene.cams[1].seen if number in at_origin)
    print(f"calm, {CALM} s: {counts[:3]} pictures and {counts[3:]} fragments at the origin and two edges, no hole;")
    print(f"  each with the origin's bytes, number and time; the edge is {late[len(late) // 2] * 1000:.1f} ms behind")


def check_large(scene):
    """Larger than a message may be, so it goes in parts; and larger than the second edge's buffers."""
    large = picture(1, 3 << 19)
    code, said = scene.origin.request("PUT", "/ingest/large", large)
    assert code == 200, (code, said)
    wait_for("the large picture at the edge", lambda: scene.east.request("GET", "/live/large.jpg")[0] == 200)
    shown = scene.east.request("GET", "/live/large.jpg")[1]
    assert shown == large and number_of(shown) == 1, f"{len(shown)} bytes came"
    wait_for("the refusal", lambda: scene.west.json("/broker")["refused"] > 0)
    reason = scene.west.json("/broker")["reason"]
    assert f"large: a frame of more than {SMALL} bytes" in reason, reason
    assert scene.west.request("GET", "/live/large.jpg")[0] == 404
    too_large = scene.origin.request("PUT", "/ingest/too_large", picture(1, SIZE + 1000))
    assert too_large[0] == 413, too_large
    print(f"a picture of {len(large)} bytes, messages of at most 1 MiB: whole at the edge with room for it;")
    print(f"  refused by the other: {reason!r}")
    return time.monotonic()


def check_heavy(scene):
    """Fragments of several pieces, each in parts."""
    film = WORK / "heavy.mp4"
    noise = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "640x360", "-r", "10", "-i", "/dev/urandom", "-frames:v", "32"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", "-g", "16", "-pix_fmt", "yuv420p"]
    fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4", str(film)]
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *noise, *coded, *fragments], check=True, timeout=30)
    sent = film.read_bytes()
    code, said = scene.origin.request("PUT", "/ingest/heavy", sent)
    assert code == 200, (code, said)
    # The newest: the init segment, and the last fragment.
    shown = scene.origin.request("GET", "/live/heavy?limit=1")[1]
    init = sent[: sent.index(b"moof") - 4]
    last = sent[sent.rindex(b"moof") - 4 : sent.rindex(b"mfra") - 4]
    assert shown == init + last, f"{len(shown)} bytes at the origin, of {len(init)} and {len(last)}"
    assert len(last) > SIZE, f"{len(last)} bytes fit one buffer"
    for edge in scene.edges:
        wait_for("the heavy fragment", lambda: (edge.channel("heavy") or {}).get("sequence") == 2)
        at_edge = edge.request("GET", "/live/heavy?limit=1")[1]
        assert at_edge == shown, f"{len(at_edge)} bytes of {len(shown)} at {edge.name}"
    print(f"a fragment of {len(last)} bytes, buffers of {SIZE} and {SMALL}: whole at both edges")


def check_fed_by_the_origin(scene):
    for edge in scene.edges:
        code, said = edge.request("PUT", "/ingest/cam", picture(1))
        assert code == 403 and b"send to the origin" in said, (code, said)


def hole_of(viewer, since, names):
    """The one hole since then: (how many are missing, for how long nothing came)."""
    found = holes(viewer.numbers(since))
    assert len(found) == 1, f"{viewer.name}: {found} after {names}; one hole was expected"
    before, after = found[0]
    return after - before - 1, when(viewer, after) - when(viewer, before)


def check_edge_killed(scene):
    calm = time.monotonic() - 1
    killed = time.monotonic()
    scene.west.kill()
    time.sleep(1)
    scene.west.start()
    back = time.monotonic()
    last = [viewer.last() for viewer in (scene.cams[2], scene.films[2])]
    for viewer, before in zip((scene.cams[2], scene.films[2]), last):
        wait_for(f"{viewer.name} again", lambda: viewer.last() > before)
    time.sleep(2)
    for viewer in (scene.cams[1], scene.films[1], scene.cams[0], scene.films[0]):
        assert not holes(viewer.numbers(calm)), f"{viewer.name}: {holes(viewer.numbers(calm))}"
    for viewer in (scene.cams[2], scene.films[2]):
        lost, gap = hole_of(viewer, calm, "its edge was killed")
        before, after = holes(viewer.numbers(calm))[0]
        # Nothing is missing but what came while it was gone.
        assert when(scene.cams[0] if viewer is scene.cams[2] else scene.films[0], before + 1) > killed - 1
        late = when(viewer, after) - back
        assert late < EDGE_BACK, f"{viewer.name}: {late:.2f} s after the edge was started again"
        print(f"edge killed for {back - killed:.1f} s: {viewer.name} lost {lost}, {gap:.2f} s; the other edge none;")
        print(f"  the first frame {late:.2f} s after the edge was started again")
    scene.check_bytes()


def check_broker_killed(scene):
    calm = time.monotonic() - 1
    killed = time.monotonic()
    scene.broker.kill()
    time.sleep(1)
    # Nor does what was to be published keep a sample until it is back.
    wait_for("samples to be dropped", lambda: scene.origin.json("/status")["held_by_viewers"] == 0, 5)
    time.sleep(1)
    scene.broker.start()
    back = time.monotonic()
    servers = [scene.origin, *scene.edges]
    wait_for("the broker again", lambda: all(server.json("/broker")["connected"] for server in servers))
    time.sleep(3)
    for viewer in (scene.cams[0], scene.films[0]):
        assert not holes(viewer.numbers(calm)), f"{viewer.name} is at the origin: {holes(viewer.numbers(calm))}"
    for at_origin, *at_edges in (scene.cams, scene.films):
        for viewer in at_edges:
            lost, gap = hole_of(viewer, calm, "the broker was killed")
            before, after = holes(viewer.numbers(calm))[0]
            first, last = when(at_origin, before + 1), when(at_origin, after - 1)
            assert killed - 1 < first and last < back + BROKER_BACK, f"{viewer.name}: lost from {first} to {last}"
            print(f"broker killed for {back - killed:.1f} s: {viewer.name} lost {lost}, {gap:.2f} s; one hole, of which")
            print(f"  the last came {last - back:.2f} s after the broker was started again")
    scene.check_bytes()


def check_broker_stops(scene):
    """It neither takes nor gives, and its connections stay open: as when its machine is gone."""
    calm = time.monotonic() - 1
    scene.broker.process.send_signal(signal.SIGSTOP)
    time.sleep(STOP)
    assert not scene.origin.json("/broker")["connected"], "the pings tell"
    held = scene.origin.json("/status")["held_by_viewers"]
    scene.broker.process.send_signal(signal.SIGCONT)
    back = time.monotonic()
    servers = [scene.origin, *scene.edges]
    wait_for("the broker again", lambda: all(server.json("/broker")["connected"] for server in servers))
    time.sleep(3)
    for viewer in (scene.cams[0], scene.films[0]):
        assert not holes(viewer.numbers(calm)), f"{viewer.name} is at the origin: {holes(viewer.numbers(calm))}"
    for viewer in (*scene.cams[1:], *scene.films[1:]):
        numbers = viewer.numbers(calm)
        assert numbers == sorted(set(numbers)), f"{viewer.name}: numbers went back"
        assert not holes(viewer.numbers(back + 2)) and viewer.numbers(back + 2), viewer.name
    lost = [missing(holes(viewer.numbers(calm))) for viewer in (*scene.cams[1:], *scene.films[1:])]
    print(f"broker stopped for {STOP} s: ingest and the origin's viewers saw nothing of it ({held} samples held then);")
    print(f"  {lost[:2]} pictures and {lost[2:]} fragments are missing at the edges")
    scene.check_bytes()


def check_edge_stops(scene):
    """All that was kept for it comes at once: more than its queue has room for."""
    calm = time.monotonic() - 1
    before = scene.west.json("/broker")
    scene.west.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    scene.west.process.send_signal(signal.SIGCONT)
    back = time.monotonic()
    time.sleep(3)
    after = scene.west.json("/broker")
    for viewer in (scene.cams[0], scene.cams[1], scene.films[0], scene.films[1]):
        assert not holes(viewer.numbers(calm)), f"{viewer.name}: {holes(viewer.numbers(calm))}"
    for viewer in (scene.cams[2], scene.films[2]):
        numbers = viewer.numbers(calm)
        assert numbers == sorted(set(numbers)), f"{viewer.name}: numbers went back"
        assert not holes(viewer.numbers(back + 2)) and viewer.numbers(back + 2), viewer.name
    dropped, lost = [after[what] - before[what] for what in ("dropped", "missing")]
    if dropped:
        assert lost, "what the client dropped is missing, and counted"
        wait_for("it to be reported", lambda: "dropped by the client" in scene.west.tail())
    print(f"edge stopped for 4 s: {dropped} messages were more than its queue took, {lost} numbers are missing there;")
    print(f"  {after['torn'] - before['torn']} frames came in part, and none of them was shown; the other edge saw all")
    scene.check_bytes()


def check_origin_killed(scene):
    """Its numbers begin anew, those of the edges go on."""
    calm = time.monotonic() - 1
    scene.origin.kill()
    scene.film.process.wait(10)
    killed = time.monotonic()
    last = [viewer.last() for viewer in scene.cams[1:]]
    scene.origin.start()
    for viewer, before in zip(scene.cams[1:], last):
        wait_for(f"{viewer.name} again", lambda: viewer.last() > before)
        gap = time.monotonic() - killed
    since = time.monotonic()
    time.sleep(2)
    for viewer, before in zip(scene.cams[1:], last):
        numbers = viewer.numbers(calm)
        assert numbers == sorted(set(numbers)), f"{viewer.name}: numbers went back"
        assert not holes(viewer.numbers(since)), f"{viewer.name}: {holes(viewer.numbers(since))}"
        viewer.check()
    assert gap < ORIGIN_BACK, f"the edges showed nothing new for {gap:.1f} s"
    assert scene.cams[0].last() < min(last), "the origin counts from 1 again"
    print(f"origin killed: the edges show its pictures again after {gap:.1f} s, and their numbers go on")


def check_silence(scene, since):
    """No source has sent to this channel any more."""
    time.sleep(max(0, since + SILENCE - 3 - time.monotonic()))
    limit = max(8, since + SILENCE + 5 - time.monotonic())
    wait_for("the silent channel", lambda: not scene.east.channel("large")["live"], limit)
    assert scene.east.channel("cam")["live"]
    print(f"a channel that is silent is not live any more after {time.monotonic() - since:.1f} s at most")


def check_film_decodes(scene):
    saved = WORK / "east.mp4"
    decode = ["ffmpeg", "-nostdin", "-loglevel", "error", "-xerror", "-i", saved, "-f", "framecrc", "-"]
    decoded = subprocess.run([str(word) for word in decode], capture_output=True, timeout=30)
    pictures = decoded.stdout.count(b"\n0,")
    assert decoded.returncode == 0 and not decoded.stderr, decoded.stderr
    assert pictures > CALM * RATE, pictures
    print(f"what was saved of the film at an edge, holes and all, decodes: {pictures} pictures")


def check_end(scene):
    scene.source.end()
    for viewer in scene.viewers():
        viewer.ending = True
    for server in [scene.origin, *scene.edges]:
        counts = server.json("/broker")
        shown = {key: counts[key] for key in ("connections", "messages", "frames", "missing", "torn", "dropped")}
        print(f"  {server.name}: {shown}")
    for server in [scene.origin, *scene.edges]:
        server.end()
    scene.broker.end()
    print(f"SIGTERM: every process ended, and printed that {BUFFERS} of {BUFFERS} samples were returned")


def main():
    began = time.monotonic()
    scene = Scene()
    try:
        scene.begin()
        check_calm(scene)
        large = check_large(scene)
        check_heavy(scene)
        check_fed_by_the_origin(scene)
        check_other_publishers(scene)
        check_torn(scene)
        check_steady(scene)
        check_removed(scene)
        check_edge_killed(scene)
        check_broker_killed(scene)
        check_silence(scene, large)
        check_room(scene, SILENCE)
        check_edge_stops(scene)
        check_broker_stops(scene)
        check_film_decodes(scene)
        check_origin_killed(scene)
        check_end(scene)
    except BaseException:
        for process in scene.processes:
            print(f"--- {process.name}\n{process.tail()}", file=sys.stderr)
        raise
    finally:
        scene.kill_what_is_left()
        shutil.rmtree(WORK)
    print(f"took {time.monotonic() - began:.1f} s")


main()
