"""The live server's page in a real Chromium. Called by scripts/page with the target directory."""

import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from browser import launch
from crowd import check_crowd
from figures import check_figures, check_server_away
from fragments import check_fragments
from holes import check_holes
from keeping import Keeping
from languages import check_languages
from layout import check_layout
from other_codecs import check_codecs
from picture import draw
from playing import check_playing
from reach import check_reach
from server import Server
from windows import check_windows

TARGET = Path(sys.argv[1]).resolve()
WORK = TARGET / "page"
PICTURE = Path(__file__).resolve().parents[2] / "live_server.png"


def with_server(check):
    server = Server(TARGET)
    try:
        check(server)
        server.end()
    finally:
        server.kill()


def with_channels(browser):
    """What needs a few channels."""
    def check(server):
        concert = server.film("concert", "testsrc2", 440)
        server.film("harbour", "mandelbrot", 880)
        gate = server.camera("gate", "rgbtestsrc=size=320x180:rate=15,hue=H=2*t")
        server.wait_live("concert", "harbour", "gate")
        keeping = Keeping(browser, server, "harbour", ("concert", "gate", "test"))
        for step in (lambda: check_layout(browser, server, WORK), lambda: check_reach(browser, server),
                     lambda: check_figures(browser, server), keeping.check,
                     lambda: check_playing(browser, server, concert, gate)):
            step()

    with_server(check)


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if sys.argv[2:] == ["--picture"]:
            with_server(lambda server: draw(browser, server, PICTURE))
            return
        assert not sys.argv[2:], f"unknown: {sys.argv[2:]}"
        with_channels(browser)
        with_server(lambda server: check_crowd(browser, server))
        with_server(lambda server: check_holes(browser, server))
        with_server(lambda server: check_fragments(browser, server))
        with_server(lambda server: check_codecs(browser, server))
        with_server(lambda server: check_languages(browser, server))
        with_server(lambda server: check_windows(browser, server))
        check_server_away(browser, TARGET)
        browser.close()
    print(f"took {time.monotonic() - begun:.0f} s")


main()
