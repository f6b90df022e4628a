"""Everything can be reached and done with a keyboard, and read by a screen reader."""

from axe_playwright_python.sync_playwright import Axe

from browser import DESKTOP, PHONE, Page

# What can be reached, in the order of the document.
CONTROLS = """() => Array.from(document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']"))
  .filter(element => element.checkVisibility() && !element.disabled)
  .map((element, index) => (element.dataset.control = index))"""
FOCUSED = """() => {
  const { activeElement: element } = document;
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  const { top, bottom } = element.getBoundingClientRect();
  return { control: element === document.body ? null : Number(element.dataset.control ?? -1),
    name: element.outerHTML.slice(0, 120), outline: outlineStyle === "none" ? 0 : parseFloat(outlineWidth),
    contrast: contrast(outlineColor, behind(element)), inside: bottom > 0 && top < innerHeight };

  // Of what the element stands on: of those around it the first that is not transparent.
  function behind(element) {
    const colour = getComputedStyle(element.parentElement).backgroundColor;
    return parts(colour)[3] === 0 ? behind(element.parentElement) : colour;
  }
  function parts(colour) {
    const [red, green, blue, opacity = 1] = colour.match(/[\\d.]+/g).map(Number);
    return [red, green, blue, opacity];
  }
  // As the Web Content Accessibility Guidelines define it; what shines through has no known colour.
  function contrast(...colours) {
    if (colours.some(colour => parts(colour)[3] < 1)) return 1;
    const [less, more] = colours.map(luminance).sort((one, other) => one - other);
    return (more + 0.05) / (less + 0.05);
  }
  function luminance(colour) {
    const [red, green, blue] = parts(colour).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }
}"""
FULL = """() => document.fullscreenElement?.querySelector("video") ===
  document.querySelector('[data-channel="concert"] video')"""
LEVELS = "() => Array.from(document.querySelectorAll('h1, h2, h3, h4, h5, h6'), h => Number(h.tagName[1]))"
LANDMARKS = {"banner": 1, "main": 1, "region": 4}


def check_order(page):
    """From the first to the last, as they stand there, each with a frame around it."""
    controls = page.evaluate(CONTROLS)
    assert len(controls) >= 10, controls
    for control in controls:
        page.page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["control"] == control, f"{focused} has the focus instead of {control}"
        assert focused["outline"] >= 2, f"it is not seen that this has the focus: {focused}"
        assert focused["contrast"] >= 3, f"it is hardly seen that this has the focus: {focused}"
        assert focused["inside"], f"the focus is out of sight: {focused}"
    return len(controls)


def check_keys(page):
    """Both keys that press a button press all of them."""
    sound, play = (page.button("concert", action) for action in ("sound", "play"))
    for key in ("Enter", "Space"):
        sound.focus()
        page.page.keyboard.press(key)
        assert sound.get_attribute("aria-pressed") == "true", f"sound on with {key}"
        page.page.keyboard.press(key)
        assert sound.get_attribute("aria-pressed") == "false", f"sound off with {key}"
        play.focus()
        assert play.get_attribute("aria-label") == "Pause concert"
        page.page.keyboard.press(key)
        assert play.get_attribute("aria-label") == "Play concert", f"paused with {key}"
        page.wait_for("it is paused", lambda: page.video("concert")["paused"])
        page.page.keyboard.press(key)
        page.wait_for("it is played", lambda: not page.video("concert")["paused"])
        assert page.evaluate("() => document.activeElement.dataset.action") == "play", "the focus stays"
        page.button("concert", "fullscreen").focus()
        page.page.keyboard.press(key)
        page.wait_for("full screen", lambda: page.evaluate(FULL))
        page.evaluate("() => document.exitFullscreen()")
        page.wait_for("the page again", lambda: page.evaluate("() => document.fullscreenElement === null"))
    page.page.locator("#how summary").focus()
    page.page.keyboard.press("Enter")
    assert page.page.locator("#how pre").first.is_visible(), "how to send something"
    page.page.keyboard.press("Enter")


def check_names(page):
    """What a screen reader finds its way by."""
    for role, fewest in LANDMARKS.items():
        assert page.page.get_by_role(role).count() >= fewest, f"{fewest} {role}"
    levels = page.evaluate(LEVELS)
    assert levels[0] == 1 and levels.count(1) == 1, levels
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:])), f"no level is left out: {levels}"
    for section in ("viewers", "holders"):
        assert page.page.locator(f"#{section} table caption").text_content(), f"a caption of {section}"
        assert page.page.locator(f"#{section} th[scope=col]").count() >= 5, f"headers of {section}"
    for label in ("Sound of concert", "Pause concert", "Full screen: concert"):
        assert page.page.get_by_role("button", name=label, exact=True).count() == 1, label


def check_rules(page, what):
    """The rules of axe-core; those broken that keep somebody out count."""
    found = Axe().run(page.page).response
    assert len(found["passes"]) >= 20, f"the rules were applied: {len(found['passes'])}"
    bad = [f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:150]}"
           for rule in found["violations"] if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]
    assert not bad, f"{what}:\n" + "\n".join(bad)
    return len(found["passes"])


def check_reach(browser, server):
    rules = []
    for viewport in (DESKTOP, PHONE):
        for scheme in ("light", "dark"):
            page = Page(browser, server.url, viewport, scheme)
            page.wait_for("films", lambda: page.playing("concert") == "stream" and page.look("concert"))
            page.wait_for("rows", lambda: page.page.locator("#viewers tbody tr").count() >= 1)
            rules.append(check_rules(page, f"{viewport['width']} wide, {scheme}"))
            controls = check_order(page)
            if (viewport, scheme) == (DESKTOP, "light"):
                check_keys(page)
                check_names(page)
            page.close()
    print(f"{controls} controls are reached by Tab in their order; Enter and Space press them; axe-core found nothing")
    print(f"  serious with {min(rules)} rules or more, on a phone and on a desk, light and dark")
