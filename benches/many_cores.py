#!/usr/bin/env python3
"""Simulates the pool on more cores than it was measured on: which cache lines move, and which threads wait for them.

    benches/many_cores.py [--check | --write]

Prints the tables of docs/design/scaling.md and writes them there, or checks that the page has them. Fails if the simulation
is too far from what was measured on two cores. A thread is a generator, which asks for a cache line and goes on when it has
it. The steps are those of `src/slot/word.rs`, `src/free_list/`, `src/core/` (the lock, hand-off) and std's mutex. Words have
values, so an exchange fails if another thread changed the word in between.

It can say at which line an operation ends, and how variants of a design compare. It cannot say the times of a given machine:
caches have no size, a line is served in the order of the requests, a core executes one access after the other, and the system
suspends no thread that runs. Commit, quotas, cancelled gets and the bytes of the buffers are left out.
"""

import heapq
import multiprocessing
import random
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace

PAGE = Path(__file__).resolve().parent.parent / "docs/design/scaling.md"
BEGIN, END = "<!-- benches/many_cores.py --write -->\n", "<!-- end of what it writes -->\n"

# Nanoseconds of a transfer between CACHE cores that share a cache, CHIP cores of one socket, and sockets. Published
# figures, measured with a compare-exchange that goes back and forth: 20 to 35, 45 to 115, and 110 to 200. The earlier owner
# can use the line for the first part of a transfer (LEAVES, of a near one at most), until the request has reached it.
NEAR, SOCKET, BETWEEN, LEAVES, CACHE, CHIP = 35.0, 75.0, 140.0, 0.8, 8, 64
# A load or store of a line that the core has; an atomic read-modify-write of one; the rest of a get or a release; what
# follows a failed exchange; a spin hint; the pause after a failed exchange; the pauses of a thread that finds the lock held.
HIT, ATOMIC, REST, RETRY, SPIN, PAUSE, LOCK_PAUSES = 1.0, 2.5, 0.5, 15.0, 15.0, 2_000.0, (8_000.0, 16_000.0, 32_000.0)
# Waking a thread: what the caller pays, and when the other one runs. A yield to the system. What a runtime does for each
# poll of a task. What is done under the lock besides moving lines.
SYSCALL, WAKE, YIELD, POLL, LOCKED = 500.0, 4000.0, 300.0, 50.0, 8.0
TOLERANCE = 1.6  # The page draws conclusions from factors of two and more, so the simulation must not be off by as much.
STEPS = 15_000  # So many steps of all threads are simulated at a time.

(READ, STORE, RMW), COST = range(3), (HIT, HIT, ATOMIC)
OPEN, REFERENCE, SLOTS_PER_WORD, SWEEP, MISSES_TO_PARK = 1 << 63, 1 << 56, 56, 16, 32
SLOTS = (1 << SLOTS_PER_WORD) - 1


