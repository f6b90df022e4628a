"""The live server under clients that connect, stall, vanish and return, and sources that die. See scripts/soak.

What must hold:

    memory        after the warm-up the server's RSS never exceeds the largest of the warm-up by more than RSS_GROWTH
    descriptors   with all clients gone there are as many as before the first one came, and never more than one for
                  each connection beside them
    samples       all are free when the server ends, which it says itself, and it ends with success
    order         the sequence numbers that a viewer sees rise, over every source of its channel
    no starving   a healthy viewer of the channel that is always live waits less than WIDEST_GAP for a frame
    life          every healthy viewer is served to the end, and frames of every channel keep coming
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import time

BUFFERS, SIZE = 64, 64 * 1024
CHANNELS = ["cam-0", "cam-1", "cam-2"]
HEALTHY, HOSTILE = 3, 24
RATE = 25
WARM_UP = 20
RSS_GROWTH = 8 << 20
# A frame comes every 40 ms. The machine may be busy with other things, but a viewer that has to wait until a stalled
# one is closed, which takes the server five seconds, waits longer than this.
WIDEST_GAP = 4.0
PART = re.compile(rb"Content-Length: (\d+)\r\nX-Timestamp: [\d.]+\r\nX-Sequence: (\d+)\r\n\r\n")


class Server:
    def __init__(self, path):
        command = [path, "--listen", "127.0.0.1:0", "--buffers", str(BUFFERS), "--size", str(SIZE)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    async def status(self):
        async with connection(self) as (reader, writer):
            writer.write(b"GET /status HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 20)
        return json.loads(answer.partition(b"\r\n\r\n")[2])


@contextlib.asynccontextmanager
async def connection(server):
    reader, writer = await server.connect()
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def reset(writer):
    """Closes with a reset instead of a farewell."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


class Healthy:
    """Reads all that comes, for as long as it runs."""

    def __init__(self, server, channel):
        self.server, self.channel = server, channel
        self.frames, self.last, self.widest, self.skipped = 0, 0, 0.0, 0

    async def run(self):
        async with connection(self.server) as (reader, writer):
            writer.write(f"GET /live/{self.channel} HTTP/1.1\r\nHost: soak\r\n\r\n".encode())
            seen, before = b"", None
            while piece := await reader.read(1 << 16):
                seen += piece
                end = 0
                for part in PART.finditer(seen):
                    now, sequence, end = time.monotonic(), int(part[2]), part.end()
                    assert sequence > self.last, f"{self.channel}: frame {sequence} after {self.last}"
                    self.skipped += sequence - self.last - 1 if self.frames else 0
                    self.widest = max(self.widest, now - before if before else 0)
                    self.last, before = sequence, now
                    self.frames += 1
                seen = seen[max(end, len(seen) - 200):]
        raise AssertionError(f"{self.channel}: a healthy viewer was cut off after {self.frames} frames")


async def feed(server, channel, chance, deaths):
    """A source that dies again and again, each time in another way, and returns."""
    while True:
        way = chance.choice(["ends", "vanishes", "resets", "stalls in a frame", "sends rubbish"])
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            async with connection(server) as (reader, writer):
                head = f"POST /ingest/{channel} HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n"
                writer.write(head.encode())
                end = time.monotonic() + chance.uniform(1, 8)
                while time.monotonic() < end and not reader.at_eof() and not writer.is_closing():
                    picture = b"\xff\xd8" + bytes(chance.randrange(1000, 60_000))
                    part = b"--x\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture)
                    writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                    await writer.drain()
                    await asyncio.sleep(1 / RATE)
                half = b"--x\r\nContent-Length: 9000\r\n\r\n\xff\xd8" + bytes(1000)
                if way == "ends":
                    writer.write(b"0\r\n\r\n")
                    await asyncio.wait_for(reader.read(100), 5)
                else:
                    writer.write(b"%x\r\n%s\r\n" % (len(half), half))
                    if way == "sends rubbish":
                        writer.write(b"zz\r\n" + chance.randbytes(500))
                    await asyncio.sleep(chance.uniform(1, 3) if way == "stalls in a frame" else 0.05)
                if way == "resets":
                    reset(writer)
                deaths[way] = deaths.get(way, 0) + 1
        await asyncio.sleep(chance.uniform(0.05, 0.5))


