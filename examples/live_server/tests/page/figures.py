"""The pool, the viewers and the holders, as the page shows them; and a server that is away."""

import json

from browser import Page
from server import Server

POINTS = "line => document.querySelector(`#chart polyline.${line}`).getAttribute('points') ?? ''"
BARS = """() => Array.from(document.querySelectorAll("#waits [data-count]"), place => ({
  count: Number(place.dataset.count), width: place.querySelector("rect").getBoundingClientRect().width,
  row: place.closest("tr").innerText.split(/\\s+/).join(" ").trim() }))"""
CELLS = """section => Array.from(document.querySelectorAll(`#${section} table tr`),
  row => Array.from(row.cells, cell => cell.innerText))"""

# Of each: the longest wait of it in seconds, and how many gets waited so long.
WAITS = [(4e-5, 4), (6e-5, 4), (0.5, 2)]
# An answer for each table, and what is to be seen of it: who watches has no say in what the page is made of.
VIEWER = {"channel": "<b>concert", "address": "192.0.2.7:5000", "lag": 3, "skipped": 4, "holds": 65536, "since": 75.5}
VIEWERS = [["Channel", "Address", "Lag", "Skipped", "Holds", "Watching"],
           ["<b>concert", "192.0.2.7:5000", "3", "4", "64 KiB", "1 min 15 s"]]
HOLDER = {"where": "examples/live_server/src/ingest.rs:123:45", "samples": 5, "oldest": 0.12, "bytes_used": 1536,
          "bytes_pinned": 4096, "handles": 7}
HOLDERS = [["Where", "Samples", "Oldest", "Bytes", "Handles"], ["ingest.rs:123:45", "5", "120 ms", "1.5 KiB", "7"]]
REPORT = "5 samples\n  of <i>all"


def number(page, name):
    return page.page.locator(f"#{name}").inner_text()


def rows(page, section):
    return page.page.locator(f"#{section} table tbody tr").all_inner_texts()


def heights(points):
    return [float(point.split(",")[1]) for point in points.split()]


def check_chart(page):
    # So that it is no first point that is waited for.
    page.wait_for("ten points", lambda: len(heights(page.evaluate(POINTS, "outstanding"))) >= 10)
    before, drawn = page.evaluate(POINTS, "outstanding"), page.page.locator("#chart").screenshot()
    page.wait_for("the chart moves", lambda: page.evaluate(POINTS, "outstanding") != before and
                  page.page.locator("#chart").screenshot() != drawn)
    assert len(heights(page.evaluate(POINTS, "outstanding"))) > len(heights(before)), "a point for every answer"
    assert page.page.locator("#chart").get_attribute("aria-label").startswith("Line chart of the last minute. Outst")


def check_numbers(page, server):
    """Free and outstanding are all buffers, and the tables show what the server sent."""
    for name in ("free", "outstanding", "waiting"):
        page.wait_for(name, lambda: number(page, name).isdigit())
    both = page.evaluate("() => ['free', 'outstanding'].map(name => Number(document.getElementById(name).innerText))")
    assert sum(both) == server.json("/status")["buffers"], both
    page.wait_for("a row for each stream", lambda: len(rows(page, "viewers")) >= 3)
    addresses = {viewer["address"] for viewer in server.json("/viewers")["viewers"]}
    page.wait_for("their addresses", lambda: any(address in "\n".join(rows(page, "viewers")) for address in addresses))
    page.wait_for("the lines that hold samples", lambda: any(".rs:" in row for row in rows(page, "holders")))


def check_what_is_drawn(browser, server):
    """With a status that is known, what is drawn of it is known."""
    def other(route):
        status = json.loads(route.fetch().text())
        status |= {"outstanding": 96, "free": 32, "waiting": 24, "waited": 10, "max_wait": 0.4,
                   "wait_histogram": [{"up_to": up_to, "count": count} for up_to, count in WAITS]}
        route.fulfill(json=status)

    page = Page(browser, server.url, before=lambda page: page.route("**/status", other))
    page.wait_for("those who wait", lambda: number(page, "waiting") == "24")
    counts = page.wait_for("the waits", lambda: [bar for bar in page.evaluate(BARS) if bar["count"] > 0])
    assert [bar["count"] for bar in counts] == [8, 2], counts
    assert counts[0]["row"].endswith("8") and "100 µs" in counts[0]["row"], counts
    assert counts[1]["row"].endswith("2") and "1 s" in counts[1]["row"], counts
    wider = counts[0]["width"] / counts[1]["width"]
    assert abs(wider - 4) < 0.3, f"four times as many are four times as wide: {counts}"
    page.pause(1)
    out, waiting = (heights(page.evaluate(POINTS, line)) for line in ("outstanding", "waiting"))
    below = 100 - out[-1], 100 - waiting[-1]
    assert abs(below[0] / below[1] - 4) < 0.1, f"96 are four times as high as 24: {below}"
    page.close()


