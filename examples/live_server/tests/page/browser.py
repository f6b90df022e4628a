"""A real Chromium, a page in it, and what is seen there."""

from server import RATE, wait_for

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]
DESKTOP = {"width": 1440, "height": 1000}
PHONE = {"width": 360, "height": 740}

# A small picture of what a card shows now, as a text; nothing while there is nothing.
LOOK = """name => {
  const shown = document.querySelector(`[data-channel="${name}"] :is(video, .screen > img)`);
  // What has no size has no picture yet.
  if (!shown || !(shown.videoWidth ?? shown.naturalWidth)) return "";
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
  const context = canvas.getContext("2d");
  context.drawImage(shown, 0, 0, 64, 36);
  return Array.from(context.getImageData(0, 0, 64, 36).data).join();
}"""
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
VIDEO = """name => {
  const video = document.querySelector(`[data-channel="${name}"] video`);
  const { buffered } = video;
  return { time: video.currentTime, end: buffered.length ? buffered.end(buffered.length - 1) : 0, muted: video.muted,
    width: video.videoWidth, paused: video.paused, decoded: video.webkitAudioDecodedByteCount,
    frames: video.getVideoPlaybackQuality().totalVideoFrames };
}"""


def launch(playwright):
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class Page:
    """A page that notes all that goes wrong on it."""

    def __init__(self, browser, url, viewport=DESKTOP, scheme="light", before=None, motion="no-preference",
                 beside=None):
        """In a browser's profile of its own, or `beside` another page."""
        self.own = beside is None
        self.context = browser.new_context(
            viewport=viewport, color_scheme=scheme, reduced_motion=motion) if self.own else beside.context
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.problems = []
        self.page.on("console", lambda message: self._said(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)
        self.asked = []
        self.foreign = []
        if before:
            before(self.page)
        self.url = url
        self.page.goto(url)

    def _said(self, kind, text):
        if kind in ("error", "warning"):
            self.problems.append(f"console: {kind}: {text}")

    def _failed(self, request):
        path = request.url.removeprefix(self.url)
        # A stream has no end but this: the page drops it when another one shall have its connection.
        if path.startswith("/live/") and request.failure == "net::ERR_ABORTED":
            return
        self.problems.append(f"failed: {request.url}: {request.failure}")

    def _asked(self, request):
        self.asked.append(request.url.removeprefix(self.url))
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.foreign.append(request.url)

    def _answered(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def evaluate(self, *arguments):
        return self.page.evaluate(*arguments)

    def pause(self, seconds):
        """Lets the page go on: what it says arrives only while somebody waits for it."""
        self.page.wait_for_timeout(seconds * 1000)

    def wait_for(self, what, holds, limit=15):
        return wait_for(what, lambda: holds() or self.pause(0.1), limit, every=0)

    def card(self, name):
        return self.page.locator(f'[data-channel="{name}"]')

    def button(self, name, action):
        return self.card(name).locator(f"button[data-action={action}]")

    def playing(self, name):
        return self.card(name).get_attribute("data-playing")

    def look(self, name):
        return self.evaluate(LOOK, name)

    def video(self, name):
        return self.evaluate(VIDEO, name)

    def wait_advance(self, name, seconds=1.0, limit=20):
        """Waits until the video has been played on for so long, and shows another picture.

        One that is paused and sent from one fragment to the next gets there as well, with few frames on its way.
        """
        picture = self.wait_for(f"a picture of {name}", lambda: self.look(name))
        first = self.video(name)
        self.wait_for(f"{name} goes on from {first}", lambda: self.look(name) != picture and
                      (now := self.video(name))["time"] - first["time"] > seconds and not now["paused"] and
                      now["frames"] - first["frames"] > seconds * RATE / 3, limit)

    def hide(self, hidden):
        """As when another page is looked at in its place."""
        self.evaluate(HIDE, hidden)

    def drawn(self, selector):
        """What is on the screen there, without what stands on the edges of it."""
        self.page.locator(selector).scroll_into_view_if_needed()
        box = self.page.locator(selector).bounding_box()
        middle = {"x": box["x"] + box["width"] * 0.1, "y": box["y"] + box["height"] * 0.3,
                  "width": box["width"] * 0.8, "height": box["height"] * 0.5}
        return self.page.screenshot(clip=middle)

    def close(self):
        """Nothing went wrong all the while, and nothing was asked of anybody else."""
        # An answer that is being made up for a page that is gone would fail in the midst of another check.
        self.page.unroute_all(behavior="wait")
        # What breaks off with the page itself is no failure.
        problems, foreign = list(self.problems), list(self.foreign)
        if self.own:
            self.context.close()
        else:
            self.page.close()
        assert not problems, "\n".join(problems[:10])
        assert not foreign, foreign
