"""Films of other codecs than that of all other tests: played, or said to be what this browser cannot play."""

from browser import Page
from playing import LISTEN, hears
from server import AV1, HEVC, VP9

TONE = 660
# What the name in the source's init segment begins with, and whether any Chromium plays it.
FILMS = {"av1": (AV1, "av01.", True), "vp9": (VP9, "vp09.", True), "hevc": (HEVC, "hvc1.", False)}

MOST_TRIED = 6
# Whatever it says, this is what it does.
REALLY_PLAYS = """type => new Promise(resolve => {
  const source = new MediaSource();
  source.onsourceopen = () => { try { source.addSourceBuffer(type); resolve(true); } catch { resolve(false); } };
  document.createElement("video").src = URL.createObjectURL(source);
})"""


def check_codecs(browser, server):
    for name, (codec, _, _) in FILMS.items():
        server.film(name, "testsrc2", TONE, "192x108", codec=codec)
    server.wait_live(*FILMS)
    page = Page(browser, server.url)
    played = [check_film(page, server, name, begins, always) for name, (_, begins, always) in FILMS.items()]
    page.close()
    check_empty_promise(browser, server)
    print(f"of {', '.join(FILMS)} this browser plays {sum(played)}, and the page says so of the rest")


def check_empty_promise(browser, server):
    """A browser that claims to play what it cannot: it is tried a few times, less and less often, and then said."""
    claim = "MediaSource.isTypeSupported = () => true"
    page = Page(browser, server.url, before=lambda page: page.add_init_script(claim))
    if not page.evaluate(REALLY_PLAYS, server.channel("hevc")["media_type"]):
        said = page.card("hevc").locator(".unsupported")
        page.wait_for("it says so", said.is_visible)
        tried = sum(path.startswith("/live/hevc") for path in page.asked)
        assert 0 < tried <= MOST_TRIED, f"fetched {tried} times"
        page.pause(3)
        assert sum(path.startswith("/live/hevc") for path in page.asked) == tried, "and is fetched no more"
    page.close()


def check_film(page, server, name, begins, always):
    media_type = server.channel(name)["media_type"]
    assert begins in media_type, media_type
    plays = page.evaluate("type => MediaSource.isTypeSupported(type)", media_type)
    assert plays or not always, media_type
    if plays:
        page.wait_advance(name, 2)
        page.evaluate(LISTEN, name)
        page.button(name, "sound").click()
        page.wait_for(f"the tone of {name}", lambda: hears(page, name, TONE))
    else:
        said = page.card(name).locator(".unsupported")
        page.wait_for("it says so", said.is_visible)
        assert media_type in said.inner_text(), said.inner_text()
    return plays
