"""Films, cameras, sound and bursts through the live server. Called by scripts/end_to_end with the target directory.

Each input is made with ffmpeg here. The commands are those that the tree gives its readers, each of them, but for the speed and
the camera, which is a picture of ffmpeg's.
"""

import html
import os
import re
import shlex
from pathlib import Path

from end_to_end import BUFFERS, WORK, Server, check_end, ffmpeg, parts, run
from end_to_end_mp4 import MOST_FRAGMENT, Source, Viewer, boxes, split, wait_for_viewers

TREE = Path(__file__).resolve().parents[3]
# Where commands are for a reader to copy.
TEXTS = {".md", ".rs", ".html", ".js"}
# The fewest: the README, the page, the program's own documentation, and the example of many machines.
PLACES = 4
LIVE = ["-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4"]
FRAGMENTS = 574
PICTURES = 171
# So many buffers carry a channel for each check.
CHANNELS = 12


def post(server, name, body):
    code, said = server.request("POST", f"/ingest/{name}", body)
    return code, said.decode()


def commands(text):
    """The commands in a text that send something to a channel."""
    # As a reader sees it: no tags, no comment marks, and no line breaks in the middle.
    text = re.sub(r"\\\n\s*", "", html.unescape(re.sub(r"</?(?:span|code|pre)[^>]*>", "", text)))
    lines = [re.sub(r"^\s*(//[/!]\s*)?", "", line) for line in text.splitlines()]
    return [shlex.split(line) for line in lines if re.match(r"ffmpeg .*/ingest/\w+$", line)]


def name_of(command):
    return command[-1].rsplit("/", 1)[1]


def all_commands():
    """Where each stands, and the command."""
    paths = []
    for directory, inside, files in os.walk(TREE):
        inside[:] = sorted(name for name in inside if name != "target" and not name.startswith("."))
        paths += [Path(directory, file) for file in sorted(files) if Path(file).suffix in TEXTS]
    found = {path.relative_to(TREE): commands(path.read_text()) for path in paths}
    return [(place, command) for place, of in found.items() for command in of]


def send(server, name, command, inputs):
    """Runs a command, as fast as it can be."""
    arguments = [inputs.get(argument, argument) for argument in command[1:-1] if argument != "-re"]
    if "v4l2" in arguments:
        at = arguments.index("v4l2")
        arguments[at:at + 3] = ["lavfi", "-t", "4", "-i", "testsrc2=size=320x180:rate=25"]
    run(*ffmpeg(*arguments, f"{server.url}/ingest/{name}"))


def make_album():
    """An m4a with a cover of 160 kB: noise does not compress."""
    cover, sound, album = WORK / "cover.jpg", WORK / "sound.m4a", WORK / "album.m4a"
    noise = "nullsrc=size=384x384,geq=random(1)*255:128:128"
    run(*ffmpeg("-y", "-f", "lavfi", "-i", noise, "-frames:v", 1, "-q:v", 2, cover))
    assert cover.stat().st_size > 64 * 1024, cover.stat().st_size
    run(*ffmpeg("-y", "-f", "lavfi", "-i", "sine=frequency=440:duration=4", "-c:a", "aac", sound))
    run(*ffmpeg("-y", "-i", sound, "-i", cover, "-map", 0, "-map", 1, "-c", "copy",
                "-disposition:v:0", "attached_pic", album))
    return album


def make_ordinary_film():
    """A key frame each 10 seconds, at a bit rate at which 10 seconds are larger than a fragment may be."""
    film = WORK / "ordinary.mp4"
    picture = "testsrc2=size=640x360:rate=25:duration=12,noise=alls=40:allf=t"
    run(*ffmpeg("-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=12",
                "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-pix_fmt", "yuv420p",
                "-g", 250, "-keyint_min", 250, "-sc_threshold", 0, "-c:a", "aac", film))
    assert film.stat().st_size > 2 * MOST_FRAGMENT, film.stat().st_size
    return film


