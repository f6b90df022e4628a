"""A film with two tracks of sound, both AAC: the browser wants an entry for each in the media type, or refuses it."""

from browser import Page
from playing import LISTEN, hears

TONES = (440, 880)


def check_languages(browser, server):
    server.two_languages("languages", "testsrc2", TONES)
    server.wait_live("languages")
    media_type = server.channel("languages")["media_type"]
    assert media_type.count("mp4a.40.2") == len(TONES), media_type
    page = Page(browser, server.url)
    page.wait_advance("languages", 2)
    page.evaluate(LISTEN, "languages")
    page.button("languages", "sound").click()
    page.wait_for("the tone of the first", lambda: hears(page, "languages", TONES[0]))
    page.close()
    print(f"a film with two tracks of sound plays as {media_type}")
