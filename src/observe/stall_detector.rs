//! The stall detector (a *watch*): it notices that a get has waited for too long, and reports it once.
//!
//! A waiter has no timer and must not need one, because it works on any executor. A get that finds a free sample must
//! pay nothing, so it has no code for this. A watch looks, under the lock, at the head of each wait queue: the pool's
//! and those of its quotas. No other waiter in a queue has waited for longer than its head.
//!
//! | state of the heads       | the watch sleeps until                                                             |
//! |--------------------------|------------------------------------------------------------------------------------|
//! | there are none           | a get joins a queue; no timer is set                                               |
//! | one is not reported yet  | its limit ends; on a clock that can be paused, also until a wait ends              |
//! | all are reported         | another limit has passed; on a clock that can be paused, a get joins or a wait     |
//! |                          | ends, without a timer                                                              |
//!
//! In the last two rows a timer is set only while a get waits. On the real clock the timer may outlive that get by up
//! to the limit, which costs nothing. To wake the watch at the end of each wait would cost a busy pool one wake-up for
//! each wait. On a paused clock, a timer that is left behind lets time advance, so there the watch is woken at the end
//! of a wait and sets its timer again.
//!
//! # The age of a waiter
//!
//! While a watch exists, each waiter records a stamp when it joins. The stamp is of the waiter's clock and not of the
//! watch's, and these may differ: a thread that blocks uses std's clock, and the runtime of the watch may be paused.
//! The stamp is used if both are known to be of one clock. Otherwise the age of the waiter is the time since the watch
//! saw it first, by the clock of the watch.

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Engine, Shared},
        handle::{Pool, WeakPool},
        watches::{JOINED, LEFT},
    },
    observe::{
        report::{Report, ReportData},
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

/// The resolution of Tokio's timer. With a limit of zero the task would be busy, and could not distinguish one stall
/// from the next.
const LEAST_LIMIT: Duration = Duration::from_millis(1);

impl Pool {
    /// Returns a future that calls `on_stall` when a get has waited for longer than `limit`. Spawn it as a task of its own.
    ///
    /// It checks the gets that wait for a sample and those that wait for room in a quota. The [`Stall`] says how long
    /// the get has waited and who holds the samples.
    ///
    /// Each stall is reported once. After that, `on_stall` is called again only for a different get at the head of a queue,
    /// and not before another `limit` has passed. With the feature `tracing`, a stall also emits events of level
    /// `WARN`, of one line each: the wait, the quotas that gets wait for, and the lines of the program that hold
    /// samples. `on_stall` is called without a lock.
    ///
    /// The future does not keep the pool alive, and resolves once no handle is left. While it exists, each wait reads
    /// the clock three times; a get that finds a free sample pays nothing. For a get that already waits when the
    /// detector is made, the time counts from then.
    ///
    /// Time is that of the Tokio runtime that polls the future. It sets a timer only while a get waits, so it can be
    /// used in a test that [pauses](https://docs.rs/tokio/latest/tokio/time/fn.pause.html) time: there time advances
    /// only by what is left of the `limit` of a get that waits.
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future ends the detection.
    ///
    /// # Panics
    ///
    /// If it is polled outside a Tokio runtime with time enabled. A panic of `on_stall` is passed on, and ends the task.
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
    /// # let (stalls, mut reported) = tokio::sync::mpsc::unbounded_channel();
    /// tokio::spawn(pool.detect_stalls(limit, move |stall| {
    ///     eprintln!("{stall}");
    /// #   stalls.send(stall).unwrap();
    /// }));
    ///
    /// let held = pool.get_buffer().await?;
    /// // This task forgot that it holds the only sample. The report says where it took that sample.
    /// let late = pool.get_buffer_timeout(Duration::from_millis(100)).await;
    /// assert!(late.is_err());
    /// # let stall = reported.recv().await.unwrap();
    /// # assert!(stall.waited >= limit && stall.to_string().contains(file!()), "{stall}");
    /// # drop(held);
    /// # Ok(())
    /// # }
    /// ```
    pub fn detect_stalls<F: FnMut(Stall)>(&self, limit: Duration, on_stall: F) -> StallDetector<F> {
        StallDetector {
            watch: Watch::begin(self),
            limit: limit.max(LEAST_LIMIT),
            known: Vec::new(),
            warned: None,
            timer: None,
            on_stall,
        }
    }
}

/// The future that reports stalls; made by [`Pool::detect_stalls`].
#[must_use = "a future does nothing until it is awaited"]
pub struct StallDetector<F> {
    watch: Watch,
    limit: Duration,
    /// The head of each queue, as of the last look.
    known: Vec<Known>,
    /// When it reported a stall last.
    warned: Option<Moment>,
    timer: Option<Pin<Box<Sleep>>>,
    on_stall: F,
}

/// The waiter at the head of a queue. Waiters that were queued before the watch began have the time of its begin as
/// their join time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    joined: Stamp,
    waiter: WaiterNumber,
    /// The address of the account whose queue it is, or zero for the pool's.
    queue: usize,
}

