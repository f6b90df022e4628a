//! A quota's account: how many samples count against the quota, and the queue of gets that wait for room in it.
//!
//! | what                                                        | where                                                     |
//! |-------------------------------------------------------------|-----------------------------------------------------------|
//! | how many samples are in use, and whether a waiter is queued | one word, changed by compare-exchange                     |
//! | the waiters                                                 | a wait queue of the account's own, under a lock of its own |
//!
//! Without a waiter, reserving room and returning it are one atomic operation each, of a cache line that only the users
//! of this quota write: [`quota_word`](super::quota_word). A get that finds no room takes the lock, and sets a mark in the
//! same exchange that checks the word. From then on every return takes the lock, and finds the waiter.
//!
//! The account's lock is taken under the pool's when a decommit or a flush fails all waiters. So the pool's lock is
//! never taken under the account's.
//!
//! # Invariants, true whenever the account's lock is free
//!
//! - **A1** The mark is set if and only if a waiter is queued. loom `returned_room_meets_a_waiter_for_room`
//! - **A2** The head of the queue wants more than there is room for. The exception is while waiters are being admitted,
//!   one in each hold of the lock. loom `returned_room_meets_a_waiter_for_room`,
//!   `a_waiter_that_leaves_lets_the_waiters_behind_it_pass`
//! - **A3** No more is in use than the limit. `quotas: *`, loom `a_quota_is_not_exceeded`
//!
//! The handles of a quota own its account, and what is in use keeps it alive: see [`charge`](super::charge). Its queue has
//! no waiter when it is dropped, because a get has a handle, also a get that was forgotten.
//!
//! A get that was admitted and not polled since has nothing of the pool. So a decommit or a flush fails it as it fails
//! the queued ones, and with the last error. For this the account counts how often it has failed all waiters, and the
//! get compares the count when it is polled.

#![forbid(unsafe_code)]

use super::registry::Entry;
use crate::{
    slot::list::SlotList,
    sync::{
        Lock,
        user_code::{self, Spare},
    },
    values::{error::GetBufferError, quota_status::QuotaStatus},
    wait::{
        clock::Stamp,
        node::{NodeRef, Outcome, Timer},
        queue::{KEPT_BY_A_QUOTA, LeaveResult, WaitQueue},
        quota_pool::QuotaPool,
        quota_word::{MAX_LIMIT, QuotaWord, Subtracted},
        reclaim::{Key, Reclaim},
        request::{Rank, Wanted},
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

/// See the module's documentation.
pub(crate) struct Account {
    /// A weak handle: an account does not keep its pool alive, because a sample can be its last user.
    pool: Box<dyn QuotaPool>,
    /// Its drop removes the account from the pool's registry.
    _entry: Entry<Account>,
    name: Arc<str>,
    limit: usize,
    /// The rank of all gets of this quota. It never changes, so a user of the quota cannot raise it.
    rank: Rank,
    pub(super) word: CachePadded<QuotaWord>,
    waiters: Lock<Queue>,
}

/// The data under the account's lock.
struct Queue {
    queue: WaitQueue,
    /// Wakers of tasks that keep a sample of this quota until a get of it is queued.
    reclaim: Reclaim,
    failures: Failures,
    /// The account itself, for its charges, which are no references that are counted one by one (A4).
    kept: Option<Arc<Account>>,
}

/// How often all waiters were failed, by a decommit or a flush, and the last error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failures {
    times: u64,
    error: GetBufferError,
}

/// The wait of a get for room: its node in the account's queue.
#[derive(Debug)]
pub(crate) struct RoomWait {
    node_ref: NodeRef,
    /// [`Failures::times`] when the get joined. A get that was admitted fails too if the number has grown since.
    failures_before: u64,
}

// Its pool is a trait object, which is not unwind safe by its type. It is the weak handle of the pool, which a panic
// does not change.
impl UnwindSafe for Account {}
impl RefUnwindSafe for Account {}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}

impl RoomWait {
    pub(super) fn failures_before(&self) -> u64 {
        self.failures_before
    }

    pub(crate) fn timer(&mut self) -> &mut Option<Timer> {
        self.node_ref.timer()
    }
}

