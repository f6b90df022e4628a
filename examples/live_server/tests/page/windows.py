"""Two windows of the page in one browser share its connections: both show something, and both are answered."""

from browser import Page

FILMS = 3
MOST_STREAMS = 3


def check_windows(browser, server):
    names = [f"film-{index}" for index in range(FILMS)]
    for name in names:
        server.film(name, "testsrc2", 440, "192x108")
    server.wait_live(*names)
    one = Page(browser, server.url)
    one.wait_for("all streams", lambda: streams(one) == MOST_STREAMS)
    other = Page(browser, server.url, beside=one)
    for page in (one, other):
        page.wait_for("its share of the streams", lambda page=page: streams(page) == MOST_STREAMS // 2)
        page.wait_for("a picture of each", lambda page=page: all(page.look(name) for name in names))
    before = [page.asked.count("/status") for page in (one, other)]
    one.pause(6)
    for page, asked in zip((one, other), before):
        assert page.asked.count("/status") - asked > 6, "the status is answered"
        assert not page.page.locator("#lost").is_visible(), "and the page knows it"
    other.close()
    one.wait_for("all streams, once it is alone", lambda: streams(one) == MOST_STREAMS)
    one.close()
    print("two windows share the connections, and one that is alone has them all")


def streams(page):
    return page.page.locator("[data-playing=stream]").count()
