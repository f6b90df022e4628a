"""The page as the README shows it."""

from browser import Page

LARGEST = 400_000
WIDE = {"width": 1440, "height": 860}


def draw(browser, server, path):
    server.film("concert", "testsrc2=size=480x270:rate=15", 440)
    server.film("harbour", "mandelbrot=size=480x270:rate=15:end_pts=60", 330)
    life = "life=size=240x135:rate=15:mold=10:ratio=0.1:life_color=#2fd3a5:death_color=#3949ab:mold_color=#101820"
    server.film("studio", life + ",scale=480:270:flags=neighbor", 550)
    server.camera("gate", "gradients=size=480x270:rate=15:nb_colors=5:speed=0.02:seed=3")
    server.camera("roof", "smptehdbars=size=480x270:rate=15,hue=H=t/2")
    server.wait_live("concert", "harbour", "studio", "gate", "roof")
    page = Page(browser, server.url, WIDE)
    page.wait_for("films", lambda: all(page.look(name) for name in ("concert", "harbour", "studio", "gate", "roof")))
    # Long enough for a curve that fills half of the chart.
    page.pause(30)
    path.parent.mkdir(exist_ok=True)
    # A page that ends in the middle of a table looks broken.
    page.page.screenshot(path=path, full_page=True)
    page.close()
    size = path.stat().st_size
    assert size <= LARGEST, f"{path}: {size} bytes, {LARGEST} at most"
    print(f"{path}: {size} bytes")
