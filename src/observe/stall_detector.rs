//! Noticing that a get has waited for too long, and saying so once.
//!
//! A waiter has no timer, and must not need one: it works on any executor. A get that finds a sample must not pay, and
//! so knows nothing of this. What a watch looks at is the first waiter in each line, the pool's and those of its quotas,
//! under the lock: no other one there has waited for longer.
//!
//! | the first waiters      | the watch sleeps until                                                |
//! |------------------------|-----------------------------------------------------------------------|
//! | none                   | a get joins a line; it sets no timer                                  |
//! | one is to be warned of | its limit is over; on a clock that can be paused, or until a get waits no more |
//! | it warned of all       | the limit has passed once more; on a clock that can be paused, a get joins or waits no more, without a timer |
//!
//! In the two last rows a timer is set only while a get waits. On a clock that is real it may outlive that get by up to
//! the limit, which costs nothing: to be woken by each get would cost a busy pool a wake-up for each wait. On a paused
//! clock a timer that is left behind makes time run away, so there the watch is woken, and sets it anew.
//!
//! # The age of a waiter
//!
//! While somebody watches, each wait has a stamp of when it joined, of the waiter's clock and not of the watch's, which
//! may be another one: a thread that blocks has std's, and the watch's runtime may be paused. The stamp is used if both
//! are known to be of one clock. Otherwise the waiter is as old as the watch has seen it for, by the watch's clock.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Engine, Shared},
        handle::{Pool, WeakPool},
        watches::{JOINED, LEFT},
    },
    observe::{
        report::{Report, Seen},
        stall::Stall,
    },
    sync::user_code::{self, Spare},
    wait::{
        clock::{Moment, Stamp},
        quota_account::Account,
        slab::WaiterNumber,
    },
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// The timer's own resolution. With a limit of zero the task would be busy, and one stall be told from the next by
/// nothing.
const LEAST_LIMIT: Duration = Duration::from_millis(1);

impl Pool {
    /// Watches for gets that wait for longer than `limit`, in line or for room in a quota, and calls `warn`
    /// with who holds the samples meanwhile. For a task of its own.
    ///
    /// It warns once of each stall, whoever else waits: again only of another one who is first in a line, and
    /// not before another `limit` has passed. With the
    /// feature `tracing` it is events as well, of level `WARN` and of one line each: the wait, the quotas that are waited for,
    /// and the lines of the program that hold samples. `warn` is called without a lock.
    ///
    /// It does not keep the pool alive, and resolves once no handle is left. While it exists each wait reads the clock
    /// three times; a get that finds a sample pays nothing. Waits that began before it count from when it was made.
    ///
    /// Time is that of the Tokio runtime which polls it. It sets a timer only while a get waits, so that a test which
    /// [pauses](https://docs.rs/tokio/latest/tokio/time/fn.pause.html) time may have one: time passes there by what is
    /// left of the `limit` of a get that waits, and otherwise not.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future ends the watch.
    ///
    /// # Panics
    ///
    /// If it is polled outside a Tokio runtime with time enabled. A panic of `warn` goes through, and ends the
    /// task.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().name("relay").buffers(1).track_holders(true).build()?;
    /// let limit = Duration::from_millis(20);
    /// # let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    /// tokio::spawn(pool.detect_stalls(limit, move |wait| {
    ///     eprintln!("{wait}");
    /// #   told.send(wait).unwrap();
    /// }));
    ///
    /// let held = pool.get_buffer().await?;
    /// // One that forgot that it has the only sample; the watch says where it took that one.
    /// let late = pool.get_buffer_timeout(Duration::from_millis(100)).await;
    /// assert!(late.is_err());
    /// # let wait = heard.recv().await.unwrap();
    /// # assert!(wait.waited >= limit && wait.to_string().contains(file!()), "{wait}");
    /// # drop(held);
    /// # Ok(())
    /// # }
    /// ```
    pub fn detect_stalls<F: FnMut(Stall)>(&self, limit: Duration, warn: F) -> StallDetector<F> {
        StallDetector {
            watch: Watch::begin(self),
            limit: limit.max(LEAST_LIMIT),
            seen: Vec::new(),
            warned: None,
            timer: None,
            warn,
        }
    }
}

/// The future of a watch; see [`Pool::detect_stalls`].
#[must_use = "a future does nothing until it is awaited"]
pub struct StallDetector<F> {
    watch: Watch,
    limit: Duration,
    /// The first waiter of each line, as it was found at the last look.
    seen: Vec<Known>,
    /// When it warned last.
    warned: Option<Moment>,
    timer: Option<Pin<Box<Sleep>>>,
    warn: F,
}

/// The first waiter in a line. Those who were in line before the watch joined at one time, as it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    joined: Stamp,
    queue_slot: WaiterNumber,
    /// The address of the account whose line it is, or zero for the pool's.
    line: usize,
}

/// A first waiter that the watch has found.
#[derive(Clone, Copy, Debug)]
struct Known {
    first: First,
    /// Since when it waits, by the clock of the watch.
    since: Moment,
    was_warned_of: bool,
}

/// What a look came to.
enum Look {
    /// No handle to the pool is left.
    Gone,
    Stall(Box<Found>),
    /// It sleeps, with a timer or without.
    Asleep(Option<Duration>),
}

/// A stall as it was seen under the lock.
struct Found {
    waited: Duration,
    quota: Option<Arc<str>>,
    waiting: usize,
    seen: Seen,
}

// The callback is never pinned.
impl<F> Unpin for StallDetector<F> {}

