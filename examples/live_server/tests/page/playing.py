"""Films and pictures move, sound is heard, and what is shown stays near live."""

from browser import Page
from server import FRAGMENT

# The newest fragment is whole, the one before it may be in the play; the rest is for a busy machine with two cores.
FURTHEST_BEHIND = 2.5 * FRAGMENT + 1.0

FIND = """name => document.querySelector(`[data-channel="${name}"] video`)"""
# What is heard of a video, in hertz and from 0 to 1: the strongest tone of it.
LISTEN = """name => {
  const video = document.querySelector(`[data-channel="${name}"] video`);
  const sound = new AudioContext();
  const ears = new AnalyserNode(sound, { fftSize: 8192 });
  sound.createMediaElementSource(video).connect(ears).connect(sound.destination);
  (window.ears ??= {})[name] = ears;
}"""
HEARD = """async name => {
  const ears = window.ears[name];
  await ears.context.resume();
  const samples = new Float32Array(ears.fftSize);
  ears.getFloatTimeDomainData(samples);
  const tones = new Float32Array(ears.frequencyBinCount);
  ears.getFloatFrequencyData(tones);
  const strongest = tones.indexOf(Math.max(...tones));
  return { loud: Math.max(...samples.map(Math.abs)), tone: strongest * ears.context.sampleRate / ears.fftSize };
}"""


def hears(page, name, tone):
    heard = page.evaluate(HEARD, name)
    return heard["loud"] > 0.02 and abs(heard["tone"] - tone) < 15


def silent(page, name):
    return page.evaluate(HEARD, name)["loud"] < 1e-4


def check_motion(page):
    for name, shown in (("concert", "video"), ("gate", "img")):
        screen = f'[data-channel="{name}"] {shown}'
        page.wait_for(f"{name} streams", lambda: page.playing(name) == "stream" and page.look(name))
        first = page.drawn(screen)
        page.wait_for(f"{name} moves on the screen", lambda: page.drawn(screen) != first)
        # The same screenshots of what does not move are the same: so the above says something.
        page.button(name, "play").click()
        assert page.button(name, "play").get_attribute("aria-label").startswith("Play"), "the label says what it does"
        page.pause(1)
        still = page.drawn(screen)
        page.pause(1)
        assert page.drawn(screen) == still, f"{name} moves though it is paused"
        page.button(name, "play").click()
        page.wait_for(f"{name} moves again", lambda: page.drawn(screen) != still)
    page.wait_advance("concert", 2)
    assert page.video("concert")["muted"], "sound was not asked for"


def check_near_live(page):
    """All the while, and again soon, whatever made it late."""
    worst = 0
    for _ in range(30):
        page.pause(0.1)
        video = page.video("concert")
        worst = max(worst, video["end"] - video["time"])
    assert worst < FURTHEST_BEHIND, f"{worst:.2f} s behind"
    check_catching_up(page)
    return worst


def check_catching_up(page):
    """A film that is a little behind is played faster for a while; one that is far behind, or was paused, jumps."""
    set_back = f"() => {{ const video = ({FIND})('concert'); video.currentTime -= %s; }}"
    rate = f"() => ({FIND})('concert').playbackRate"
    page.evaluate(set_back % 1.2)
    page.wait_for("it is played faster", lambda: page.evaluate(rate) > 1)
    page.wait_for("near live, at its own pace", lambda: is_near(page) and page.evaluate(rate) == 1, 20)
    page.evaluate(set_back % 5)
    page.wait_for("far behind", lambda: not is_near(page), 2)
    # No player is so fast that it could be there by then.
    page.wait_for("near live at once", lambda: is_near(page), 3)
    page.button("concert", "play").click()
    page.pause(4)
    assert page.video("concert")["paused"], "it is paused"
    page.button("concert", "play").click()
    page.wait_advance("concert", 1)
    page.wait_for("near live again", lambda: is_near(page))


def is_near(page):
    video = page.video("concert")
    return 0 <= video["end"] - video["time"] < FURTHEST_BEHIND


