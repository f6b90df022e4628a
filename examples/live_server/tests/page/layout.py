"""On a phone and on a desk, light and dark: everything is there, and nothing sticks out."""

from browser import DESKTOP, PHONE, Page

PARTS = ["h1", "#summary", "#channels", "#pool", "#free", "#chart", "#waits", "#viewers table", "#holders table",
         '[data-channel="concert"] video', '[data-channel="gate"] img', '[data-channel="concert"] .facts',
         *(f'[data-channel="concert"] button[data-action={action}]' for action in ("sound", "play", "fullscreen"))]

# What is wider than the window, and not in something that scrolls.
STICKS_OUT = """() => Array.from(document.body.querySelectorAll("*")).filter(element => {
  if (element.closest(".scroll, pre, .unseen, svg") && !element.matches(".scroll, pre, svg")) return false;
  const { left, right, width } = element.getBoundingClientRect();
  return width > 0 && (left < -0.5 || right > document.documentElement.clientWidth + 0.5);
}).map(element => element.outerHTML.slice(0, 100))"""
# From 0, black, to 1, white.
BRIGHTNESS = """() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}"""
# Cards side by side.
COLUMNS = "() => getComputedStyle(document.getElementById('channels')).gridTemplateColumns.split(' ').length"
MOVING = "() => document.getAnimations().filter(animation => animation.playState === 'running').length"


# How far each of the pool's figures is down, and how much wider each table is than its place.
FIGURES = "() => Array.from(document.querySelectorAll('#pool .numbers dd, #pool .figures dd, #chart'), " \
    "figure => figure.getBoundingClientRect().bottom)"
CUT = "() => Array.from(document.querySelectorAll('.scroll'), place => place.scrollWidth - place.clientWidth)"
NAME = "a-channel-with-a-name-as-long-32"
VIEWER = {"channel": NAME, "address": "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", "lag": 12345, "skipped": 123456,
          "holds": 65536000, "since": 123456.5}
HOLDER = {"where": "examples/live_server/src/ingest/mod.rs:123:45", "samples": 12345, "oldest": 123456.7, "bytes_used": 1 << 29,
          "bytes_pinned": 1 << 30, "handles": 123456}


def check_first_screen_and_tables(browser, server, work):
    """The pool's figures are what the page is for; a table of which a column is out of sight says nothing."""
    answers = {"viewers": {"all": 3, "viewers": [VIEWER] * 3}, "holders": {"call_sites": [HOLDER] * 3, "text": "-"}}

    def answer(page):
        for table in answers:
            page.route(f"**/{table}", lambda route, *, table=table: route.fulfill(json=answers[table]))

    for width, height in ((390, 844), (600, 844), (1000, 800), (1280, 800)):
        page = Page(browser, server.url, {"width": width, "height": height}, before=answer)
        page.wait_for("the tables", lambda: page.page.locator("#holders tbody tr").count() == 3)
        page.wait_for("the figures", lambda: page.page.locator("#free").inner_text().isdigit())
        lowest = max(page.evaluate(FIGURES))
        assert lowest <= height, f"{width} wide, the last figure of the pool is {lowest} down, out of {height}"
        assert max(page.evaluate(CUT)) <= 0, f"{width} wide, tables are cut: {page.evaluate(CUT)}"
        assert page.evaluate(STICKS_OUT) == [], page.evaluate(STICKS_OUT)
        cells = page.page.locator("#viewers tbody tr").first.locator("td, th")
        assert all(cells.nth(index).is_visible() for index in range(6)), "each cell is seen"
        page.page.screenshot(path=work / f"{width}-wide.png", full_page=True)
        page.close()


def check_layout(browser, server, work):
    check_first_screen_and_tables(browser, server, work)
    for device, viewport, columns in (("desktop", DESKTOP, 3), ("phone", PHONE, 1)):
        page = Page(browser, server.url, viewport)
        for scheme in ("light", "dark"):
            page.page.emulate_media(color_scheme=scheme)
            page.wait_for("films", lambda: page.playing("concert") == "stream" and page.look("concert"))
            page.wait_for("pictures", lambda: page.look("gate") and page.look("harbour"))
            for part in PARTS:
                page.wait_for(f"{part} is seen on a {scheme} {device}", page.page.locator(part).is_visible)
            width = page.evaluate("() => document.documentElement.scrollWidth")
            assert width <= viewport["width"], f"the page is {width} wide on a {device}"
            assert page.evaluate(STICKS_OUT) == [], page.evaluate(STICKS_OUT)
            brightness = page.evaluate(BRIGHTNESS)
            assert brightness > 0.9 if scheme == "light" else brightness < 0.1, f"{scheme}: {brightness}"
            assert page.evaluate(COLUMNS) == columns, f"{page.evaluate(COLUMNS)} columns on a {device}"
            page.page.screenshot(path=work / f"{device}-{scheme}.png", full_page=True)
        page.close()
    check_motion_is_spared(browser, server)
    print(f"360 and 1440 wide, light and dark: everything is there; screenshots are in {work}")


def check_motion_is_spared(browser, server):
    """A user who asks for less motion gets none but that of the films."""
    for motion, some in (("no-preference", True), ("reduce", False)):
        page = Page(browser, server.url, motion=motion)
        page.wait_for("films", lambda: page.playing("concert") == "stream")
        page.pause(0.5)
        assert (page.evaluate(MOVING) > 0) == some, f"{motion}: {page.evaluate(MOVING)} animations"
        page.close()
