"""What channels at an edge do to each other: the room of those that the origin removed, and a viewer that holds one up.
A part of many_machines.py."""

import socket
import threading
import time

from many_machines_clients import Body, PART, number_of, picture
from many_machines_processes import wait_for
from many_machines_other_publishers import JPEG, publish, publish_all

# With what is there already, these need more than three times the room that an edge has for channels.
NAMES = 60
# The longest that a name which is made anew may take: less than the three seconds after which an edge takes another origin.
ANEW = 2.5
# So many pictures come at once, no more than an edge's client keeps, and a viewer takes one each PACE seconds, which a source
# would wait for: a quarter of a second and more. Whatever else the machine does, one of the rounds is not held up.
BURST = 60
PACE = 0.006
HELD_UP = 0.1
ROUNDS = 5


class Waiting(threading.Thread):
    """A viewer that waits for the end of its response."""

    def __init__(self, port, channel):
        super().__init__(daemon=True)
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=15)
        self.stream.sendall(f"GET /live/{channel} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        self.first = self.stream.recv(1 << 16)
        self.ended = False

    def run(self):
        while self.stream.recv(1 << 16):
            pass
        self.ended = True


def put(scene, name, number):
    code, said = scene.origin.request("PUT", f"/ingest/{name}", picture(number))
    assert code == 200, (name, code, said)
    for edge in scene.edges:
        wait_for(f"{name} at {edge.name}", lambda: edge.channel(name), 5)
        code, shown = edge.request("GET", f"/live/{name}.jpg")
        assert code == 200 and number_of(shown) == number, (name, edge.name, code)


def delete(scene, name):
    code, said = scene.origin.request("DELETE", f"/ingest/{name}")
    assert code == 204, (name, code, said)


def check_removed(scene):
    """What the origin removes is removed at the edges, and its name can be used again at once."""
    put(scene, "removed", 1)
    viewers = [Waiting(edge.port, "removed") for edge in scene.edges]
    for viewer in viewers:
        viewer.start()
    delete(scene, "removed")
    for edge, viewer in zip(scene.edges, viewers):
        wait_for(f"the end of a viewer at {edge.name}", lambda: viewer.ended, 5)
        assert edge.channel("removed") is None, edge.name
    began = time.monotonic()
    put(scene, "removed", 7)
    took = time.monotonic() - began
    assert took < ANEW, f"a name that was made anew was shown after {took:.1f} s"
    for edge in scene.edges:
        assert edge.channel("removed")["sequence"] == 1, "its numbers begin anew, as at the origin"
    delete(scene, "removed")
    for number in range(NAMES):
        put(scene, f"name-{number}", 1)
        delete(scene, f"name-{number}")
    print(f"removed at the origin: viewers at the edges end, the name is shown anew after {took:.1f} s,")
    print(f"  and {NAMES} names come and go")


def check_room(scene, silence):
    """Names whose end no edge is notified of: the room of the one that is silent for longest is for the next."""
    reason = "too many channels"
    before = [edge.json("/broker")["refused"] for edge in scene.edges]
    for number in range(NAMES):
        publish(scene.broker.port, f"live.lost-{number}", JPEG, picture(7))
    # None of them is silent yet, and what is live is not removed for another.
    for edge, refused in zip(scene.edges, before):
        wait_for("no room", lambda: reason in edge.json("/broker")["reason"], 5)
        assert edge.json("/broker")["refused"] > refused
        assert edge.channel("lost-0") and edge.channel("cam")["live"], edge.name
    time.sleep(silence + 1)
    for number in range(3):
        name = f"next-{number}"
        publish(scene.broker.port, f"live.{name}", JPEG, picture(7))
        for edge in scene.edges:
            wait_for(f"room for {name} at {edge.name}", lambda: edge.channel(name), 5)
            assert edge.channel("cam")["live"], edge.name
    print(f"{NAMES} names that end without a word: what is silent makes room for the next, and what is live does not")


class Steady(threading.Thread):
    """A viewer that takes a picture each PACE seconds."""

    def __init__(self, port, channel):
        super().__init__(daemon=True)
        self.stream = socket.socket()
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        self.stream.connect(("127.0.0.1", port))
        self.stream.settimeout(15)
        self.stream.sendall(f"GET /live/{channel} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        self.taken = 0

    def run(self):
        body = Body(self.stream)
        try:
            while True:
                body.exactly(int(PART.search(body.until(b"\r\n\r\n"))[1]))
                self.taken += 1
                time.sleep(PACE)
        except (OSError, EOFError):
            pass


def check_steady(scene):
    """All channels come through one task at an edge: viewers of one do not hold it up."""
    edge = scene.east
    burst = lambda number: ("live.burst", {**JPEG, "Live-Sequence": number}, picture(number, 300_000))
    publish(scene.broker.port, *burst(1))
    wait_for("the first picture", lambda: edge.channel("burst"))
    viewer = Steady(edge.port, "burst")
    viewer.start()
    wait_for("a viewer", lambda: viewer.taken)
    took = []
    for last in range(1 + BURST, 1 + ROUNDS * BURST + 1, BURST):
        messages = [burst(number) for number in range(last - BURST + 1, last + 1)]
        # It is waited for only if it has caught up.
        time.sleep(1)
        publish_all(scene.broker.port, messages)
        began = time.monotonic()
        wait_for("the last picture", lambda: edge.channel("burst")["sequence"] == last)
        took.append(time.monotonic() - began)
    assert min(took) < HELD_UP, f"{BURST} pictures kept all channels waiting for {min(took):.2f} s"
    viewer.stream.close()
    print(f"{BURST} pictures at once, and a viewer that takes one each {PACE * 1000:.0f} ms: shown after {min(took):.2f} s")