impl<F> fmt::Debug for StallDetector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallDetector")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<F> StallDetector<F> {
    /// Looks who waits, and either finds a stall, or sleeps.
    fn look(&mut self, waker: &Waker) -> Look {
        // Foreign, so it is cloned before the lock is taken and dropped after.
        let waker = Spare::new(waker.clone());
        let engine = self.watch.pool.engine();
        let mut shared = engine.lock();
        if !engine.can_be_had(&shared) {
            drop(shared);
            return Look::Gone;
        }
        let number = self.watch.number;
        // Before it looks: who joins after that finds the interest.
        let before = engine.sleep(&mut shared, number, JOINED, waker.into_inner());
        let before = before.map(Spare::new);
        let now = Moment::now_and_which();
        let lines = first_waiters(engine, &shared, now);
        self.seen = lines
            .iter()
            .map(|(first, _)| self.known(engine, *first, now))
            .collect();
        let mut oldest: Option<usize> = None;
        for (at, known) in self.seen.iter().enumerate() {
            let is_older = |than: usize| known.since.at < self.seen[than].since.at;
            if !known.was_warned_of && oldest.is_none_or(is_older) {
                oldest = Some(at);
            }
        }
        let look = match oldest {
            Some(at) => {
                let waited = now.since(self.seen[at].since);
                let since_warned = self.warned.map(|warned| now.since(warned));
                // Not before another limit has passed.
                let age = since_warned.map_or(waited, |since| since.min(waited));
                match self.limit.checked_sub(age).filter(|left| !left.is_zero()) {
                    Some(left) => Look::Asleep(Some(left)),
                    None => {
                        self.seen[at].was_warned_of = true;
                        self.warned = Some(now);
                        let account = lines[at].1.as_deref();
                        Look::Stall(Box::new(Found {
                            waited,
                            quota: account.map(|account| account.name().clone()),
                            waiting: account
                                .map_or(shared.waiting(), |account| account.waiting().0),
                            seen: Seen::of(engine, &shared),
                        }))
                    }
                }
            }
            None if lines.is_empty() || now.is_virtual() => Look::Asleep(None),
            None => Look::Asleep(Some(self.limit)),
        };
        let wakes_on = match (&look, now.is_virtual()) {
            (Look::Asleep(None), true) => JOINED | LEFT,
            (Look::Asleep(None), false) => JOINED,
            (Look::Asleep(Some(_)), true) => LEFT,
            _ => 0,
        };
        engine.sleep_until(&mut shared, number, wakes_on);
        drop(shared);
        drop((before, lines));
        look
    }

    #[cfg(all(test, loom))]
    pub(crate) fn sleeps_without_a_timer(&mut self, waker: &Waker) -> bool {
        matches!(self.look(waker), Look::Asleep(None))
    }

    /// Another timer in place of the one before, not set until it is polled.
    fn set_timer(&mut self, left: Duration) -> Pin<&mut Sleep> {
        let another = sleep(left);
        match &mut self.timer {
            Some(timer) => {
                timer.set(another);
                timer.as_mut()
            }
            none => none.insert(Box::pin(another)).as_mut(),
        }
    }

    /// What is known of a waiter that is first in its line now.
    fn known(&self, engine: &Engine, first: First, now: Moment) -> Known {
        let known = self.seen.iter().find(|known| known.first == first);
        let joined = engine.moment(first.joined);
        let since = if joined.is_comparable(now) {
            joined
        } else {
            now
        };
        known.copied().unwrap_or(Known {
            first,
            since,
            was_warned_of: false,
        })
    }
}

/// The first waiter of each line in which one waits, with the account if it is a quota's.
fn first_waiters(
    engine: &Engine,
    shared: &Shared,
    now: Moment,
) -> Vec<(First, Option<Arc<Account>>)> {
    let for_a_sample = shared.longest_wait().map(|(joined, queue_slot)| {
        let line = 0;
        (
            First {
                joined,
                queue_slot,
                line,
            },
            None,
        )
    });
    let for_room = engine.longest_waits_for_room(now);
    let for_room = for_room.map(|(joined, queue_slot, account)| {
        let line = Arc::as_ptr(&account).addr();
        (
            First {
                joined,
                queue_slot,
                line,
            },
            Some(account),
        )
    });
    for_a_sample.into_iter().chain(for_room).collect()
}

impl<F: FnMut(Stall)> Future for StallDetector<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let limit = this.limit;
        if this.timer.is_none() {
            // So that a watch outside a runtime panics at once, and not in the middle of the first stall.
            this.set_timer(limit);
        }
        loop {
            match this.look(cx.waker()) {
                Look::Gone => return Poll::Ready(()),
                Look::Stall(stall) => {
                    let wait = Stall::of(*stall);
                    #[cfg(feature = "tracing")]
                    crate::observe::stall_events::long_wait(&wait);
                    (this.warn)(wait);
                }
                Look::Asleep(None) => {
                    this.set_timer(limit);
                    return Poll::Pending;
                }
                Look::Asleep(Some(left)) => {
                    let timer = this.set_timer(left);
                    ready!(timer.poll(cx));
                }
            }
        }
    }
}

impl Stall {
    fn of(stall: Found) -> Self {
        Stall {
            waited: stall.waited,
            quota: stall.quota,
            waiting: stall.waiting,
            report: Report::of(stall.seen),
        }
    }
}

/// While it exists, those who join a line write down when.
struct Watch {
    pool: WeakPool,
    number: u64,
}

impl Watch {
    fn begin(pool: &Pool) -> Self {
        Watch {
            number: pool.engine().begin_watch(),
            pool: pool.downgrade(),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let waker = self.pool.engine().end_watch(self.number);
        user_code::quietly(|| drop(waker));
    }
}
