//! The engine: everything that the handles of one pool share.
//!
//! The common get and release take no lock and write nothing of the engine but one word of the free list. What changes
//! rarely (the waiters, the drain, the callback) is [`Shared`], under one lock. To change it in a way that a get or a
//! release must see, the holder of the lock parks the open words of the free list, so that gets and releases take the
//! lock too.

#![forbid(unsafe_code)]

use crate::{
    core::{
        callback::NotifyRelease,
        ref_count::{Handles, ReleaseGuards},
        wait_times::Waits,
        watches::{Interest, Watches},
    },
    free_list::{
        priority::PriorityBuffers, striped::FreeList, used::Totals, word_states::WordStates,
    },
    memory::slot_memory::Relock,
    slot::{bytes::Geometry, owned::OwnedSlot},
    sync::{
        AtomicPtr, Changed, Lock, LockGuard, Ordering, SettingU8, StatisticU64,
        spread_count::SpreadCount,
    },
    values::{error::GetBufferError, properties::Properties, status::State},
    wait::{
        clock::{Moment, Stamp},
        event::Event,
        queue::{KEPT_BY_A_POOL, Offer, WaitQueue},
        quota_accounts::Accounts,
        reclaim::Reclaim,
    },
};
use crossbeam_utils::CachePadded;
use std::{
    fmt, io,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

/// The settings that the builder fixes for the life of the pool.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_waiters: usize,
    pub(crate) priority_buffers: usize,
    pub(crate) zero_on_release: bool,
    pub(crate) prefault: bool,
    pub(crate) huge_pages: bool,
    pub(crate) track_holders: bool,
    pub(crate) measure_waits: bool,
    pub(crate) name: Option<Arc<str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_waiters: usize::MAX,
            priority_buffers: 0,
            zero_on_release: false,
            prefault: false,
            huge_pages: false,
            track_holders: false,
            measure_waits: false,
            name: None,
        }
    }
}

/// A callback, in an `Arc` of its own so that a release finds it through one thin pointer.
pub(crate) type Callback = Arc<Arc<dyn NotifyRelease>>;

/// The shared part of all handles; see the module's documentation for what is under its lock and what is not.
pub(crate) struct Engine {
    pub(super) free_list: FreeList,
    pub(super) settings: Settings,
    pub(super) geometry: Geometry,
    /// The start of the ages of samples, and of the stamps of waits.
    pub(super) born: Instant,
    /// What a get without the lock must know of the life cycle; see [`Gate`].
    gate: SettingU8,
    /// The events that the watches want to be woken by.
    pub(super) interest: Interest,
    /// The waits that have ended, if waits are measured.
    pub(super) waits: Option<Box<Waits>>,
    /// The callback that is set, for releases that have a callback reference. Written under the lock, while every word
    /// is parked.
    pub(super) callback: AtomicPtr<Arc<dyn NotifyRelease>>,
    /// The handles, and the futures that own one. The last one is dropped under the lock.
    pub(super) handles: CachePadded<Handles>,
    pub(super) shared: CachePadded<Lock<Shared>>,
    /// The accounts of the pool's quotas, under a lock of their own.
    pub(super) accounts: Accounts,
    /// Notified when [`Shared::busy`] ends.
    pub(super) not_busy: Changed,
    /// Gets that failed because the pool was empty.
    pub(super) misses: SpreadCount,
    pub(super) callback_panics: StatisticU64,
    /// Gets that had to wait for room in a quota. They do so without the pool's lock.
    pub(super) waited_for_room: StatisticU64,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Whether gets are served, as a get without the lock reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Gate {
    Shut = 0,
    Open = 1,
}

/// The state under the lock. The fields that a hand-off needs come first, so that they are on few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shared {
    pub(super) state: State,
    pub(super) flushing: bool,
    /// Memory is being mapped or returned to the system, outside the lock. Calls that change the life cycle wait, and
    /// no user code runs in this time.
    pub(super) busy: bool,
    /// The last handle, callback reference and sample are gone: one thread is about to free the pool.
    pub(super) ended: bool,
    pub(super) release_guards: ReleaseGuards,
    pub(super) priority_buffers: PriorityBuffers,
    pub(super) queue: WaitQueue,
    /// Tasks that keep a buffer until a get queues.
    pub(super) reclaim: Reclaim,
    pub(super) callback: Option<Callback>,
    pub(super) released: Event,
    pub(super) properties: Properties,
    pub(super) words: WordStates,
    /// What a commit must do with memory that was locked when it was returned to the system.
    pub(super) relock: Option<Relock>,
    /// How many bytes the system refused to take back at the end of the last drain.
    pub(super) memory_kept: usize,
    pub(super) drained: Event,
    /// Callbacks that were replaced while calls may have been in flight.
    pub(super) retired: Vec<Callback>,
    pub(super) counters: Counters,
    pub(super) watches: Watches,
    /// The wakers of futures that were leaked with `mem::forget` while they were queued. They are taken out when the
    /// last handle is gone, and dropped when the pool is freed, without the lock, because that drop is user code.
    pub(super) forgotten_wakers: Vec<Waker>,
}

/// Counts of the slow path, kept under the lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// The sums of the commits that have ended.
    pub(super) totals: Totals,
    pub(super) waited: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
}

