"""Fragments of all lengths: what is played neither jumps nor stands still, whatever the next one's length."""

from browser import Page
from server import H264

LONG, SHORT = 4, 0.4
SECONDS = 90
# Between two looks a film that is played goes on by so much at most, and looks take time as well.
LOOK = 0.1
JUMP = 1.0
WATCHED = 14
INTRA = "testsrc2=size=192x108:rate=30"


def cuts():
    """When a key frame is asked for: after a long fragment comes a short one."""
    begins = [pair * (LONG + SHORT) for pair in range(int(SECONDS / (LONG + SHORT)))]
    return [time for begin in begins for time in (begin, begin + LONG)]


def check_fragments(browser, server):
    uneven = [*H264, "-sc_threshold", 0, "-force_key_frames", ",".join(f"{time:.3f}" for time in cuts())]
    server.film("uneven", "testsrc2", 440, "192x108", SECONDS, uneven)
    # Each picture is a fragment, as cameras do it that have no other pictures.
    server.film("intra", INTRA, 440, fragment=1 / 15)
    server.wait_live("uneven", "intra")
    page = Page(browser, server.url)
    check_short(page)
    check_uneven(page)
    page.close()


def check_short(page):
    page.wait_advance("intra", 2)
    video = page.video("intra")
    assert 0 <= video["end"] - video["time"] < 2, f"it is shown as it comes: {video}"
    page.wait_for("the page knows how far behind it is", lambda: "behind" in page.card("intra").inner_text())


def check_uneven(page):
    page.wait_advance("uneven", LONG + SHORT, 3 * LONG)
    begun = before = page.video("uneven")["time"]
    jump = 0
    for _ in range(int(WATCHED / LOOK)):
        page.pause(LOOK)
        now = page.video("uneven")["time"]
        jump, before = max(jump, abs(now - before)), now
    assert jump < JUMP, f"it jumped by {jump:.1f} s"
    assert before - begun > WATCHED * 0.9, f"in {WATCHED} s only {before - begun:.1f} s were played"
    print(f"fragments of {LONG} and {SHORT} s, and of a picture each, are played without a jump or a halt")
