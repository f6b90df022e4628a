"""More channels than a browser has connections: every one moves, and the server still answers."""

import time

from browser import Page
from server import wait_for

FILMS = 5
CAMERAS = 5
MOST_STREAMS = 3
PICTURES = 4
SECONDS = 10
# Of four; the rest is for a busy machine with two cores.
FEWEST_ANSWERS_A_SECOND = 2
SHOWN = """() => Object.fromEntries(Array.from(document.querySelectorAll("#channels article"), card =>
  [card.dataset.channel, [card.dataset.kind, card.dataset.live, card.querySelector(".name").innerText]]))"""


def check_crowd(browser, server):
    films = [f"film-{index}" for index in range(FILMS)]
    cameras = [f"camera-{index}" for index in range(CAMERAS)]
    for name in films:
        server.film(name, "testsrc2", 440, "192x108")
    for name in cameras:
        server.camera(name, "testsrc2", "192x108")
    server.wait_live(*films, *cameras)
    page = Page(browser, server.url)
    seen = {name: [] for name in films + cameras}
    page.wait_for("a card for each", lambda: all(page.card(name).count() == 1 for name in seen))
    page.pause(1)
    before, begun, most = page.asked.count("/status"), time.monotonic(), 0

    def all_moved():
        nonlocal most
        for name, pictures in seen.items():
            picture = page.look(name)
            if picture and picture not in pictures:
                pictures.append(picture)
        most = max(most, page.page.locator("[data-playing=stream]").count())
        return all(len(pictures) >= PICTURES for pictures in seen.values())

    wait_for(f"{PICTURES} pictures of each", lambda: page.pause(0.1) or all_moved(), SECONDS * 2, every=0)
    page.pause(1)
    playing = {name: page.playing(name) for name in seen}
    assert most == MOST_STREAMS, f"{most} streams at a time"
    # The server's own test pattern may have one of them.
    assert list(playing.values()).count("stream") >= MOST_STREAMS - 1, playing
    assert {playing[name] for name in films} <= {"stream", "glimpse"}, playing
    assert {playing[name] for name in cameras} <= {"stream", "still"}, playing
    rate = (page.asked.count("/status") - before) / (time.monotonic() - begun)
    assert rate >= FEWEST_ANSWERS_A_SECOND, f"the status is asked for {rate:.1f} times a second"
    shown = page.evaluate(SHOWN)
    for name in seen:
        assert shown[name] == ["mp4" if name in films else "jpeg", "true", name], shown
    assert sum(path.endswith("?limit=1") for path in page.asked) > 0, "fragments one at a time"
    # Sound is chosen: that film gets a stream in place of another.
    chosen = next(name for name in films if playing[name] == "glimpse")
    page.button(chosen, "sound").click()
    page.wait_for("the chosen one streams", lambda: page.playing(chosen) == "stream")
    page.wait_advance(chosen, 2)
    assert page.page.locator("[data-playing=stream]").count() <= MOST_STREAMS
    page.close()
    fewest = min(len(pictures) for pictures in seen.values())
    print(f"{len(seen)} channels, {most} of them streams: each showed {fewest} pictures or more")