/// The result of asking for room under the lock.
#[derive(Debug)]
pub(super) enum RoomRequest {
    /// The room is counted as in use.
    Counted,
    /// The get is queued.
    Queued(RoomWait),
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
            limit: limit.min(MAX_LIMIT),
            rank,
            word: CachePadded::new(QuotaWord::new()),
            waiters: Lock::new(Queue {
                queue: WaitQueue::new(KEPT_BY_A_QUOTA),
                reclaim: Reclaim::default(),
                failures: Failures {
                    times: 0,
                    error: GetBufferError::NotCommitted,
                },
                kept: None,
            }),
        }
    }

    pub(crate) fn pool(&self) -> &dyn QuotaPool {
        &*self.pool
    }

    /// The public status. `since` returns the time since a stamp.
    pub(crate) fn status(&self, since: impl Fn(Stamp) -> Duration) -> QuotaStatus {
        let (waiting, oldest) = self.waiting();
        QuotaStatus {
            name: self.name.clone(),
            limit: self.limit,
            in_use: self.in_use(),
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

    /// How many samples are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.word.in_use()
    }

    /// How many gets are queued, and when the longest waiter joined, if its wait is measured.
    pub(crate) fn waiting(&self) -> (usize, Option<Stamp>) {
        let waiters = self.waiters.lock();
        (waiters.queue.len(), waiters.queue.oldest())
    }

    /// When the longest waiter joined, and its number. Waiters without a join time get `now` before.
    pub(crate) fn longest(&self, now: Stamp) -> Option<(Stamp, WaiterNumber)> {
        let mut waiters = self.waiters.lock();
        waiters.queue.measure_from(now);
        waiters.queue.longest()
    }

    /// Records `now` as the join time of all queued waiters that have none.
    pub(crate) fn measure_from(&self, now: Stamp) {
        self.waiters.lock().queue.measure_from(now);
    }

    /// Counts up to `count` samples as in use, if no waiter is queued. Returns how many.
    pub(super) fn try_count_up_to(&self, count: usize) -> usize {
        self.word.try_add_up_to(self.limit, count)
    }

    /// Counts `count` samples as in use, if there is room for them and no waiter is queued.
    #[inline]
    pub(super) fn try_count(&self, count: usize) -> bool {
        self.word.try_add(self.limit, count)
    }

    /// Counts `count` samples as in use, or joins the account's queue.
    pub(super) fn count_or_join(
        &self,
        count: usize,
        waker: &Waker,
    ) -> Result<RoomRequest, GetBufferError> {
        let max_waiters = self.pool.max_waiters();
        loop {
            let joined = self.pool.admits(Wanted {
                slots: count,
                rank: self.rank,
            })?;
            if count > self.limit {
                return Err(GetBufferError::TooMany);
            }
            // A waker is user code, so it is cloned before the lock is taken, as in `take_or_join`.
            let waker = Spare::new(waker.clone());
            let mut waiters = self.waiters.lock();
            if !self.pool.serves_gets() {
                // The pool was shut after `admits`. Its `fail_all` of this queue may be over, and would miss a get that
                // joins now. So ask the pool again.
                continue;
            }
            let failures_before = waiters.failures.times;
            let queue = &mut waiters.queue;
            // Check the word again: room that was returned before the mark is set did not take the lock.
            if queue.is_empty() && self.word.add_or_mark(self.limit, count, max_waiters > 0) {
                return Ok(RoomRequest::Counted);
            }
            if queue.len() >= max_waiters {
                // No get may queue, so only this wakes the tasks that keep a sample, as in `take_or_join`.
                let requested = waiters.reclaim.take_for_refused();
                drop(waiters);
                if let Some(requested) = requested {
                    requested.wake_all();
                }
                return Err(GetBufferError::TooManyWaiters);
            }
            // All gets of a quota have one rank, so no get overtakes in this queue.
            let wanted = Wanted {
                slots: count,
                rank: Rank::Ordinary,
            };
            let node_ref = queue.join(wanted, SlotList::default(), joined, waker.into_inner());
            let requested = waiters.reclaim.take();
            drop(waiters);
            if let Some(requested) = requested {
                requested.wake_all();
            }
            self.pool.wait_began();
            return Ok(RoomRequest::Queued(RoomWait {
                node_ref,
                failures_before,
            }));
        }
    }

    /// Registers a waker for the next get that waits for room. `None` if a get waits already, or if one has failed
    /// since `key` was registered because no get may wait.
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

    /// Removes the waker that `register` stored. The caller drops it.
    pub(crate) fn unregister(&self, key: &mut Option<Key>) -> Option<Waker> {
        self.waiters.lock().reclaim.remove(key)
    }

    /// Takes the outcome, if there is one. Otherwise stores `waker` as the waker of the waiter.
    pub(crate) fn wait_on(&self, wait: &mut RoomWait, waker: &Waker) -> Option<Outcome> {
        let node_ref = &mut wait.node_ref;
        if let Some(outcome) = node_ref.take_outcome() {
            return Some(outcome);
        }
        let another = self.waiters.lock().queue.needs_waker(node_ref, waker);
        if another {
            // A waker is user code: it is cloned before the lock is taken, and the other one is dropped after it is
            // released.
            let waker = waker.clone();
            let unused = self.waiters.lock().queue.replace_waker(node_ref, waker);
            user_code::quietly(|| drop(unused));
        }
        // Again: the outcome may have been stored before the waker was replaced, and then the old waker was woken.
        node_ref.take_outcome()
    }

    /// Ends the wait of a get that has its outcome.
    pub(super) fn end_wait(&self, wait: RoomWait) {
        self.pool.wait_ended(&wait.node_ref);
        wait.node_ref.give_back();
    }

    /// The last error, if all waiters were failed since they had been failed so many `times`.
    pub(super) fn failure_since(&self, times: u64) -> Option<GetBufferError> {
        let last = self.waiters.lock().failures;
        (last.times != times).then_some(last.error)
    }

    /// Leaves the account's queue. Returns the outcome, if the get had one before.
    pub(super) fn leave(&self, wait: RoomWait) -> Option<Outcome> {
        let mut node_ref = wait.node_ref;
        let mut waiters = self.waiters.lock();
        let left = waiters.queue.leave(&mut node_ref);
        // If it was the head, the waiters behind it may want less than there is room for (A2).
        let admitted = self.admit(&mut waiters.queue);
        drop(waiters);
        self.pool.wait_ended(&node_ref);
        node_ref.give_back();
        self.wake_from(admitted);
        match left {
            LeaveResult::WasQueued(_, waker) => {
                user_code::quietly(|| drop(waker));
                None
            }
            LeaveResult::HadOutcome(outcome) => Some(outcome),
        }
    }

    /// Gives the room of `count` samples back, and admits waiters for which there is room now. Returns what keeps the
    /// account alive, if nothing is in use and no handle is left.
    pub(super) fn give_back(&self, count: usize) -> Option<Arc<Account>> {
        let mut waiters = self.waiters.lock();
        let kept = match self.word.subtract(count) {
            Subtracted::Last => waiters.kept.take(),
            Subtracted::Done | Subtracted::NeedsLock => None,
        };
        let admitted = self.admit(&mut waiters.queue);
        drop(waiters);
        self.wake_from(admitted);
        kept
    }

    /// Keeps the account alive until it is taken out again (A4).
    pub(super) fn keep(&self, account: Arc<Account>) {
        self.waiters.lock().kept = Some(account);
    }

    /// The reference that keeps the account alive.
    pub(super) fn kept(&self) -> Option<Arc<Account>> {
        self.waiters.lock().kept.clone()
    }

    /// Takes out the reference that keeps the account alive (A4).
    pub(super) fn take_kept(&self) -> Option<Arc<Account>> {
        self.waiters.lock().kept.take()
    }

    /// The last handle was dropped. Returns what keeps the account alive, if nothing is in use.
    pub(super) fn end_handles(&self) -> Option<Arc<Account>> {
        self.word.end_handles().then(|| self.take_kept()).flatten()
    }

    /// Wakes a waiter that was admitted, then admits the next: one in each hold of the lock, so that no list of wakers
    /// has to be allocated.
    fn wake_from(&self, mut admitted: Option<Waker>) {
        while let Some(waker) = admitted {
            user_code::quietly(|| waker.wake());
            admitted = self.admit(&mut self.waiters.lock().queue);
        }
    }

    /// Admits the head of the queue, if there is room for what it wants: reserves the room, and stores its outcome.
    /// Returns its waker.
    fn admit(&self, queue: &mut WaitQueue) -> Option<Waker> {
        // While the mark is set, no get reserves room without the lock. So the room cannot shrink between the load and
        // the addition.
        let admitted = queue.admit(self.word.room(self.limit));
        if let Some((count, _)) = admitted {
            self.word.add(count);
        }
        self.unmark_if_empty(queue);
        admitted.map(|(_, waker)| waker)
    }

    /// Clears the mark with the last waiter (A1). Otherwise each return would take the lock from then on.
    fn unmark_if_empty(&self, queue: &WaitQueue) {
        if queue.is_empty() {
            self.word.clear_mark();
        }
    }

    /// Fails all queued waiters, and the gets that were admitted and not polled since. Called under the pool's lock.
    pub(crate) fn fail_all(&self, error: GetBufferError) -> Vec<Waker> {
        let mut waiters = self.waiters.lock();
        let times = waiters.failures.times + 1;
        waiters.failures = Failures { times, error };
        let (failed, nothing) = waiters.queue.fail_all(error);
        debug_assert_eq!(nothing.len(), 0, "a get that waits for room has no slots");
        self.unmark_if_empty(&waiters.queue);
        failed
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::{Pool, core::engine::tests::while_it_is_held, wait::charge::AccountHandle};

    /// All users of a quota would wait for each other otherwise.
    #[test]
    fn without_a_waiter_room_is_reserved_and_returned_without_the_lock() {
        let pool = Pool::builder().buffers(4).size(64).build().expect("small");
        let engine = pool.engine();
        let of_pool = Box::new(pool.downgrade());
        let account = engine.add_account(of_pool, "camera".into(), 4, Rank::Ordinary);
        let handle = AccountHandle::new(account);
        let users = handle.clone();
        while_it_is_held(handle.waiters.lock(), move || {
            drop(users.try_charge(2).expect("there is room"));
            drop(users.try_charge_up_to(9).expect("there is room"));
        });
        assert_eq!(handle.in_use(), 0);
    }
}
