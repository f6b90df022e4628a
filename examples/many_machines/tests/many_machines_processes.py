"""The machines of many_machines.py: each a process that can be killed and started again, on the same port."""

import http.client
import json
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """One of the machines."""

    def __init__(self, work, name, port, command):
        self.name, self.port, self.command = name, port, command
        self.said = work / f"{name}.txt"
        self.start()

    def start(self):
        with open(self.said, "a") as said:
            self.process = subprocess.Popen([str(word) for word in self.command], stdout=said, stderr=said)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0, f"{self.name} ended with {self.process.returncode}: {self.tail()}"

    def tail(self):
        return self.said.read_text()[-2000:]


class Broker(Process):
    def __init__(self, work):
        port = free_port()
        # With its own limits: a message is at most 1 MiB.
        super().__init__(work, "broker", port, ["nats-server", "--addr", "127.0.0.1", "--port", port])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        # Debian's says 1 when it was stopped.
        assert self.process.wait(15) in (0, 1), self.tail()


class Server(Process):
    def __init__(self, work, program, role, name, broker_port, buffers, size):
        self.buffers = buffers
        port = free_port()
        command = [program, role, "--nats", f"nats://127.0.0.1:{broker_port}", "--listen", f"127.0.0.1:{port}"]
        super().__init__(work, name, port, command + ["--buffers", buffers, "--size", size])

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body)
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, said

    def json(self, path):
        code, said = self.request("GET", path)
        assert code == 200, (code, said)
        return json.loads(said)

    def is_up(self):
        try:
            return self.request("GET", "/broker")[0] == 200
        except OSError:
            return False

    def channel(self, name):
        found = [channel for channel in self.json("/status")["channels"] if channel["name"] == name]
        return found[0] if found else None

    def end(self):
        super().end()
        assert f"{self.buffers} of {self.buffers} samples were returned" in self.tail(), f"{self.name}: {self.tail()}"


def wait_for(what, holds, limit=15):
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"waited {limit} s in vain: {what}"
        time.sleep(0.02)
