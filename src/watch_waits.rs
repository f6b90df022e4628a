//! Noticing that a get has waited for too long, and saying so once.
//!
//! Somebody else has to notice. A waiter has no timer, and must not need one: it works on any executor.
//! A get that hits must not pay, and so knows nothing of this. What a watch looks at is the first in each
//! line alone, the pool's and those of its quotas, under the lock: nobody has waited for longer. So it sleeps until the first will have waited for
//! too long; and while nobody waits, for as long as the limit, because whoever joins meanwhile cannot have
//! waited for longer by then. Each stall is seen, and the pool is looked at once in each limit.
//!
//! The first in line must have written down when it joined, so while somebody watches each wait is
//! measured: it reads the clock twice, as with `measure_waits`.
//!
//! | the first in a line    | the watch                                                            |
//! |------------------------|----------------------------------------------------------------------|
//! | nobody                 | sleeps for the limit                                                 |
//! | waits within the limit | sleeps for the rest of it                                            |
//! | waits for longer       | warns, unless it warned of this one, and sleeps for the limit        |

#![forbid(unsafe_code)]

use crate::{
    escape::escaped,
    line::SeatNumber,
    raw::handle::{Pool, WeakPool},
    report::Report,
    trace,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::time::{Sleep, sleep};

/// The timer's own resolution. Without it a limit of zero would keep the task busy.
const LEAST_SLEEP: Duration = Duration::from_millis(1);

/// A get has waited for longer than a [watch](Pool::watch_waits) allows.
///
/// Printed, it says for how long, and then what the [`Report`] says.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LongWait {
    /// How long the first in line has waited. All others in line joined after it.
    pub waited: Duration,
    /// The name of the [quota](crate::Quota) in which it waits for room; `None` if it waits for a sample.
    pub quota: Option<Arc<str>>,
    /// How the pool stands at this moment, and who holds its samples if
    /// [`Builder::track_holders`](crate::Builder::track_holders) was set.
    pub report: Report,
}

/// `a get has waited for 1.0s`, or `a get has waited for 1.0s for room in camera 1`, and the report in the
/// lines after it.
impl fmt::Display for LongWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a get has waited for {:.1?}", self.waited)?;
        if let Some(quota) = &self.quota {
            write!(f, " for room in {}", escaped(quota))?;
        }
        write!(f, "\n{}", self.report)
    }
}

impl Pool {
    /// Watches for gets that wait for longer than `limit`, in line or for room in a quota, and calls `warn`
    /// with who holds the samples meanwhile. For a task of its own.
    ///
    /// It warns once of each stall, whoever else waits: again only of another one who is first in a line, and
    /// not before another `limit` has passed. With the
    /// feature `tracing` it is an event as well, of level `WARN`. `warn` is called without a lock.
    ///
    /// It does not keep the pool alive, and resolves once no handle is left, up to `limit` later. While it
    /// exists each wait in line reads the clock twice, which is a fifth of a hand-over; a get that finds a
    /// sample pays nothing. Waits that began before it count from when it was made.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future ends the watch.
    ///
    /// # Panics
    ///
    /// If it is polled outside a Tokio runtime with a timer, or after the one was shut down in which it was
    /// polled before. A panic of `warn` goes through, and ends the
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
    /// tokio::spawn(pool.watch_waits(limit, move |wait| {
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
    pub fn watch_waits<F: FnMut(LongWait)>(&self, limit: Duration, warn: F) -> WatchWaits<F> {
        WatchWaits {
            watch: Watch::begin(self),
            limit,
            warned_of: Vec::new(),
            timer: None,
            warn,
        }
    }
}

/// The future of a watch; see [`Pool::watch_waits`].
#[must_use = "a future does nothing until it is awaited"]
pub struct WatchWaits<F> {
    watch: Watch,
    limit: Duration,
    /// Those of whom it has warned, and who are still first in a line.
    warned_of: Vec<First>,
    timer: Option<Pin<Box<Sleep>>>,
    warn: F,
}

/// The first in a line. Those who were in line before the watch joined at one time, as it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    joined: Instant,
    seat: SeatNumber,
    /// The address of the account whose line it is, or zero for the pool's.
    line: usize,
}

// The callback is never pinned.
impl<F> Unpin for WatchWaits<F> {}

impl<F> fmt::Debug for WatchWaits<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchWaits")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(LongWait)> WatchWaits<F> {
    /// Warns if it is time to. The answer is for how long there is nothing to see; `None` if the pool is
    /// gone.
    fn look(&mut self) -> Option<Duration> {
        let engine = self.watch.pool.engine();
        let shared = engine.lock();
        if !engine.can_be_had(&shared) {
            return None;
        }
        let now = Instant::now();
        let in_line = shared.line.longest().map(|(joined, seat)| {
            let line = 0;
            (First { joined, seat, line }, None)
        });
        let for_room = engine.accounts.longest(now);
        let for_room = for_room.map(|(joined, seat, account)| {
            let line = Arc::as_ptr(&account).addr();
            (First { joined, seat, line }, Some(account.name().clone()))
        });
        let all: Vec<_> = in_line.into_iter().chain(for_room).collect();
        // Those who have gone need not be remembered.
        self.warned_of
            .retain(|warned| all.iter().any(|(first, _)| first == warned));
        let unknown = all
            .iter()
            .filter(|(first, _)| !self.warned_of.contains(first));
        let Some((first, quota)) = unknown.min_by_key(|(first, _)| first.joined) else {
            return Some(self.limit);
        };
        let waited = now.saturating_duration_since(first.joined);
        if waited < self.limit {
            return Some(self.limit - waited);
        }
        self.warned_of.push(*first);
        let quota = quota.clone();
        let seen = engine.look(&shared);
        drop(shared);
        let report = Report::of(seen);
        let wait = LongWait {
            waited,
            quota,
            report,
        };
        trace::long_wait(&wait);
        (self.warn)(wait);
        Some(self.limit)
    }
}

impl<F: FnMut(LongWait)> Future for WatchWaits<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            if let Some(timer) = &mut this.timer {
                ready!(timer.as_mut().poll(cx));
            }
            let Some(quiet) = this.look() else {
                return Poll::Ready(());
            };
            let another = sleep(quiet.max(LEAST_SLEEP));
            match &mut this.timer {
                Some(timer) => timer.set(another),
                None => this.timer = Some(Box::pin(another)),
            }
        }
    }
}

/// While it exists, those who join the line write down when.
struct Watch {
    pool: WeakPool,
}

impl Watch {
    fn begin(pool: &Pool) -> Self {
        let mut shared = pool.engine().lock();
        shared.watchers += 1;
        let now = Instant::now();
        shared.line.measure_from(now);
        pool.engine().accounts.measure_from(now);
        drop(shared);
        Watch {
            pool: pool.downgrade(),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.pool.engine().lock().watchers -= 1;
    }
}
