"""What was played is thrown away in time, and a browser that has no more room for a film is given some."""

from browser import Page
from server import FRAGMENT

# As film.js has it, in seconds: with so much behind it, a film is cut.
THROWN_AWAY_AT = 20
# Of each film the browser takes so much, once; it has room again when something was removed.
ROOM = 4
# Longer than it takes to see that nothing is thrown away.
LONG = ROOM + THROWN_AWAY_AT + 3 * FRAGMENT

FULL_ONCE = """
  const { createObjectURL } = URL;
  const { addSourceBuffer } = MediaSource.prototype;
  const { appendBuffer, remove } = SourceBuffer.prototype;
  const addresses = new Map();
  // What happened to each film, by the address that its video has for it.
  window.kept = {};
  URL.createObjectURL = source => {
    const address = createObjectURL.call(URL, source);
    addresses.set(source, address);
    return address;
  };
  MediaSource.prototype.addSourceBuffer = function(type) {
    const buffer = addSourceBuffer.call(this, type);
    buffer.kept = window.kept[addresses.get(this)] = { refused: 0, removed: 0 };
    return buffer;
  };
  SourceBuffer.prototype.appendBuffer = function(bytes) {
    const { buffered, kept } = this;
    const full = buffered.length > 0 && buffered.end(buffered.length - 1) - buffered.start(0) > ROOM;
    if (full && kept.removed === 0) {
      kept.refused += 1;
      throw new DOMException("full", "QuotaExceededError");
    }
    appendBuffer.call(this, bytes);
  };
  SourceBuffer.prototype.remove = function(start, end) {
    this.kept.removed += 1;
    remove.call(this, start, end);
  };
""".replace("ROOM", str(ROOM))
HELD = """name => {
  const { buffered, currentTime: time, src } = document.querySelector(`[data-channel="${name}"] video`);
  return { ...window.kept[src], src, time, begins: buffered.length > 0 ? buffered.start(0) : time };
}"""


class Keeping:
    """A page that plays one film while other things are looked at."""

    def __init__(self, browser, server, film, others):
        self.film = film
        self.page = Page(browser, server.url, before=lambda page: page.add_init_script(FULL_ONCE))
        self.page.wait_for("a card for each", lambda: all(self.page.card(name).count() for name in (film, *others)))
        for name in others:
            self.page.button(name, "play").click()
        self.page.wait_for(f"a picture of {film}", lambda: self.page.look(film))
        self.begun = self.held()

    def held(self):
        return self.page.evaluate(HELD, self.film)

    def check(self):
        page = self.page
        page.wait_for("long enough", lambda: self.held()["time"] - self.begun["time"] > LONG, LONG)
        held = self.held()
        assert held["src"] == self.begun["src"], f"the film was begun anew: {held}"
        assert held["refused"] == 1, f"there was no room, once: {held}"
        assert held["removed"] >= 2, f"once for the room, and once when it had grown long: {held}"
        behind = held["time"] - held["begins"]
        assert behind < THROWN_AWAY_AT + 2 * FRAGMENT, f"{behind:.1f} s that were played are kept: {held}"
        page.wait_advance(self.film)
        page.close()
        print(f"of a film no more than {THROWN_AWAY_AT} s are kept, and less when the browser has no room")
