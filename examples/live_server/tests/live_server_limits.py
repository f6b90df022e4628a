"""What a client may cost: the limits of examples/live_server/src/limits.rs, with real sockets. See scripts/limits.

What is not broken here: the bytes of a fragment, of an init segment and of a `moof` are in end_to_end_mp4.py, the
time for a fragment in ingest/tests.rs of the example, and how channels and viewers share the pool in its channel_tests.rs
and viewers_tests.rs.
"""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time

from live_server_clients import (
    END_TIME, HEAD, LIMIT, MOST_IN_KERNEL, PICTURE, POLITE_BYTES, POLITE_TIME, SITE, SLACK, TOKEN, Server, answer, closed_after, code,
    request,
)


def too_many_header_bytes(server):
    assert code(request(server, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000 + b"\r\n\r\n")) == 431


def a_line_without_end(server):
    assert code(request(server, b"GET /" + b"a" * 200_000)) in (414, 431)


def too_many_headers(server):
    headers = b"".join(b"H%d: x\r\n" % number for number in range(100))
    assert code(request(server, b"GET / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")) == 431


def malformed_requests(server):
    for text in [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" * 9]:
        assert code(request(server, text)) == 400, text
    both = b"POST /ingest/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
    assert code(request(server, both)) == 400


def headers_that_come_slowly(server):
    slow = server.connect()
    took = closed_after(slow, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100)
    assert LIMIT - 1 < took < LIMIT + SLACK, took


def a_connection_that_says_nothing(server):
    took = closed_after(server.connect())
    assert LIMIT - 1 < took < LIMIT + SLACK, took


def a_connection_that_is_kept_and_not_used(server):
    idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for _ in range(2):
        idle.request("GET", "/status")
        kept = idle.sock
        answer = idle.getresponse()
        assert answer.status == 200 and answer.read(), answer.status
        assert idle.sock is kept, "it is kept for another request"
    took = closed_after(kept)
    assert LIMIT - 1 < took < LIMIT + SLACK, took


def an_answer_that_is_not_read(server):
    greedy = server.connect(receive=4096)
    began = time.monotonic()
    greedy.settimeout(0.5)
    asked, closed = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000, False
    while not closed and time.monotonic() - began < 40:
        try:
            greedy.sendall(asked)
        except TimeoutError:
            pass
        except ConnectionError:
            closed = True
    assert closed, "a client that asks, and takes no answer, is kept"


def a_source_that_trickles(server):
    source = request(server, HEAD % b"slow" + b"--x\r\nContent-Length: 9000\r\n\r\n\xff\xd8")
    took = closed_after(source, b"a" * 100)
    assert LIMIT - 2 < took < LIMIT + SLACK, took
    assert "slow" not in [channel["name"] for channel in server.status()["channels"]]


def a_source_that_sends_line_breaks_without_end(server):
    source = server.connect()
    source.sendall(HEAD % b"endless")
    began, said = time.monotonic(), b""
    while not said and time.monotonic() - began < LIMIT + SLACK:
        try:
            source.sendall(b"\r\n" * 1000)
            time.sleep(0.01)
            source.setblocking(False)
            said = source.recv(1000)
        except BlockingIOError:
            pass
        except ConnectionError:
            said = b"reset"
        source.settimeout(5)
    # One that is not read on from is stopped by the kernel, and one that is has had all the time that it may have.
    took = time.monotonic() - began
    assert LIMIT - 2 < took, took
    assert said == b"reset" or said.startswith(b"HTTP/1.1 408"), said


def frames_and_lines_that_are_too_large(server):
    assert code(request(server, HEAD % b"big" + b"--x\r\nContent-Length: 99999999\r\n\r\n\xff\xd8")) == 413
    assert code(request(server, HEAD % b"long" + b"--x\r\n" + b"a" * 5000)) == 415
    assert code(request(server, HEAD % b"many" + b"--x\r\n" + b"a: b\r\n" * 100)) == 415


def a_refused_body_that_goes_on(server):
    """It is read for a while, so that its sender sees the answer instead of a broken connection; and no longer."""
    source = request(server, HEAD % b"Refused")
    took = closed_after(source, b"a" * 100)
    assert POLITE_TIME - 0.1 < took < POLITE_TIME + 2, took
    # One that is in a hurry has no more time than it takes to send a MiB, and what the kernel keeps on both sides.
    source, sent, began = request(server, HEAD % b"Refused"), 0, time.monotonic()
    try:
        while time.monotonic() - began < LIMIT:
            sent += source.send(bytes(1 << 16))
    except ConnectionError:
        pass
    took = time.monotonic() - began
    assert POLITE_BYTES <= sent < POLITE_BYTES + MOST_IN_KERNEL, sent
    assert took < POLITE_TIME + 2, took
    # And one that has not much more to say has its answer.
    source = request(server, HEAD.replace(b"1000000000", b"500000") % b"Refused" + bytes(500_000))
    assert code(source) == 400


def names_of_channels(server):
    for name in [b"A", b"a" * 33, b"..%2f..", b"a%0aforged"]:
        assert code(request(server, HEAD % name)) == 400, name


def too_many_connections(server):
    held = [server.connect() for _ in range(300)]
    time.sleep(0.5)
    refused = [code(server.connect()) for _ in range(5)]
    assert refused == [503] * 5, refused
    for peer in held:
        peer.close()
    time.sleep(0.5)
    assert server.status()["buffers"] == 128, "who left made room"


def too_many_connections_together(path):
    server = Server(path, "--connections", "5")
    held = [server.connect() for _ in range(5)]
    time.sleep(0.5)
    assert code(server.connect()) == 503
    held.pop().close()
    time.sleep(0.5)
    assert server.status()["buffers"] == 128, "who left made room"
    server.end()


def a_channel_cannot_be_fed_from_a_web_page(server):
    answer = server.ask("POST", "/ingest/page", PICTURE, Origin=SITE)
    assert answer.status == 403, answer.status
    assert "page" not in [channel["name"] for channel in server.status()["channels"]]


def other_sites_may_not_read_what_is_shown(server):
    for path in ["/status", "/viewers", "/holders", "/metrics", "/live/test?limit=1", "/live/test.jpg"]:
        answer = server.ask("GET", path, Origin=SITE)
        assert answer.status == 200, (path, answer.status)
        assert answer.getheader("Access-Control-Allow-Origin") is None, path


def what_a_source_sends_is_no_page(server):
    """Whatever stands in it. Only the page may be one, with its own policy."""
    shown = ["/status", "/viewers", "/holders", "/metrics", "/live/test?limit=1", "/live/test.jpg"]
    refused = [("GET", path) for path in ["/live/missing", "/live/test?limit=all", "/page/none.js", "/nowhere"]]
    refused += [("POST", "/status"), ("POST", "/ingest/A")]
    for method, path in [("GET", path) for path in shown] + refused:
        answer = server.ask(method, path)
        assert (answer.status == 200) == (path in shown and method == "GET"), (path, answer.status)
        policy = answer.headers.get_all("Content-Security-Policy")
        assert policy == ["default-src 'none'; media-src 'self'; sandbox allow-same-origin"], (method, path, policy)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], (method, path)
    for path in ["/", "/page/main.js"]:
        answer = server.ask("GET", path)
        policy = answer.headers.get_all("Content-Security-Policy")
        assert len(policy) == 1 and "script-src 'self'" in policy[0] and "sandbox" not in policy[0], (path, policy)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], path