impl Engine {
    pub(crate) fn new(settings: Settings) -> io::Result<Self> {
        let waits = settings.measure_waits.then(|| Box::new(Waits::none()));
        Ok(Engine {
            free_list: FreeList::new()?,
            settings,
            geometry: Geometry::default(),
            born: Instant::now(),
            interest: Interest::default(),
            waits,
            gate: SettingU8::new(Gate::Shut as u8),
            callback: AtomicPtr::new(std::ptr::null_mut()),
            handles: CachePadded::new(Handles::one()),
            shared: CachePadded::new(Lock::new(Shared {
                state: State::Unconfigured,
                flushing: false,
                busy: false,
                ended: false,
                release_guards: ReleaseGuards::default(),
                priority_buffers: PriorityBuffers::default(),
                properties: Properties::default(),
                words: WordStates::default(),
                relock: None,
                memory_kept: 0,
                queue: WaitQueue::new(KEPT_BY_A_POOL),
                reclaim: Reclaim::default(),
                released: Event::default(),
                drained: Event::default(),
                callback: None,
                retired: Vec::new(),
                counters: Counters::default(),
                watches: Watches::default(),
                forgotten_wakers: Vec::new(),
            })),
            accounts: Accounts::default(),
            not_busy: Changed::new(),
            misses: SpreadCount::new(),
            callback_panics: StatisticU64::new(0),
            waited_for_room: StatisticU64::new(0),
        })
    }

    pub(crate) fn lock(&self) -> LockGuard<'_, Shared> {
        self.shared.lock()
    }

    /// The name that the builder set.
    #[inline]
    pub(crate) fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }

    pub(crate) fn shared_name(&self) -> Option<Arc<str>> {
        self.settings.name.clone()
    }

    #[inline]
    pub(crate) fn tracks_holders(&self) -> bool {
        self.settings.track_holders
    }

    pub(crate) fn wipes(&self) -> bool {
        self.settings.zero_on_release
    }

    pub(crate) fn max_waiters(&self) -> usize {
        self.settings.max_waiters
    }

    /// The sizes of the parts of a slot.
    #[inline]
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The moment of a stamp of this pool.
    pub(crate) fn moment(&self, stamp: Stamp) -> Moment {
        stamp.moment(self.born)
    }

    /// Whether gets are served. Exact for a thread that is ordered after the change, by the lock for example.
    #[inline]
    pub(crate) fn serves_gets(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == Gate::Open as u8
    }

    pub(crate) fn stamp(&self, moment: Moment) -> Stamp {
        Stamp::new(moment, self.born)
    }

    /// How long ago a stamp of this pool was, by the caller's clock.
    pub(crate) fn since(&self, earlier: Stamp) -> Duration {
        Moment::now().since(earlier.moment(self.born))
    }

    /// Sets the gate for gets without the lock. Called under the lock.
    pub(crate) fn set_gate(&self, shared: &Shared) {
        let gate = match shared.serves() {
            Ok(()) => Gate::Open,
            Err(_) => Gate::Shut,
        };
        self.gate.store(gate as u8, Ordering::Relaxed);
    }
}

impl Shared {
    /// Whether gets are served, and otherwise their error.
    pub(crate) fn serves(&self) -> Result<(), GetBufferError> {
        if self.state != State::Committed {
            return Err(GetBufferError::NotCommitted);
        }
        if self.flushing {
            return Err(GetBufferError::Flushing);
        }
        Ok(())
    }

    /// Whether gets and releases may skip the lock, because there is nothing that they would have to see. If so, words
    /// may be opened.
    pub(crate) fn allows_fast_path(&self, engine: &Engine) -> bool {
        self.serves().is_ok()
            && self.queue.is_empty()
            && self.released.is_empty()
            && engine.handles.any()
    }

    /// Adds what the slots counted since the commit to the sums of all commits. Every slot is free.
    pub(crate) fn add_to_totals(&mut self, totals: Totals) {
        self.counters.totals.acquired += totals.acquired;
        self.counters.totals.released += totals.released;
        self.counters.totals.used = totals.used;
        self.words.reset_totals();
    }

    /// Hands a slot off to the waiter at the head of the queue, or puts it. Returns the waker of a waiter that has all
    /// its slots; the caller wakes it after the unlock.
    #[inline]
    pub(crate) fn hand_off_or_put(&mut self, engine: &Engine, slot: OwnedSlot) -> Option<Waker> {
        // Priority buffers come before ordinary waiters, which may not take them, and after waiters of high priority.
        if self.priority_buffers.is_short() && !self.queue.has_high_priority() {
            self.priority_buffers.keep(slot);
            return None;
        }
        match self.queue.offer(slot) {
            Offer::NoWaiter(slot) => {
                let may_open = self.allows_fast_path(engine);
                self.words.put(&engine.free_list, slot, may_open);
                None
            }
            Offer::Gathered => None,
            Offer::Served(waker) => Some(waker),
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
pub(crate) mod tests {
    use crate::Pool;
    use std::{
        thread,
        time::{Duration, Instant},
    };

    /// The result of `get` on another thread while this thread has the pool's lock.
    #[track_caller]
    pub(crate) fn without_the_lock<T: Send + 'static>(
        pool: &Pool,
        get: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        while_it_is_held(pool.engine().lock(), get)
    }

    /// The result of `get` on another thread while this thread has `lock`.
    #[track_caller]
    pub(crate) fn while_it_is_held<L, T: Send + 'static>(
        lock: L,
        get: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let thread = thread::spawn(get);
        let begun = Instant::now();
        while !thread.is_finished() && begun.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
        let finished = thread.is_finished();
        drop(lock);
        assert!(finished, "it waits for the lock");
        thread.join().expect("no panic")
    }
}