/// A head that the watch has found.
#[derive(Clone, Copy, Debug)]
struct Known {
    first: First,
    /// The start of its wait, by the clock of the watch.
    since: Moment,
    was_warned_of: bool,
}

/// The result of a look.
enum Look {
    /// No handle to the pool is left.
    Gone,
    Stall(Box<Found>),
    /// The watch sleeps: until a timer fires, or without a timer.
    Asleep(Option<Duration>),
}

/// A stall, as it was read under the lock.
struct Found {
    waited: Duration,
    quota: Option<Arc<str>>,
    waiting: usize,
}

// `on_stall` is never pinned, so the future can move.
impl<F> Unpin for StallDetector<F> {}

impl<F> fmt::Debug for StallDetector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallDetector")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<F> StallDetector<F> {
    /// Looks at the heads of the queues. It either finds a stall or goes to sleep.
    fn look(&mut self, waker: &Waker) -> Look {
        // Cloning and dropping a waker is user code: cloned before the lock is taken, dropped after it is released.
        let waker = Spare::new(waker.clone());
        let engine = self.watch.pool.engine();
        let mut shared = engine.lock();
        if !engine.has_handle(&shared) {
            drop(shared);
            return Look::Gone;
        }
        let number = self.watch.number;
        // Register before checking: a get that joins after this look finds the interest and wakes the watch.
        let before = engine.sleep(&mut shared, number, JOINED, waker.into_inner());
        let before = before.map(Spare::new);
        let now = Moment::now_and_which();
        let heads = first_waiters(engine, &shared, now);
        self.known = heads
            .iter()
            .map(|(first, _)| self.known(engine, *first, now))
            .collect();
        let mut oldest: Option<usize> = None;
        for (at, known) in self.known.iter().enumerate() {
            let is_older = |than: usize| known.since.at < self.known[than].since.at;
            if !known.was_warned_of && oldest.is_none_or(is_older) {
                oldest = Some(at);
            }
        }
        let look = match oldest {
            Some(at) => {
                let waited = now.since(self.known[at].since);
                let since_warned = self.warned.map(|warned| now.since(warned));
                // The limit counts from the last report too, so that stalls are not reported more often.
                let age = since_warned.map_or(waited, |since| since.min(waited));
                match self.limit.checked_sub(age).filter(|left| !left.is_zero()) {
                    Some(left) => Look::Asleep(Some(left)),
                    None => {
                        self.known[at].was_warned_of = true;
                        self.warned = Some(now);
                        let account = heads[at].1.as_deref();
                        Look::Stall(Box::new(Found {
                            waited,
                            quota: account.map(|account| account.name().clone()),
                            waiting: account
                                .map_or(shared.waiting(), |account| account.waiting().0),
                        }))
                    }
                }
            }
            None if heads.is_empty() || now.is_virtual() => Look::Asleep(None),
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
        drop((before, heads));
        look
    }

    #[cfg(all(test, loom))]
    pub(crate) fn sleeps_without_a_timer(&mut self, waker: &Waker) -> bool {
        matches!(self.look(waker), Look::Asleep(None))
    }

    /// Replaces the timer. The new one is not registered until it is polled.
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

    /// What the watch knows of a waiter that is now at the head of its queue.
    fn known(&self, engine: &Engine, first: First, now: Moment) -> Known {
        let known = self.known.iter().find(|known| known.first == first);
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

/// The head of each queue that has a waiter, with the account if the queue is a quota's.
fn first_waiters(
    engine: &Engine,
    shared: &Shared,
    now: Moment,
) -> Vec<(First, Option<Arc<Account>>)> {
    let for_a_sample = shared.longest_wait().map(|(joined, waiter)| {
        let queue = 0;
        (
            First {
                joined,
                waiter,
                queue,
            },
            None,
        )
    });
    let for_room = engine.longest_waits_for_room(now);
    let for_room = for_room.map(|(joined, waiter, account)| {
        let queue = Arc::as_ptr(&account).addr();
        (
            First {
                joined,
                waiter,
                queue,
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
            // Makes a watch outside a runtime panic at the first poll, and not in the middle of the first stall.
            this.set_timer(limit);
        }
        loop {
            match this.look(cx.waker()) {
                Look::Gone => return Poll::Ready(()),
                Look::Stall(stall) => {
                    let stall = Stall::of(*stall, this.watch.pool.engine());
                    #[cfg(feature = "tracing")]
                    crate::observe::stall_events::emit_stall(&stall);
                    (this.on_stall)(stall);
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
    /// The report is read after the stall was found, without the lock that was held for that.
    fn of(stall: Found, engine: &Engine) -> Self {
        Stall {
            waited: stall.waited,
            quota: stall.quota,
            waiting: stall.waiting,
            report: Report::of(ReportData::of(engine)),
        }
    }
}

/// While it exists, gets that join a queue record when they joined.
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