def one_that_is_allowed_to_may_read_and_not_feed(path):
    server = Server(path, "--allow-origin", SITE)
    for path in ["/status", "/live/test?limit=1"]:
        answer = server.ask("GET", path, Origin=SITE)
        assert answer.getheader("Access-Control-Allow-Origin") == SITE, path
        answer = server.ask("GET", path, Origin="https://elsewhere.example")
        assert answer.getheader("Access-Control-Allow-Origin") == SITE, "so a browser keeps it from elsewhere"
    asked = server.ask("OPTIONS", "/ingest/page", Origin=SITE, Access_Control_Request_Method="POST")
    assert "POST" not in (asked.getheader("Access-Control-Allow-Methods") or ""), "browsers do not even try"
    assert server.ask("POST", "/ingest/page", PICTURE, Origin=SITE).status == 403
    server.end()


def a_source_without_the_token(path):
    server = Server(path, INGEST_TOKEN=TOKEN)
    for shown in [None, "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN]:
        headers = {} if shown is None else {"Authorization": shown}
        answer = server.ask("POST", "/ingest/cam", PICTURE, **headers)
        assert answer.status == 401 and answer.getheader("WWW-Authenticate") == "Bearer", (shown, answer.status)
    answer = server.ask("POST", "/ingest/cam", PICTURE, Authorization=f"Bearer {TOKEN}")
    assert answer.status == 200, answer.read()
    assert server.ask("GET", "/live/cam?limit=1").status == 200, "watching needs none"
    assert TOKEN not in server.end()
    short = subprocess.run([path], env={**os.environ, "INGEST_TOKEN": "short"}, capture_output=True, timeout=20)
    assert short.returncode == 1 and b"16 characters" in short.stderr, short


def who_may_not_feed_a_channel_may_not_remove_it_either(path):
    """As by `curl -X DELETE -H "Authorization: Bearer $INGEST_TOKEN"`: with the token a channel goes, with its source and those who watch it."""
    server = Server(path, INGEST_TOKEN=TOKEN)
    head = HEAD.replace(b"Host: x", b"Host: x\r\nAuthorization: Bearer " + TOKEN.encode())
    feeding = request(server, head % b"cam" + PICTURE)
    end = time.monotonic() + 10
    while "cam" not in [channel["name"] for channel in server.status()["channels"] if channel["sequence"]]:
        assert time.monotonic() < end, "the picture did not come"
    watching = request(server, b"GET /live/cam HTTP/1.1\r\nHost: x\r\n\r\n")
    seen = b""
    while b"X-Sequence: 1" not in seen:
        seen += watching.recv(1 << 16)

    def delete(channel, **shown):
        return server.ask("DELETE", f"/ingest/{channel}", **shown).status

    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert delete("cam") == 401
    assert delete("cam", Authorization=f"Bearer {TOKEN}x") == 401
    assert delete("cam", **shown, Origin=SITE) == 403
    assert delete("missing", **shown) == 404
    assert delete("NoSuchName", **shown) == 404
    kept = [channel["name"] for channel in server.status()["channels"] if channel["live"]]
    assert kept == ["cam", "test"], f"nothing of that removes one: {kept}"
    assert delete("cam", **shown) == 204
    assert delete("cam", **shown) == 404, "it is gone"
    assert code(feeding) == 410, "its source gets the error"
    assert answer(watching).endswith(b"0\r\n\r\n"), "who watches it sees the end"
    assert server.ask("GET", "/live/cam").status == 404
    again = server.ask("POST", "/ingest/cam", PICTURE, Authorization=f"Bearer {TOKEN}")
    assert again.status == 200, "another source may feed a channel of its name"
    assert [channel["sequence"] for channel in server.status()["channels"] if channel["name"] == "cam"] == [1]
    # The test pattern is a source as well.
    assert delete("test", **shown) == 204
    assert server.ask("POST", "/ingest/test", PICTURE, Authorization=f"Bearer {TOKEN}").status == 200
    log = server.end()
    assert log == 'ingest "cam": 410 the channel was removed\n', log


def a_source_that_has_been_given_more_time(path):
    """`--source-timeout`: 3 s are less than the 10 that it has otherwise, and 40 more than it needs."""
    for seconds, least, most in ((3, 2, 3 + SLACK), (40, None, None)):
        server = Server(path, "--source-timeout", str(seconds))
        source = request(server, HEAD % b"timelapse" + PICTURE)
        if most:
            began = time.monotonic()
            assert code(source) == 408
            took = time.monotonic() - began
            assert least < took < most, f"{took} with {seconds}"
            assert "see --source-timeout" in server.end()
            continue
        time.sleep(LIMIT + 3)
        source.sendall(PICTURE)
        end = time.monotonic() + 10
        while server.status()["channels"][-1]["sequence"] < 2:
            assert time.monotonic() < end, server.status()["channels"]
        assert server.status()["channels"][-1]["live"], "a camera that takes a picture now and then stays"
        source.close()
        server.end()
    refused = subprocess.run([path, "--source-timeout", "0"], capture_output=True, timeout=20)
    assert refused.returncode == 2 and b"'--source-timeout <SECONDS>': 0 is not in 1.." in refused.stderr, refused


def begun_and_not_read_on(server):
    """A source; a viewer that has taken a part of a frame, of which the server holds the rest; and what it has taken."""
    frame = b"--x\r\nContent-Length: 60000\r\n\r\n\xff\xd8" + bytes(59_998) + b"\r\n"
    source = request(server, HEAD % b"large" + frame * 3)
    end = time.monotonic() + 10
    while "large" not in [channel["name"] for channel in server.status()["channels"] if channel["sequence"]]:
        assert time.monotonic() < end, "the frames did not come"
    viewer = server.connect(receive=4096)
    viewer.sendall(b"GET /live/large HTTP/1.1\r\nHost: x\r\n\r\n")
    said = viewer.recv(2000)
    # What does not fit the sockets' buffers is still with the server, and so are the frames that follow.
    for _ in range(40):
        source.sendall(frame)
        time.sleep(0.01)
    held = server.ask("GET", "/viewers").read()
    assert json.loads(held)["viewers"][0]["holds"] > 0, held
    return source, viewer, said


def an_end_in_the_middle_of_a_frame(path):
    """The viewer has taken a part of a frame when the server is stopped, and must get the rest of it."""
    server = Server(path)
    _source, viewer, said = begun_and_not_read_on(server)
    server.process.terminate()
    time.sleep(0.2)
    said += answer(viewer)
    assert said.endswith(b"\r\n0\r\n\r\n"), "the response has an end"
    body = dechunked(said.partition(b"\r\n\r\n")[2])
    parts = body.split(b"--frame\r\n")
    assert parts[-1] == b"" and len(parts) >= 3, len(parts)
    for part in parts[1:-1]:
        assert part.endswith(bytes(100) + b"\r\n") and len(part) > 60_000, "every frame is whole"
    assert "128 of 128 samples were returned" in server.process.communicate(timeout=30)[0]


def an_end_that_a_viewer_does_not_wait_for(path):
    """It takes nothing any more, and must not keep the server; sooner than one that stalls would be closed."""
    server = Server(path)
    _kept_open = begun_and_not_read_on(server)
    began = time.monotonic()
    server.end()
    took = time.monotonic() - began
    assert END_TIME - 0.5 < took < END_TIME + 2, took


def a_viewer_that_reads_slowly_and_steadily(path):
    """It was fast before, so that the kernel had reason to keep much for it; and it takes something all the time."""
    server = Server(path)
    frame = b"--x\r\nContent-Length: 60000\r\n\r\n\xff\xd8" + bytes(59_998) + b"\r\n"
    source = request(server, HEAD % b"fast" + frame)
    over = threading.Event()

    def feed():
        while not over.wait(0.002):
            source.sendall(frame)

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        end = time.monotonic() + 10
        while "fast" not in [channel["name"] for channel in server.status()["channels"] if channel["sequence"]]:
            assert time.monotonic() < end, "the frames did not come"
        viewer = request(server, b"GET /live/fast HTTP/1.1\r\nHost: x\r\n\r\n")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert viewer.recv(1 << 20)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            time.sleep(0.1)
            assert viewer.recv(20_000)
            assert server.status()["closed_viewers"] == 0, f"closed {end - time.monotonic():.0f} s before the end"
    finally:
        over.set()
        feeding.join()
    server.end()


def a_machine_that_vanished(path):
    """The kernel has a timer for a connection on which nothing is said, by which it finds out."""
    server = Server(path)
    silent = server.connect()
    server.status()
    ends = {f":{peer[1]:04X}" for peer in [silent.getsockname(), silent.getpeername()]}
    timers = []
    for line in open("/proc/net/tcp"):
        local, remote, state, _queues, timer = line.split()[1:6]
        if {local[-5:], remote[-5:]} == ends and local.endswith(f":{server.port:04X}"):
            timers.append((state, timer))
    # Established, and the timer that is running is the one for silence; it ends within half a minute.
    assert len(timers) == 1 and timers[0][0] == "01" and timers[0][1].startswith("02:"), timers
    assert int(timers[0][1][3:], 16) <= 30 * os.sysconf("SC_CLK_TCK"), timers
    server.end()


def dechunked(rest):
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[:int(size, 16)]
        rest = rest[int(size, 16) + 2:]
    return body


# Those that need a server of their own.
ALONE = [
    one_that_is_allowed_to_may_read_and_not_feed, a_source_without_the_token, an_end_in_the_middle_of_a_frame,
    an_end_that_a_viewer_does_not_wait_for, a_viewer_that_reads_slowly_and_steadily, a_machine_that_vanished,
    too_many_connections_together, who_may_not_feed_a_channel_may_not_remove_it_either,
    a_source_that_has_been_given_more_time,
]

# Those that take long, beside each other; then those that take all connections there are.
TOGETHER = [
    too_many_header_bytes, a_line_without_end, too_many_headers, malformed_requests, headers_that_come_slowly,
    a_connection_that_says_nothing, a_connection_that_is_kept_and_not_used, an_answer_that_is_not_read,
    a_source_that_trickles, a_source_that_sends_line_breaks_without_end, frames_and_lines_that_are_too_large,
    a_refused_body_that_goes_on, names_of_channels, a_channel_cannot_be_fed_from_a_web_page,
    other_sites_may_not_read_what_is_shown, what_a_source_sends_is_no_page,
]


def main():
    server = Server(sys.argv[1])
    failed = []

    def check(limit, given=server):
        try:
            limit(given)
            print(f"ok      {limit.__name__}", flush=True)
        except Exception as error:
            failed.append(limit.__name__)
            print(f"FAILED  {limit.__name__}: {error!r}", flush=True)

    threads = [threading.Thread(target=check, args=(limit,)) for limit in TOGETHER]
    threads += [threading.Thread(target=check, args=(limit, sys.argv[1])) for limit in ALONE]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(too_many_connections)
    assert server.process.poll() is None, "the server has ended"
    log = server.end()
    assert all(re.match(r'ingest ".*": \d{3} ', line) for line in log.splitlines()), log
    sys.exit(f"{len(failed)} limits do not hold: {failed}" if failed else 0)


main()
