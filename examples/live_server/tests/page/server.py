"""The live server, and ffmpeg in place of cameras and films."""

import json
import signal
import subprocess
import time
import urllib.request

# Of each fragment, in seconds; what "near live" means follows from it.
FRAGMENT = 1
RATE = 15

# How ffmpeg makes films live; all with sound.
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-c:a", "aac"]
HEVC = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-tag:v", "hvc1", "-c:a", "aac"]
VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8, "-c:a", "libopus"]
AV1 = ["-c:v", "libsvtav1", "-preset", 12, "-c:a", "libopus"]


def wait_for(what, holds, limit=15, every=0.1):
    """What `holds` says once it says something; it may be wrong, or fail to be asked, until then."""
    end = time.monotonic() + limit
    while True:
        said = holds()
        if said:
            return said
        assert time.monotonic() < end, f"waited {limit} s in vain: {what}; at last: {said!r}"
        time.sleep(every)


class Server:
    def __init__(self, target, listen="127.0.0.1:0", buffers=512):
        command = [target / "release/live_server", "--listen", listen, "--buffers", str(buffers)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url
        self.listens = self.url.removeprefix("http://")
        self.sources = []

    def json(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def channel(self, name):
        return next((channel for channel in self.json("/status")["channels"] if channel["name"] == name), None)

    def film(self, name, picture, tone, size="320x180", fragment=FRAGMENT, codec=H264, flags=""):
        """With a tone of so many hertz, as fragmented MP4."""
        rate = "" if "rate=" in picture else f"{':' if '=' in picture else '='}size={size}:rate={RATE}"
        # What must be known of AV1 is known once some of it is made.
        late = "+delay_moov" if codec is AV1 else ""
        return self._start(name, [
            "-re", "-f", "lavfi", "-i", picture + rate, "-re", "-f", "lavfi", "-i", f"sine=frequency={tone}",
            *codec, "-pix_fmt", "yuv420p", "-g", round(RATE * fragment),
            "-movflags", "frag_keyframe+empty_moov+default_base_moof" + late + flags, "-f", "mp4"])

    def two_languages(self, name, picture, tones):
        """A film with two tracks of sound, both AAC."""
        sounds = [argument for tone in tones for argument in ("-re", "-f", "lavfi", "-i", f"sine=frequency={tone}")]
        return self._start(name, [
            "-re", "-f", "lavfi", "-i", f"{picture}=size=192x108:rate={RATE}", *sounds, "-map", 0, "-map", 1, "-map", 2,
            *H264, "-pix_fmt", "yuv420p", "-g", RATE, "-movflags", "frag_keyframe+empty_moov+default_base_moof",
            "-f", "mp4"])

    def camera(self, name, picture, size="320x180"):
        """Motion JPEG."""
        rate = "" if "rate=" in picture else f"{':' if '=' in picture else '='}size={size}:rate={RATE}"
        return self._start(name, ["-re", "-f", "lavfi", "-i", picture + rate, "-q:v", 5, "-f", "mpjpeg"])

    def _start(self, name, arguments):
        # The time limit ends a source whose test was killed.
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", *map(str, arguments[:-2]), "-t", "300",
                   *map(str, arguments[-2:]), "-method", "POST", f"{self.url}/ingest/{name}"]
        source = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.sources.append(source)
        return source

    def wait_live(self, *names, live=True):
        for name in names:
            wait_for(f"{name} {'goes live' if live else 'is live no more'}",
                     lambda: (found := self.channel(name)) and found["live"] == live
                     and (found["sequence"] > 0 or not live))

    def kill(self):
        for source in self.sources:
            source.kill()
            source.wait()
        self.process.kill()
        self.process.wait()

    def end(self):
        """As a user ends it: all samples were returned, with viewers that still watch."""
        for source in self.sources:
            source.kill()
            source.wait()
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=20)
        assert "samples were returned" in said and self.process.returncode == 0, (said, self.process.returncode)
        return said.strip()