def check_sound(page):
    for name in ("concert", "harbour"):
        page.evaluate(LISTEN, name)
    page.pause(0.5)
    assert silent(page, "concert") and silent(page, "harbour"), "muted means silent"
    before = page.video("concert")["decoded"]
    page.button("concert", "sound").click()
    assert page.button("concert", "sound").get_attribute("aria-pressed") == "true", "the button says that it is on"
    page.wait_for("the tone of the concert", lambda: hears(page, "concert", 440))
    page.wait_for("more sound decoded", lambda: page.video("concert")["decoded"] > before)
    page.button("harbour", "sound").click()
    page.wait_for("the tone of the harbour", lambda: hears(page, "harbour", 880))
    assert page.video("concert")["muted"], "one at a time"
    assert page.button("concert", "sound").get_attribute("aria-pressed") == "false"
    page.button("harbour", "sound").click()
    page.wait_for("silence", lambda: silent(page, "harbour"))


def check_background(page):
    """The page is hidden, but a user listens: it is looked after all the same, and what is not heard is given up."""
    page.button("concert", "sound").click()
    page.wait_for("the tone of the concert", lambda: hears(page, "concert", 440))
    page.hide(True)
    page.pause(0.6)
    before = page.asked.count("/status")
    page.wait_for("the status is asked for", lambda: page.asked.count("/status") >= before + 3, 5)
    assert (page.playing("concert"), page.playing("harbour")) == ("stream", "glimpse"), "only what is heard streams"
    page.wait_for("it is heard on", lambda: hears(page, "concert", 440), 5)
    page.hide(False)
    page.button("concert", "sound").click()
    page.wait_for("silence", lambda: silent(page, "concert"))


def check_recovery(page, server, concert, gate):
    """A source that is killed and comes again is shown again, without help; as is one that sends another film."""
    gate.kill()
    server.wait_live("gate", live=False)
    page.wait_for("the page says so", lambda: page.card("gate").get_attribute("data-live") == "false")
    page.pause(0.5)
    last = page.look("gate")
    server.camera("gate", "testsrc2")
    page.wait_for("the gate moves again", lambda: page.look("gate") != last)
    for size, width in (("320x180", 320), ("384x216", 384)):
        concert.kill()
        server.wait_live("concert", live=False)
        page.wait_for("the page says so", lambda: page.card("concert").get_attribute("data-live") == "false")
        concert = server.film("concert", "testsrc2", 440, size)
        server.wait_live("concert")
        page.wait_for(f"a film {width} wide", lambda: page.video("concert")["width"] == width)
        page.wait_advance("concert", 1.5)
        page.wait_for("near live", lambda: is_near(page))


def check_unsupported(browser, server):
    """A browser that cannot play a film says so, with its codecs, and shows everything else."""
    refuse = "MediaSource.isTypeSupported = () => false"
    page = Page(browser, server.url, before=lambda page: page.add_init_script(refuse))
    said = page.card("concert").locator(".unsupported")
    page.wait_for("it says so", lambda: said.is_visible())
    assert server.channel("concert")["media_type"] in said.inner_text(), said.inner_text()
    assert page.playing("concert") == "unsupported", page.playing("concert")
    picture = page.wait_for("a picture of the gate", lambda: page.look("gate"))
    page.wait_for("the gate moves", lambda: page.look("gate") != picture)
    assert not any(path.startswith("/live/concert") for path in page.asked), "nothing that cannot be played is fetched"
    page.close()


def check_playing(browser, server, concert, gate):
    page = Page(browser, server.url)
    check_motion(page)
    worst = check_near_live(page)
    check_sound(page)
    check_background(page)
    check_recovery(page, server, concert, gate)
    page.close()
    check_unsupported(browser, server)
    print("films and pictures move; tones of 440 and 880 Hz are heard")
    print(f"  with fragments of {FRAGMENT} s, at most {worst:.1f} s behind; a codec that cannot be played is named")
    print("  a source that comes again is shown again, without help")
