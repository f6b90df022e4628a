"""Fragments of all lengths: what is played neither jumps nor stands still, whatever the next one's length."""

import time

from browser import Page
from playing import LISTEN, hears
from server import H264

LONG, SHORT = 4, 0.4
SECONDS = 90
LOOK = 0.1
# So much more or less than the time between two looks is no play.
JUMP = 1.0
WATCHED = 14
TONE = 550
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
    # Each track has fragments of its own, and both begin at the same times: 8 pictures last as long as 15 frames of sound.
    apart = [*H264, "-ar", 48000]
    server.film("apart", "testsrc2=size=192x108:rate=25", TONE, fragment=8 / 15, codec=apart, flags="+separate_moof")
    server.wait_live("uneven", "intra", "apart")
    page = Page(browser, server.url)
    # There are connections for three.
    page.wait_for("a card for each", lambda: page.card("test").count())
    page.button("test", "play").click()
    check_apart(page)
    check_short(page)
    check_uneven(page)
    page.close()


def check_apart(page):
    page.wait_advance("apart", 3)
    page.evaluate(LISTEN, "apart")
    page.button("apart", "sound").click()
    page.wait_for("its tone", lambda: hears(page, "apart", TONE))


def check_short(page):
    page.wait_advance("intra", 2)
    page.wait_for("it is shown as it comes", lambda: 0 <= (now := page.video("intra"))["end"] - now["time"] < 2)
    page.wait_for("the page knows how far behind it is", lambda: "behind" in page.card("intra").inner_text())


def check_uneven(page):
    page.wait_advance("uneven", LONG + SHORT)
    begun = before = page.video("uneven")["time"]
    looked = time.monotonic()
    jump = 0
    for _ in range(int(WATCHED / LOOK)):
        page.pause(LOOK)
        now, at = page.video("uneven")["time"], time.monotonic()
        # However long a look takes, so much is played meanwhile.
        jump = max(jump, abs(now - before) - (at - looked))
        before, looked = now, at
    assert jump < JUMP, f"it jumped by {jump:.1f} s"
    assert before - begun > WATCHED * 0.9, f"in {WATCHED} s only {before - begun:.1f} s were played"
    print(f"fragments of {LONG} and {SHORT} s, and of a picture each, are played without a jump or a halt")
