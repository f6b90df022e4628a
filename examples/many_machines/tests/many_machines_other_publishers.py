"""Any client that reaches the broker can publish: what many_machines.py does as such a client."""

import socket
import time

from many_machines_clients import holes, picture
from many_machines_processes import wait_for

# What an origin says of a picture in one message.
JPEG = {
    "Live-Origin": "1",
    "Live-Stream": 1,
    "Live-Kind": "jpeg",
    "Live-Sequence": 7,
    "Live-Piece": "0/1",
    "Live-Part": "0/1",
    "Live-Sync": 1,
}


def publish(port, subject, headers, payload):
    """Publishes what it likes, as anybody can who reaches the broker."""
    publish_all(port, [(subject, headers, payload)])


def publish_all(port, messages):
    """The same, several at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as broker:
        sent = b""
        for subject, headers, payload in messages:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"NATS/1.0\r\n{lines}\r\n".encode()
            sent += f"HPUB {subject} {len(head)} {len(head) + len(payload)}\r\n".encode() + head + payload + b"\r\n"
        broker.sendall(b'CONNECT {"verbose":false,"headers":true}\r\n')
        broker.sendall(sent + b"PING\r\n")
        answer = b""
        while b"PONG" not in answer:
            more = broker.recv(4096)
            assert more and b"-ERR" not in answer, answer
            answer += more


def check_other_publishers(scene):
    """What is not the origin's is refused and reported, and breaks nothing."""
    since = time.monotonic()
    film = {**JPEG, "Live-Kind": "mp4"}
    for subject, headers, payload, reason in [
        ("live.cam", {}, b"hello", "no header Live-Origin"),
        ("live.cam", {**JPEG, "Live-Piece": "1/1"}, b"hello", "Live-Piece cannot be"),
        ("live.cam", {**JPEG, "Live-Sync": "2" * 3000}, b"hello", "Live-Sync cannot be"),
        ("live.cam", JPEG, picture(7), "cam: another origin publishes it"),
        ("live.No", JPEG, picture(7), "No: a channel's name is"),
        ("live.none", JPEG, b"", "none: a frame of no bytes"),
        ("live.broken", {**film, "Live-Kind": "init"}, b"\0\0\0\x08ftyp", None),
        ("live.broken", film, b"hello", "broken: an init segment"),
        ("live.parts", {**film, "Live-Kind": "init", "Live-Part": "0/2"}, b"", "parts: an init segment in parts"),
    ]:
        publish(scene.broker.port, subject, headers, payload)
        for edge in scene.edges if reason else []:
            wait_for(reason, lambda: reason in edge.json("/broker")["reason"], 5)
            assert len(edge.json("/broker")["reason"]) <= 300, "no more than is needed is kept of it"
    # Another origin, with a channel of the same name.
    other = scene.add_origin("other")
    reason = "test: another origin publishes it"
    for edge in scene.edges:
        wait_for("the other origin", lambda: reason in edge.json("/broker")["reason"])
    other.end()
    for viewer in scene.viewers():
        assert not holes(viewer.numbers(since)), f"{viewer.name}: {holes(viewer.numbers(since))}"
    scene.check_bytes()
    refused = [edge.json("/broker")["refused"] for edge in scene.edges]
    print(f"nonsense, and another origin with the same channel: {refused} refused at the edges, nothing else happened")


def check_torn(scene):
    """An origin of which messages are lost: one of frame 2, the first of 4, and all of 5."""
    frames = {number: picture(number) for number in (1, 3, 6)}
    half = picture(2)[:10_000]
    before = [edge.json("/broker") for edge in scene.edges]
    for number, part, payload in [
        (1, "0/1", frames[1]),
        (2, "0/2", half),
        (3, "0/1", frames[3]),
        (4, "1/2", half),
        (6, "0/2", frames[6][:10_000]),
        (6, "1/2", frames[6][10_000:]),
    ]:
        publish(scene.broker.port, "live.torn", {**JPEG, "Live-Sequence": number, "Live-Part": part}, payload)
        if number in frames and part != "0/2":
            for edge in scene.edges:
                shown = lambda: (edge.channel("torn") or {}).get("sequence") == number
                wait_for(f"frame {number}", shown, 5)
                picture_there = edge.request("GET", "/live/torn.jpg")[1]
                assert picture_there == frames[number], f"{len(picture_there)} bytes in place of frame {number}"
    for edge, counts in zip(scene.edges, before):
        torn = edge.json("/broker")["torn"] - counts["torn"]
        lost = edge.json("/broker")["missing"] - counts["missing"]
        assert (torn, lost) == (1, 3), f"{torn} torn and {lost} missing at {edge.name}"
    print("frames of which messages are lost are not shown: one torn, three missing, the others whole")
