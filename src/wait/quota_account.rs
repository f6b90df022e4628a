//! A quota's account: how much is charged to it, and who waits for room in it.
//!
//! | what | where |
//! |---|---|
//! | how many samples are charged, and whether anyone waits | one number, changed by compare-exchange |
//! | who waits | a line of the account's own, under a lock of its own |
//!
//! With nobody in line a charge and its return are one atomic operation each, of a cache line that only
//! this quota's users write. Whoever finds no room marks the number in the same exchange that looks at
//! it, under the lock: from then on every return comes under the lock, and finds it in line.
//!
//! The account's lock is taken under the pool's, when a decommit or a flush turns everybody away, so the
//! pool's is never taken under the account's.
//!
//! # Invariants, true whenever the account's lock is free
//!
//! - **A1** The mark is there if and only if somebody is in line. loom `room_meets_whoever_waits_for_it`
//! - **A2** Whoever is first in line wants more than there is room, but for those that are being admitted,
//!   one in each hold of the lock. loom
//!   `room_meets_whoever_waits_for_it`, `a_waiter_that_leaves_lets_those_behind_it_pass`
//! - **A3** No more is charged than the limit. `quotas: *`, loom `a_quota_is_not_exceeded`
//!
//! The users of an account own it: its line has no waiter when it is dropped, since a get is a user, also one that
//! was forgotten.
//!
//! Who was admitted and has not looked yet has nothing of the pool, so a decommit or a flush fails it like those in
//! line, and with the last error: the account counts how often it turned everybody away, and who looks compares.

#![forbid(unsafe_code)]

use super::registry::Entry;
use crate::values::quota_status::QuotaStatus;
use crate::{
    slot::list::SlotList,
    sync::{
        AtomicUsize, Lock, Ordering,
        user_code::{self, Spare},
    },
    values::error::GetBufferError,
    wait::{
        clock::Stamp,
        node::{Outcome, Ticket, Timer},
        queue::{KEPT_BY_A_QUOTA, Left, WaitQueue},
        reclaim::{Key, Reclaim},
        request::{Rank, Wanted, Why},
        slab::WaiterNumber,
    },
};
use crossbeam_utils::CachePadded;
use std::{
    fmt,
    panic::{RefUnwindSafe, UnwindSafe},
    sync::Arc,
    task::Waker,
    time::Duration,
};

/// Somebody is in line.
const WAITED_FOR: usize = 1;
const ONE: usize = 2;

/// What an account asks its pool. It is a trait because the account is below the pool, which has the accounts.
pub(crate) trait QuotaPool: Send + Sync {
    /// Whether the pool serves gets now, and can ever serve this one; and what time it is, if the wait is measured.
    fn admits(&self, wanted: Wanted) -> Result<Option<Stamp>, GetBufferError>;
    /// Whether the pool serves gets. Exact for whoever ordered itself after the change.
    fn is_open(&self) -> bool;
    /// How many gets may wait for room in one quota.
    fn max_waiters(&self) -> usize;
    /// Counts a wait that begins.
    fn wait_began(&self);
    /// Counts a wait that ends.
    fn wait_ended(&self, ticket: &Ticket);
    /// Counts a get that was given up.
    fn given_up(&self, why: Why);
    /// How long it is since a stamp of this pool.
    fn since(&self, joined: Stamp) -> Duration;
}

/// See the module's documentation.
pub(crate) struct Account {
    /// An account does not keep its pool alive: a sample can be its last user.
    pool: Box<dyn QuotaPool>,
    /// Removed from the pool's accounts when this is dropped.
    _entry: Entry<Account>,
    name: Arc<str>,
    limit: usize,
    /// Of all gets that are charged here. It never changes, so a user of the quota cannot raise it.
    rank: Rank,
    /// How many samples are charged, times [`ONE`], and [`WAITED_FOR`]. Relaxed: it is a number, and what it
    /// counts is handed over by the free list.
    charged: CachePadded<AtomicUsize>,
    waiters: Lock<Queue>,
}