class Line:
    """A cache line: owned by one core, or shared by several. `leaves` says until when a core that loses it can use it. A load
    of a line that its owner has written takes the line over, as most such lines are written next. Of the two rules that
    processors have, this one fits what was measured. A load of any other line shares it."""

    def __init__(self):
        self.owner, self.written, self.sharers, self.free, self.leaves = None, False, set(), 0.0, {}

    def access(self, core, kind, now, jitter):
        """The time at which an access ends that begins now."""
        until, was_owner = self.leaves.get(core, (0.0, False))
        if self.owner == core or (kind == READ and core in self.sharers):
            self.written |= kind != READ
            return now + COST[kind]
        if now < until and (was_owner or kind == READ):
            return now + COST[kind]
        # One transfer at a time, in the order of the requests, from the core that has the line by then.
        start, takes_over = max(now, self.free), kind != READ or self.written
        holders = [self.owner] if self.owner is not None else [sharer for sharer in self.sharers if sharer != core]
        distances = [NEAR if core // CACHE == n // CACHE else SOCKET if core // CHIP == n // CHIP else BETWEEN for n in holders]
        taken = (max if takes_over else min)(distances, default=NEAR) * jitter
        if takes_over:
            self.leaves.update((n, (start + min(taken, NEAR) * LEAVES, self.owner is not None)) for n in holders)
            self.owner, self.free, self.sharers = core, start + taken, set()
        else:
            self.owner, self.sharers = None, {*holders, core}
        self.written = kind != READ
        return start + taken + COST[kind]


class Pool:
    """The pool, and what runs its threads. A thread asks for an access (a line and its kind), a delay, or None: sleep."""

    def __init__(self, cores, buffers, least=4, pause=PAUSE, lock_pauses=LOCK_PAUSES, counters=8, cursors=True, callback=False):
        self.lock_pauses, self.pause, self.counters, self.cursors, self.callback = lock_pauses, pause, counters, cursors, callback
        self.heap, self.now, self.sequence, self.random = [], 0.0, 0, random.Random(1).random
        stripes = min(64, max(4, 1 << (2 * cores - 1).bit_length()))
        words = max(-(-buffers // SLOTS_PER_WORD), min(stripes, max(1, buffers // least)))
        per_word = -(-buffers // words)
        self.words = [SimpleNamespace(number=n, cursor=n, line=Line()) for n in range(-(-buffers // per_word))]
        for word in self.words:
            word.headers = [Line() for _ in range(min(per_word, buffers - word.number * per_word))]
            word.bits = OPEN | SLOTS & ~((1 << len(word.headers)) - 1)
        self.mask = (1 << min(len(self.words), stripes).bit_length() - 1) - 1
        self.reachable = set(range(len(self.words)))  # Words that are open (all, after a first use) or parked with free slots.
        self.shared, self.sets, self.reachable_line, self.shared_misses = (Line() for _ in range(4))
        self.handles, self.queue, self.threads = SimpleNamespace(line=Line(), bits=OPEN), deque(), []
        # std's mutex: 0 is free, 1 is locked, and 2 is locked while threads may sleep.
        self.lock_line, self.locked, self.asleep = Line(), 0, deque()

    def at(self, time, thread):
        self.sequence += 1
        heapq.heappush(self.heap, (time, self.sequence, thread))

    def run(self, steps):
        """Nanoseconds for each operation of all threads together."""
        begun, done = self.now, sum(thread.done for thread in self.threads)
        for _ in range(steps):
            self.now, _, thread = heapq.heappop(self.heap)
            step = next(thread.steps)
            # Without chance, two threads can fail in step for ever.
            if type(step) is tuple:
                self.at(step[0].access(thread.core, step[1], self.now, 0.75 + self.random() / 2), thread)
            elif step is not None:
                self.at(self.now + step * (0.9 + self.random() / 5), thread)
        return (self.now - begun) / (sum(thread.done for thread in self.threads) - done)

    def lock(self, thread):
        yield self.lock_line, RMW
        before, self.locked = self.locked, self.locked or 1
        for pause in self.lock_pauses:
            if before == 0:
                break
            yield pause
            yield self.lock_line, RMW
            before, self.locked = self.locked, self.locked or 1
        while before != 0:
            spins = 0
            while self.locked == 1 and (spins := spins + 1) < 50:
                yield 2 * SPIN
                yield self.lock_line, READ
            yield self.lock_line, RMW
            before, self.locked = self.locked, 2
            if before != 0:
                yield SYSCALL
                if self.locked == 2:
                    self.asleep.append(thread)
                    yield None
        yield self.shared, STORE
        yield LOCKED

    def unlock(self):
        yield self.lock_line, RMW
        before, self.locked = self.locked, 0
        if before == 2:
            yield SYSCALL
            if self.asleep:
                self.at(self.now + WAKE, self.asleep.popleft())

    def take_from(self, word, own=None):
        """The lowest free slot of a word that was just read as open with a free slot; None if it was changed."""
        seen = word.bits
        yield word.line, RMW
        if word.bits == seen:
            bit = (~seen & (seen + 1)).bit_length() - 1
            word.bits |= 1 << bit
            if own and self.cursors:
                yield own.line, STORE
                own.cursor = word.number
            yield word.headers[bit], STORE
            yield REST
            return word, bit
        yield self.pause + RETRY

    def take(self, thread):
        """A slot, without the lock; or None and why there is none."""
        own = self.words[thread.stripe & self.mask]
        yield own.line, READ
        word = self.words[own.cursor]
        if word is not own:
            yield word.line, READ
        if word.bits & OPEN and ~word.bits & SLOTS:
            if slot := (yield from self.take_from(word)):
                return slot, None
            thread.stripe += 1
            own = self.words[thread.stripe & self.mask]
        else:
            yield self.reachable_line, READ
            if not self.reachable:
                return None, "empty"
        yield own.line, READ
        if own.cursor == own.number and not own.bits & OPEN:
            return None, "unsure"
        start, without_free = own.cursor if self.cursors else own.number, 0
        others = [index for n in range(SWEEP) if (index := (start + n) % len(self.words)) != own.number]
        for word in [self.words[index] for index in [own.number, *others][: min(len(self.words), SWEEP)]]:
            yield word.line, READ
            if word.bits & OPEN and not ~word.bits & SLOTS:
                without_free += 1
            elif word.bits & OPEN:
                if slot := (yield from self.take_from(word, own)):
                    return slot, None
        yield self.reachable_line, READ
        return None, "unsure" if len(self.reachable) > without_free else "none seen" if self.reachable else "empty"

    def exchange(self, word, change, pause):
        """Changes an open word, however many tries it takes; False if it is parked."""
        while True:
            yield word.line, READ
            seen = word.bits
            if not seen & OPEN:
                return False
            yield word.line, RMW
            if word.bits == seen:
                word.bits += change
                return True
            yield pause + RETRY

    def release(self, thread, slot):
        """Returns the task that the slot was handed off to, if any."""
        word, bit = slot
        yield word.headers[bit], STORE
        yield REST
        if (yield from self.exchange(word, self.callback * REFERENCE - (1 << bit), self.pause)):
            # A callback that does nothing is called. If the word was parked by then, the lock is left out.
            if self.callback and not (yield from self.exchange(word, -REFERENCE, self.pause)):
                word.bits -= REFERENCE
            return None
        yield from self.lock(thread)
        task = self.queue.popleft() if self.queue else None
        if task:
            yield task.node, STORE
            task.slot = word, bit
        else:
            yield self.sets, STORE
            yield self.handles.line, READ
            yield word.line, RMW
            word.bits &= ~(1 << bit)
            if not word.bits & OPEN:
                yield from self.set_open(word, True)
        yield from self.unlock()
        if task:
            yield task.header, RMW
        yield from self.exchange(self.handles, 1, 0.0)  # The release guard is dropped.
        return task

    def set_open(self, word, is_open):
        """Opens or parks a word that the caller has exclusively, under the lock."""
        word.bits, word.cursor = (word.bits | OPEN, word.number) if is_open else (word.bits & ~OPEN, word.cursor)
        (self.reachable.add if is_open or ~word.bits & SLOTS else self.reachable.discard)(word.number)
        yield self.reachable_line, STORE

    def take_locked(self, own):
        yield self.sets, STORE
        while self.reachable:
            word = own if own.number in self.reachable else self.words[min(self.reachable)]
            if not word.bits & OPEN:
                yield word.line, STORE
                yield from self.set_open(word, True)
            yield word.line, READ
            if ~word.bits & SLOTS:
                if slot := (yield from self.take_from(word, own)):
                    return slot
            else:
                yield word.line, RMW
                yield from self.set_open(word, False)

    def get(self, thread, task=None):
        """A slot. None if there is none; if it is called by a task, that waits."""
        slot, why = yield from self.take(thread)
        thread.misses += why == "none seen"
        if not slot and (task or why == "unsure" or (why == "none seen" and thread.misses % MISSES_TO_PARK == 0)):
            yield (task.header, RMW) if task else 0.0  # The waker is cloned.
            yield from self.lock(thread)
            slot = None if self.queue else (yield from self.take_locked(self.words[thread.stripe & self.mask]))
            if task and not slot:
                yield task.node, STORE
                self.queue.append(task)
            yield from self.unlock()
        if not slot and not task:
            yield (self.shared_misses, RMW) if thread.number >= self.counters else 4 * HIT
        return slot


def take_release(pool, thread, take=1, owned=False):
    """Takes so many buffers, or as many as it gets, and releases them all."""
    while True:
        held = []
        while len(held) < take:
            if owned:
                yield pool.handles.line, RMW
                pool.handles.bits += 1
            slot = yield from pool.get(thread)
            if owned:
                yield from pool.exchange(pool.handles, 1, 0.0)
            if not slot:
                break
            held.append(slot)
            thread.done += 1
        if not held:
            yield YIELD
        for slot in held:
            yield from pool.release(thread, slot)


def no_buffer(pool, thread):
    """Tries to get a buffer of a pool that has none, and whose words are parked."""
    pool.reachable.clear()
    for word in pool.words:
        word.bits = SLOTS
    while True:
        yield from pool.get(thread)
        thread.done += 1


def hand_off(pool, thread, tasks):
    """A worker of a runtime, with so many tasks: each gets, yields and releases. The worker that wakes a task polls it."""
    tasks = [SimpleNamespace(header=Line(), node=Line(), slot=None, waits=False) for _ in range(tasks)]
    thread.line, thread.runnable = Line(), deque(tasks)
    while True:
        yield thread.line, RMW
        if not thread.runnable:
            other = pool.threads[int(pool.random() * len(pool.threads))]
            yield other.line, RMW
            thread.runnable.extend(other.runnable.popleft() for _ in range(len(other.runnable) // 2))
            yield 20 * SPIN
            continue
        task = thread.runnable.popleft()
        yield POLL
        yield task.header, RMW
        if task.waits:
            yield task.node, READ
        elif task.slot:
            woken = yield from pool.release(thread, task.slot)
            thread.runnable.extend([woken] if woken else [])
            task.slot, thread.done = None, thread.done + 1
        if not task.slot:
            task.waits = True  # Before it queues, because another worker may poll it from then on.
            if not (slot := (yield from pool.get(thread, task))):
                continue
            task.slot = slot
        task.waits = False
        thread.runnable.append(task)


CORES = 2, 16, 64, 128
EIGHT = take_release, {"take": 8}
WORDS = {"words of 1 slot or more, not 4": {"least": 1}, "words of 8 or more": {"least": 8}, "no pause of a word": {"pause": 0.0}}
# For so many cores: the buffers, what each thread does and its arguments. Variants of the pool.
ROWS = [
    ("get and release, 4,096 buffers", lambda cores: (4096, take_release, {}), {}),
    ("get and release, 256 buffers", lambda cores: (256, take_release, {}), {"with a callback": {"callback": True}}),
    ("`get_buffer_owned` and release, 256 buffers", lambda cores: (256, take_release, {"owned": True}), {}),
    ("get and release, 64 buffers", lambda cores: (64, take_release, {}), WORDS),
    ("each takes 8 and releases all, 4 buffers for each core", lambda cores: (4 * cores, *EIGHT), WORDS),
    ("together they take 3,072 of 4,096 and release all", lambda cores: (4096, take_release, {"take": 3072 // cores}),
     {"sweep from the stripe, not from the cursor": {"cursors": False}}),
    ("hand-off, 4 tasks and 1 buffer for each core", lambda cores: (cores, hand_off, {"tasks": 4}),
     {"no pause at the lock": {"lock_pauses": ()}}),
    ("`try_get_buffer`, empty pool", lambda cores: (64, no_buffer, {}),
     {"one count of misses for all threads, not 9": {"counters": 0}, "a count for each thread": {"counters": 128}}),
]
# Measured on two cores, in nanoseconds: the figure, how many threads, and whether it is the time of each thread. Before the
# lock had a pause, and that of a word was shorter, on two cores that share a cache:
SHORT, NONE = {"pause": 1_500.0, "lock_pauses": ()}, {"pause": 0.0, "lock_pauses": ()}
MEASURED = [
    ("1 thread takes 8 of 8, releases all", 10.6, 1, False, (8, *EIGHT), SHORT),
    ("2 threads do (18 to 25)", 21, 2, False, (8, *EIGHT), SHORT),
    ("2 threads do, no pause", 54, 2, False, (8, *EIGHT), NONE),
    ("get and release, 1 thread (10 to 15)", 12, 1, True, (64, take_release, {}), SHORT),
    ("each of 2 threads (10 to 15)", 12, 2, True, (64, take_release, {}), SHORT),
    ("with a callback, 1 thread", 18.3, 1, True, (64, take_release, {}), {"callback": True, **SHORT}),
    ("`get_buffer_owned`, each of 2 threads", 30.6, 2, True, (64, take_release, {"owned": True}), SHORT),
    ("a miss, 1 thread", 6.7, 1, True, (64, no_buffer, {}), SHORT),
    ("hand-off, 8 tasks on 2 buffers, 1 worker", 208, 1, False, (2, hand_off, {"tasks": 8}), SHORT),
    ("8 tasks on 2 buffers, 2 workers", 264, 2, False, (2, hand_off, {"tasks": 4}), SHORT),
    ("64 tasks on 8 buffers, 2 workers", 167, 2, False, (8, hand_off, {"tasks": 32}), SHORT),
]
# On another machine, whose two cores are as far from each other as those of two sockets:
MEASURED_APART = [
    ("2 threads take 8 of 8, release all (27 to 30)", 28, 2, False, (8, *EIGHT), {}),
    ("half the pause of a word, none at the lock", 40, 2, False, (8, *EIGHT), {"pause": 1_000.0, "lock_pauses": ()}),
    ("hand-off, 64 tasks on 8 buffers, 1 worker", 200, 1, False, (8, hand_off, {"tasks": 64}), {}),
    ("64 tasks on 8 buffers, 2 workers", 306, 2, False, (8, hand_off, {"tasks": 32}), {}),
    ("two pauses of 2 µs at the lock (455 to 475)", 465, 2, False, (8, hand_off, {"tasks": 32}), {"lock_pauses": (2_000.0,) * 2}),
]


def simulate(cores, case, variant, apart=False):
    (buffers, work, arguments), groups = case, max(1, cores // CACHE)
    pool = Pool(cores, buffers, **variant)
    for n in range(cores):
        # Neighbours run on different caches, as a system spreads them. Threads that met have moved to different stripes.
        core = n * CHIP if apart else n % groups * CACHE + n // groups
        pool.threads.append(thread := SimpleNamespace(number=n, core=core, stripe=n, misses=0, done=0))
        thread.steps = work(pool, thread, **arguments)
        pool.at(0.0, thread)
    # Before the figures count: several pauses; at the limit, until many threads wait for the lock.
    time, most, steps = (1e6, 14 * STEPS, 8 * STEPS) if {"take", "tasks"} & arguments.keys() else (6e3, 4 * STEPS, 2 * STEPS)
    while pool.sequence < STEPS or (pool.now < time and pool.sequence < most):
        pool.run(STEPS)
    return pool.run(steps)


def main(arguments):
    rows = [(f"– *{v}*" if v else row, case, pool) for row, case, pools in ROWS for v, pool in {"": {}, **pools}.items()]
    cases = [(cores, case(cores), variant) for _, case, variant in rows for cores in CORES]
    cases += [(threads, case, variant) for _, _, threads, _, case, variant in MEASURED]
    cases += [(threads, case, variant, True) for _, _, threads, _, case, variant in MEASURED_APART]
    with multiprocessing.Pool() as processes:
        times = iter(processes.starmap(simulate, cases, chunksize=1))
    text = "\nMillion operations a second of all cores together / nanoseconds for each operation of a thread:\n\n"
    text += "| |" + "".join(f" {cores} cores |" for cores in CORES) + "\n|---" + "|---:" * len(CORES) + "|\n"
    for name, _, _ in rows:
        cells = (f" {float(f'{1000 / t:.2g}'):,g} / {float(f'{cores * t:.2g}'):,g} |" for cores, t in zip(CORES, times))
        text += f"| {name} |" + "".join(cells) + "\n"
    errors = []
    for where, rows in ("that share a cache, before the lock had a pause", MEASURED), ("far from each other", MEASURED_APART):
        text += f"\nOn two cores {where}, in nanoseconds:\n\n| | measured | simulated | ratio |\n|---|---:|---:|---:|\n"
        for name, measured, threads, each, _, _ in rows:
            time = next(times) * (threads if each else 1)
            text += f"| {name} | {measured} | {time:.1f} | {time / measured:.2f} |\n"
            errors += [] if 1 / TOLERANCE < time / measured < TOLERANCE else [f"error: {TOLERANCE} times off or more: {name}"]
    page = PAGE.read_text()
    written = page.split(BEGIN)[0] + BEGIN + text + "\n" + END + page.split(END)[1]
    if arguments == ["--write"]:
        PAGE.write_text(written)
    elif arguments == ["--check"] and page != written:
        errors.append(f"error: {PAGE.name} has other tables; benches/many_cores.py --write writes them")
    print(text, *errors, sep="\n")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