def check_tables(browser, server):
    """What is shown of viewers and holders stands in the column of it; and where there is none, that is said."""
    answers = {"viewers": {"all": 1234, "viewers": [VIEWER]}, "holders": {"call_sites": [HOLDER], "text": REPORT}}

    def answer(page):
        for table in answers:
            page.route(f"**/{table}", lambda route, *, table=table: route.fulfill(json=answers[table]))

    page = Page(browser, server.url, before=answer)
    for table, cells in (("viewers", VIEWERS), ("holders", HOLDERS)):
        page.wait_for(f"a row of {table}", lambda: len(page.evaluate(CELLS, table)) == 2)
        assert page.evaluate(CELLS, table) == cells, page.evaluate(CELLS, table)
    count = page.page.locator("#viewers .count").inner_text()
    assert count == "1,234, the first 1", f"not all are shown: {count}"
    page.page.locator("#holders summary").click()
    assert page.page.locator("#report").inner_text() == REPORT, page.page.locator("#report").inner_text()
    answers["viewers"] = {"all": 0, "viewers": []}
    answers["holders"] = {"call_sites": [], "text": ""}
    for table in answers:
        page.wait_for(f"no row of {table}", lambda: len(page.evaluate(CELLS, table)) == 1)
        assert page.page.locator(f"#{table} .none").is_visible(), f"that there are no {table} is said"
    page.close()


def check_before_the_first_answer(browser, server):
    """What is not known is not said: it said "Nothing is out" beside 17 that were outstanding."""
    sections = {"status": "pool", "viewers": "viewers", "holders": "holders"}
    answered, held = set(), []

    def hold(page):
        for path in sections:
            # Each is answered when its turn comes, and until then not at all.
            page.route(f"**/{path}", lambda route, *, path=path: route.continue_() if path in answered else held.append((path, route)))

    def answer(path):
        answered.add(path)
        for _, route in [(of, route) for of, route in held if of == path]:
            route.continue_()
        held[:] = [(of, route) for of, route in held if of != path]

    def says(section):
        said = page.page.locator(f"#{section} :is(dd, .count, .none, td, .plot span):visible").all_inner_texts()
        return "".join(said)

    page = Page(browser, server.url, before=hold)
    page.wait_for("it asks", lambda: {"/status", "/viewers"} <= set(page.asked))
    # The pool is known before the viewers, and those before the holders.
    for path in (None, *sections):
        if path:
            answer(path)
            page.wait_for(f"what {path} says", lambda: set(says(sections[path])) - {"–", " "})
        for unknown, section in sections.items():
            if unknown not in answered:
                assert not set(says(section)) - {"–", " "}, f"before the answer of {unknown} {section} says {says(section)}"
                assert page.page.locator(f"#{section} :is(.none, .scroll):visible").count() == 0, (path, section)
    # Not `close`, which waits for all answers.
    page.context.close()


def check_hidden(page):
    """A page that is not seen sends no requests."""
    page.hide(True)
    page.pause(0.6)
    before = len(page.asked)
    page.pause(1.5)
    assert page.asked[before:] == [], f"asked while the page was hidden: {page.asked[before:]}"
    page.hide(False)
    page.wait_for("it asks again", lambda: page.asked[before:].count("/status") >= 2)
    page.wait_advance("concert", 1)


def check_figures(browser, server):
    page = Page(browser, server.url)
    check_numbers(page, server)
    check_chart(page)
    check_hidden(page)
    page.close()
    check_before_the_first_answer(browser, server)
    check_what_is_drawn(browser, server)
    check_tables(browser, server)
    print("the pool's chart moves and is to scale, waits are counted, viewers and holders are named")


def check_server_away(browser, target):
    """The page says that the server is gone, and shows what there is as soon as it is back."""
    server = Server(target)
    try:
        server.film("concert", "testsrc2", 440)
        server.wait_live("concert")
        page = Page(browser, server.url)
        page.wait_advance("concert")
        assert not page.page.locator("#lost").is_visible()
        assert page.problems == [], page.problems
        said = server.end()
        page.wait_for("it says so", lambda: page.page.locator("#lost").is_visible())
        assert page.page.locator("#lost").get_attribute("role") == "status"
        assert page.card("concert").get_attribute("data-live") == "false", "it is not known to be live"
        server = Server(target, server.listens)
        server.film("concert", "testsrc2", 440)
        server.wait_live("concert")
        page.wait_for("all is well", lambda: not page.page.locator("#lost").is_visible())
        page.wait_for("the film is there", lambda: page.playing("concert") == "stream")
        page.wait_advance("concert")
        # The browser says what could not be reached, or was not there before its source was; the rest is not forgiven.
        forgiven = ("net::ERR_", f"404: {server.url}/live/concert", "status of 404")
        page.problems = [said for said in page.problems if not any(reason in said for reason in forgiven)]
        page.close()
    finally:
        server.kill()
    print(f"a server that ends and comes again: the page says so, and goes on; {said}")