/// What is under the account's lock.
struct Queue {
    queue: WaitQueue,
    /// Tasks that keep a sample of this quota until a get of it queues.
    reclaim: Reclaim,
    turned_away: TurnedAway,
}

/// How often everybody was turned away, and why the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TurnedAway {
    times: u64,
    error: GetBufferError,
}

/// A place in the account's line.
#[derive(Debug)]
pub(crate) struct Place {
    ticket: Ticket,
    /// As it was when it joined.
    turned_away: u64,
}

// It asks its pool by the pool's weak handle, which a panic leaves as it was.
impl UnwindSafe for Account {}
impl RefUnwindSafe for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("charged", &self.charged())
            .finish_non_exhaustive()
    }
}

impl Place {
    pub(crate) fn timer(&mut self) -> &mut Option<Timer> {
        self.ticket.timer()
    }
}

/// What came of asking for room under the lock.
#[derive(Debug)]
pub(crate) enum Asked {
    Charged,
    Place(Place),
}

impl Account {
    pub(crate) fn new(
        pool: Box<dyn QuotaPool>,
        entry: Entry<Account>,
        name: Arc<str>,
        limit: usize,
        rank: Rank,
    ) -> Self {
        Account {
            pool,
            _entry: entry,
            name,
            limit: limit.min(usize::MAX / ONE),
            rank,
            charged: CachePadded::new(AtomicUsize::new(0)),
            waiters: Lock::new(Queue {
                queue: WaitQueue::new(KEPT_BY_A_QUOTA),
                reclaim: Reclaim::default(),
                turned_away: TurnedAway {
                    times: 0,
                    error: GetBufferError::NotCommitted,
                },
            }),
        }
    }

    pub(crate) fn pool(&self) -> &dyn QuotaPool {
        &*self.pool
    }