def check_commands(server, film, album):
    inputs = {"film.mp4": str(film), "album.m4a": str(album)}
    expected = {"film": (24, 'video/mp4; codecs="avc1.'), "camera": (8, 'video/mp4; codecs="avc1.'),
                "sound": (8, 'audio/mp4; codecs="mp4a.40.2"'), "cam": (300, "multipart/")}
    everything = all_commands()
    assert {name_of(command) for place, command in everything if place == Path("examples/live_server/README.md")} == set(expected)
    assert len({place for place, _ in everything}) >= PLACES, everything
    for place, command in everything:
        name = name_of(command)
        fragments, begins = expected[name]
        send(server, name, command, inputs)
        # ffmpeg ends when all that it sent is on its way, and not when the server has read it.
        server.wait_for("the source to go", lambda: not server.channel(name)["live"])
        channel = server.channel(name)
        assert channel["media_type"].startswith(begins), (place, channel)
        assert abs(channel["sequence"] - fragments) <= 1, (place, name, channel["sequence"])
        assert Viewer(server, f"/live/{name}?limit=1").bytes(), (place, name)
        assert server.request("DELETE", f"/ingest/{name}")[0] == 204, (place, name)
    whole = run(*ffmpeg("-i", film, "-c", "copy", *LIVE, "-")).stdout
    # Its size stands in the head of its mdat.
    code, said = post(server, "refused", whole[:100_000])
    assert code == 413 and "-frag_duration" in said, (code, said)
    places = sorted({str(place) for place, _ in everything})
    print(f"{len(everything)} commands of {places}")
    print("  send an ordinary film, a camera, sound alone and motion JPEG; without -frag_duration the film is refused with")
    print("  what to change")


def check_cover(server, album):
    """The first video track of an album has no samples; with +delay_moov its picture stands in the moov."""
    for name, flags in (("cover", ""), ("poster", "+delay_moov")):
        command = [*LIVE[:1], LIVE[1] + flags, "-frag_duration", 500_000, *LIVE[2:]]
        saved = WORK / f"{name}.mp4"
        run(*ffmpeg("-y", "-i", album, "-map", 0, "-c", "copy", *command, saved))
        film = saved.read_bytes()
        init, fragments = split(film)
        moov = next(box for kind, box in boxes(init) if kind == b"moov")
        assert (len(moov) > 64 * 1024) == (name == "poster"), len(moov)
        assert post(server, name, film) == (200, f"{len(fragments)} frames\n")
        assert Viewer(server, f"/live/{name}?limit=1").bytes() == init + fragments[-1], "who joins is served"
    # To a server ffmpeg cannot go back and write the size of such a moov.
    sent = run(*ffmpeg("-i", album, "-map", 0, "-c", "copy", *command, "-")).stdout
    code, said = post(server, "refused", sent)
    assert code == 400 and "-map 0:V" in said, (code, said)
    print(f"an album with its cover is served, also with a moov of {len(moov)} bytes")


def check_burst(server):
    """Every frame is a fragment, and all come at once: as from a pipe, or from a sender that is faster than the film."""
    picture = f"testsrc2=size=320x180:rate=25:duration={(FRAGMENTS + 0.5) / 25}"
    film = run(*ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
                       "-frames:v", FRAGMENTS, "-movflags", "frag_every_frame+empty_moov+default_base_moof",
                       "-f", "mp4", "-")).stdout
    init, fragments = split(film)
    assert len(fragments) == FRAGMENTS, len(fragments)
    source = Source(server, "burst")
    source.send(init + fragments[0])
    server.wait_for("the first fragment", lambda: server.sequence("burst") == 1)
    viewer = Viewer(server, f"/live/burst?limit={FRAGMENTS}")
    wait_for_viewers(server, "burst", 1)
    source.send(b"".join(fragments[1:]))
    assert source.end() == (200, b"%d frames\n" % FRAGMENTS)
    assert viewer.bytes() == init + b"".join(fragments), "every byte of every fragment"

    pictures = run(*ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-frames:v", PICTURES, "-q:v", 5,
                           "-f", "mjpeg", "-")).stdout
    first = pictures.index(b"\xff\xd9") + 2
    source = Source(server, "pipe")
    source.send(pictures[:first])
    server.wait_for("the first picture", lambda: server.sequence("pipe") == 1)
    viewer = Viewer(server, f"/live/pipe?limit={PICTURES}")
    wait_for_viewers(server, "pipe", 1)
    source.send(pictures[first:])
    assert source.end() == (200, b"%d frames\n" % PICTURES)
    got = parts(viewer.bytes())
    assert [sequence for sequence, _ in got] == list(range(1, PICTURES + 1))
    assert b"".join(picture for _, picture in got) == pictures
    print(f"{FRAGMENTS} fragments of a frame each, {len(film)} bytes, and {PICTURES} pictures, sent as fast as can be:")
    print("  a viewer that reads is sent all of them")


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    film, album = make_ordinary_film(), make_album()
    server = Server(CHANNELS * BUFFERS)
    try:
        check_commands(server, film, album)
        check_cover(server, album)
        check_burst(server)
        check_end(server)
    finally:
        server.process.kill()


main()