async def misbehave(server, chance, visits):
    """A viewer that comes, does what it should not, and goes; and comes again."""
    while True:
        path = chance.choice([f"/live/{c}" for c in CHANNELS + ["test"]] + ["/live/test.jpg", "/status", "/", "/live/no"])
        way = chance.choice(["reads a little", "stalls", "stalls", "resets", "reads slowly", "half a request", "rubbish"])
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            async with connection(server) as (reader, writer):
                peer = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                request = f"GET {path} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()
                if way == "half a request":
                    request = request[: chance.randrange(len(request))]
                elif way == "rubbish":
                    request = chance.randbytes(chance.randrange(1, 5000))
                writer.write(request)
                visits[way] = visits.get(way, 0) + 1
                if way == "stalls":
                    writer.transport.pause_reading()
                    await asyncio.sleep(chance.uniform(1, 20))
                elif way == "reads slowly":
                    for _ in range(20):
                        await asyncio.wait_for(reader.read(2000), 1)
                        await asyncio.sleep(0.1)
                else:
                    await asyncio.wait_for(reader.read(chance.randrange(1, 50_000)), 1)
                if way == "resets":
                    reset(writer)
        await asyncio.sleep(chance.uniform(0, 0.3))


async def watch(server, idle, end):
    """Looks at the server every second; the answer is what it saw."""
    started, warm_rss, most_rss, most_descriptors = time.monotonic(), 0, 0, 0
    while (now := time.monotonic()) < end:
        rss, descriptors = server.rss(), server.descriptors()
        most_descriptors = max(most_descriptors, descriptors)
        # Two more than connections: one that is being accepted, and the status that is asked for here.
        most = idle + (HEALTHY * (1 + len(CHANNELS)) + HOSTILE + len(CHANNELS)) * 2 + 2
        assert descriptors <= most, f"{descriptors} descriptors, and {idle} without clients"
        if now - started < WARM_UP:
            warm_rss = max(warm_rss, rss)
        else:
            most_rss = max(most_rss, rss)
            assert rss <= warm_rss + RSS_GROWTH, f"RSS grew from {warm_rss} to {rss}"
        status = await server.status()
        assert status["callback_panics"] == 0 and status["outstanding"] <= BUFFERS, status
        await asyncio.sleep(1)
    return warm_rss, most_rss, most_descriptors


async def soak(server, minutes, seed):
    chance = random.Random(seed)
    while "test" not in {c["name"] for c in (await server.status())["channels"] if c["sequence"]}:
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    idle, deaths, visits = server.descriptors(), {}, {}
    end = time.monotonic() + 60 * minutes
    tasks = [asyncio.create_task(feed(server, c, chance, deaths)) for c in CHANNELS]
    while len([c for c in (await server.status())["channels"] if c["sequence"]]) <= len(CHANNELS):
        await asyncio.sleep(0.1)
    healthy = [Healthy(server, c) for c in ["test"] + CHANNELS for _ in range(HEALTHY)]
    tasks += [asyncio.create_task(viewer.run()) for viewer in healthy]
    tasks += [asyncio.create_task(misbehave(server, chance, visits)) for _ in range(HOSTILE)]
    watching = asyncio.create_task(watch(server, idle, end))
    # Any other that ends first has failed: clients run for ever.
    done, _ = await asyncio.wait([watching, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    assert watching in done, "a client ended"
    warm_rss, most_rss, most_descriptors = watching.result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    for viewer in healthy:
        assert viewer.frames > 60 * minutes * RATE / 4, f"{viewer.channel}: only {viewer.frames} frames"
    always_live = [viewer for viewer in healthy if viewer.channel == "test"]
    widest = max(viewer.widest for viewer in always_live)
    assert widest < WIDEST_GAP, f"a healthy viewer waited {widest:.2f} s for a frame"
    limit = time.monotonic() + 30
    while server.descriptors() != idle:
        assert time.monotonic() < limit, f"{server.descriptors()} descriptors left of clients, {idle} before"
        await asyncio.sleep(0.2)
    status = await server.status()
    print(f"frames to healthy viewers    {sum(v.frames for v in healthy)}, skipped {sum(v.skipped for v in healthy)}")
    print(f"widest gap, channel test     {widest:.2f} s (bound {WIDEST_GAP} s)")
    print(f"RSS                          {warm_rss >> 10} KiB warm, {most_rss >> 10} KiB at most after")
    print(f"descriptors                  {idle} idle, {most_descriptors} at most, {server.descriptors()} at the end")
    print(f"deaths of sources            {sum(deaths.values())}: {deaths}")
    print(f"visits of hostile viewers    {sum(visits.values())}: {visits}")
    print(f"samples taken                {status['acquired']}, viewers closed {status['closed_viewers']}")
    assert set(deaths) and set(visits) and status["closed_viewers"] > 0, "the clients were not hostile at all"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--server", required=True)
    arguments.add_argument("--minutes", type=float, default=1)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = arguments.parse_args()
    print(f"seed {arguments.seed}, {arguments.minutes} minutes", flush=True)
    server = Server(arguments.server)
    try:
        asyncio.run(soak(server, arguments.minutes, arguments.seed))
        server.process.send_signal(signal.SIGTERM)
        said, _ = server.process.communicate(timeout=30)
        print(said.strip())
        assert f"{BUFFERS} of {BUFFERS} samples were returned" in said, said
        assert server.process.returncode == 0, server.process.returncode
    finally:
        server.process.kill()
    print("soak: ok")


main()