    /// How it stands. `since` says how long a wait has lasted that began at a stamp.
    pub(crate) fn status(&self, since: impl Fn(Stamp) -> Duration) -> QuotaStatus {
        let (waiting, oldest) = self.waiting();
        QuotaStatus {
            name: self.name.clone(),
            limit: self.limit,
            in_use: self.charged(),
            waiting,
            oldest_wait: oldest.map(since),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn rank(&self) -> Rank {
        self.rank
    }

    pub(crate) fn charged(&self) -> usize {
        self.charged.load(Ordering::Relaxed) / ONE
    }

    /// How many are in line, and when the first of them joined, if that was written down.
    pub(crate) fn waiting(&self) -> (usize, Option<Stamp>) {
        let waiters = self.waiters.lock();
        (waiters.queue.len(), waiters.queue.oldest())
    }

    /// When who has waited for longest joined, and where it sits; whoever joined without a time is taken for having
    /// joined now.
    pub(crate) fn longest(&self, now: Stamp) -> Option<(Stamp, WaiterNumber)> {
        let mut waiters = self.waiters.lock();
        waiters.queue.measure_from(now);
        waiters.queue.longest()
    }

    /// Takes those who joined without a time for having joined now.
    pub(crate) fn measure_from(&self, now: Stamp) {
        self.waiters.lock().queue.measure_from(now);
    }

    /// How much can be charged, as long as nobody else does.
    fn room(&self, charged: usize) -> usize {
        self.limit - charged / ONE
    }

    /// Charges up to `count` samples, as many as there is room for if no waiter is queued, and says how many.
    pub(crate) fn try_charge_up_to(&self, count: usize) -> usize {
        let mut charged = self.charged.load(Ordering::Relaxed);
        loop {
            let room = match charged & WAITED_FOR {
                0 => self.room(charged).min(count),
                _ => 0,
            };
            if room == 0 {
                return 0;
            }
            match self.exchange(charged, charged + room * ONE) {
                Ok(_) => return room,
                Err(now) => charged = now,
            }
        }
    }

    /// Charges `count` samples if there is room and nobody is in line.
    #[inline]
    pub(crate) fn try_charge(&self, count: usize) -> bool {
        let mut charged = self.charged.load(Ordering::Relaxed);
        while charged & WAITED_FOR == 0 && count <= self.room(charged) {
            match self.exchange(charged, charged + count * ONE) {
                Ok(_) => return true,
                Err(now) => charged = now,
            }
        }
        false
    }

    fn exchange(&self, seen: usize, new: usize) -> Result<usize, usize> {
        self.charged
            .compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed)
    }

    /// Charges `count` samples, or joins the account's line for them.
    pub(crate) fn charge_or_join(
        &self,
        count: usize,
        waker: &Waker,
    ) -> Result<Asked, GetBufferError> {
        let max_waiters = self.pool.max_waiters();
        loop {
            let joined = self.pool.admits(Wanted {
                slots: count,
                rank: self.rank,
            })?;
            if count > self.limit {
                return Err(GetBufferError::TooMany);
            }
            // Foreign, as in `take_or_join`.
            let waker = Spare::new(waker.clone());
            let mut waiters = self.waiters.lock();
            if !self.pool.is_open() {
                // Whoever shut it since has turned away this line already, or will: look again.
                continue;
            }
            let turned_away = waiters.turned_away.times;
            let queue = &mut waiters.queue;
            if queue.is_empty() && self.charge_or_mark(count, max_waiters > 0) {
                return Ok(Asked::Charged);
            }
            if queue.len() >= max_waiters {
                // As in `take_or_join`.
                let requested = waiters.reclaim.take_for_refused();
                drop(waiters);
                if let Some(requested) = requested {
                    requested.wake_all();
                }
                return Err(GetBufferError::TooManyWaiters);
            }
            // In this line nobody overtakes.
            let wanted = Wanted {
                slots: count,
                rank: Rank::Ordinary,
            };
            let ticket = queue.join(wanted, SlotList::default(), joined, waker.into_inner());
            let requested = waiters.reclaim.take();
            drop(waiters);
            if let Some(requested) = requested {
                requested.wake_all();
            }
            self.pool.wait_began();
            return Ok(Asked::Place(Place {
                ticket,
                turned_away,
            }));
        }
    }

    /// Registers a waker for the next get that waits for room. `None` if one waits already, or was refused since `key`
    /// was registered because none may wait.
    pub(crate) fn register(
        &self,
        key: &mut Option<Key>,
        waker: Spare<Waker>,
    ) -> Option<Option<Waker>> {
        let mut waiters = self.waiters.lock();
        if !waiters.queue.is_empty() || waiters.reclaim.was_refused(key) {
            return None;
        }
        Some(waiters.reclaim.register(key, waker.into_inner()))
    }

    /// Removes what `register` left. The caller drops it.
    pub(crate) fn unregister(&self, key: &mut Option<Key>) -> Option<Waker> {
        self.waiters.lock().reclaim.remove(key)
    }

    /// Charges `count` samples if there is room; otherwise marks the number, if somebody `may_wait`. Called
    /// under the lock, while nobody is in line.
    fn charge_or_mark(&self, count: usize, may_wait: bool) -> bool {
        let mut charged = self.charged.load(Ordering::Relaxed);
        loop {
            let has_room = count <= self.room(charged);
            let new = match (has_room, may_wait) {
                (true, _) => charged + count * ONE,
                (false, true) => charged | WAITED_FOR,
                (false, false) => return false,
            };
            match self.exchange(charged, new) {
                Ok(_) => return has_room,
                Err(now) => charged = now,
            }
        }
    }

    /// Goes on waiting, and is woken by `waker` from now on; or finds that it was told its outcome at
    /// this moment.
    pub(crate) fn wait_on(&self, place: &mut Place, waker: &Waker) -> Option<Outcome> {
        let ticket = &mut place.ticket;
        if let Some(outcome) = ticket.take_outcome() {
            return Some(outcome);
        }
        let another = self.waiters.lock().queue.waits_with_another(ticket, waker);
        if another {
            // Cloned before the lock is taken, and the other one dropped once it is free.
            let waker = waker.clone();
            let unused = self.waiters.lock().queue.wake_by(ticket, waker);
            user_code::quietly(|| drop(unused));
        }
        ticket.take_outcome()
    }

    /// Gives up the place of one that was told `outcome`. The answer is whether it was charged: one that was turned
    /// away since has to give that back.
    pub(crate) fn told(
        &self,
        place: Place,
        outcome: Outcome,
        count: usize,
    ) -> Result<(), GetBufferError> {
        self.pool.wait_ended(&place.ticket);
        place.ticket.give_back();
        match outcome {
            Outcome::Slots(_) => self.keep_unless_turned_away(place.turned_away, count),
            Outcome::Failed(error) => Err(error),
        }
    }

    /// Gives back what was charged for one that was turned away after it was admitted.
    fn keep_unless_turned_away(&self, times: u64, count: usize) -> Result<(), GetBufferError> {
        let last = self.waiters.lock().turned_away;
        if last.times == times {
            return Ok(());
        }
        self.give_back(count);
        Err(last.error)
    }

    /// Leaves the account's line. The answer is whether what it waited for had been charged already, or
    /// the failure that it was told; what was charged for one that was turned away since is given back.
    pub(crate) fn leave(&self, place: Place, count: usize) -> Result<bool, GetBufferError> {
        let Place {
            mut ticket,
            turned_away,
        } = place;
        let mut waiters = self.waiters.lock();
        let left = waiters.queue.leave(&mut ticket);
        // Those behind it may want less.
        let admitted = self.admit(&mut waiters.queue);
        drop(waiters);
        self.pool.wait_ended(&ticket);
        ticket.give_back();
        self.wake_from(admitted);
        match left {
            Left::Waiting(_, waker) => {
                user_code::quietly(|| drop(waker));
                Ok(false)
            }
            Left::WithOutcome(Outcome::Slots(_)) => {
                self.keep_unless_turned_away(turned_away, count)?;
                Ok(true)
            }
            Left::WithOutcome(Outcome::Failed(error)) => Err(error),
        }
    }

    /// Gives back what `count` samples were charged.
    #[inline]
    pub(crate) fn give_back(&self, count: usize) {
        let mut charged = self.charged.load(Ordering::Relaxed);
        while charged & WAITED_FOR == 0 {
            match self.exchange(charged, charged - count * ONE) {
                Ok(_) => return,
                Err(now) => charged = now,
            }
        }
        self.give_back_under_the_lock(count);
    }

    #[cold]
    fn give_back_under_the_lock(&self, count: usize) {
        let mut waiters = self.waiters.lock();
        self.charged.fetch_sub(count * ONE, Ordering::Relaxed);
        let admitted = self.admit(&mut waiters.queue);
        drop(waiters);
        self.wake_from(admitted);
    }

    /// Wakes one that was admitted, and admits the next: one for each hold of the lock, so that nobody
    /// has to be remembered until it is free.
    fn wake_from(&self, mut admitted: Option<Waker>) {
        while let Some(waker) = admitted {
            user_code::quietly(|| waker.wake());
            admitted = self.admit(&mut self.waiters.lock().queue);
        }
    }

    /// Charges the first in line, if there is room for what it wants, and tells it so. While somebody is
    /// in line nobody charges without the lock.
    fn admit(&self, queue: &mut WaitQueue) -> Option<Waker> {
        let charged = self.charged.load(Ordering::Relaxed);
        let admitted = queue.admit(self.room(charged));
        if let Some((count, _)) = admitted {
            self.charged.fetch_add(count * ONE, Ordering::Relaxed);
        }
        self.unmark_if_empty(queue);
        admitted.map(|(_, waker)| waker)
    }

    fn unmark_if_empty(&self, queue: &WaitQueue) {
        if queue.is_empty() {
            self.charged.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        }
    }

    /// Turns away everybody in the account's line, and who was admitted and has not looked. Called under the pool's
    /// lock.
    pub(crate) fn fail_all(&self, error: GetBufferError) -> Vec<Waker> {
        let mut waiters = self.waiters.lock();
        let times = waiters.turned_away.times + 1;
        waiters.turned_away = TurnedAway { times, error };
        let (failed, nothing) = waiters.queue.fail_all(error);
        debug_assert_eq!(nothing.len(), 0, "who waits for room has no slots");
        self.unmark_if_empty(&waiters.queue);
        failed
    }
}
