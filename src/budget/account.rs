//! A budget's account: how much is charged to it, and who waits for room in it.
//!
//! | what | where |
//! |---|---|
//! | how many samples are charged, and whether anyone waits | one number, changed by compare-exchange |
//! | who waits | a line of the account's own, under a lock of its own |
//!
//! With nobody in line a charge and its return are one atomic operation each, of a cache line that only
//! this budget's users write. Whoever finds no room marks the number in the same exchange that looks at
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
//! - **A3** No more is charged than the limit. `budgets: *`, loom `a_budget_is_not_exceeded`

#![forbid(unsafe_code)]

use crate::{
    engine::Engine,
    error::GetBufferError,
    foreign::{self, Spare},
    line::{Left, Line, Rank, Wanted},
    raw::{
        chain::Chain,
        handle::WeakPool,
        waiter::{Outcome, Ticket},
    },
    sync::{AtomicUsize, Lock, Ordering},
};
use crossbeam_utils::CachePadded;
use std::{fmt, mem, sync::Arc, task::Waker, time::Instant};

/// Somebody is in line.
const WAITED_FOR: usize = 1;
const ONE: usize = 2;

/// See the module's documentation.
pub(crate) struct Account {
    /// The pool has its accounts, and lets go of them at its end.
    pool: WeakPool,
    name: Arc<str>,
    limit: usize,
    /// How many samples are charged, times [`ONE`], and [`WAITED_FOR`]. Relaxed: it is a number, and what it
    /// counts is handed over by the free list.
    charged: CachePadded<AtomicUsize>,
    line: Lock<Line>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("charged", &self.charged())
            .finish_non_exhaustive()
    }
}

/// What came of asking for room under the lock.
#[derive(Debug)]
pub(crate) enum Asked {
    Charged,
    Place(Ticket),
}

impl Account {
    pub(crate) fn new(pool: WeakPool, name: Arc<str>, limit: usize) -> Self {
        Account {
            pool,
            name,
            limit: limit.min(usize::MAX / ONE),
            charged: CachePadded::new(AtomicUsize::new(0)),
            line: Lock::new(Line::new(Instant::now())),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pool.engine()
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn charged(&self) -> usize {
        self.charged.load(Ordering::Relaxed) / ONE
    }

    /// How many are in line, and when the first of them joined, if that was written down.
    pub(crate) fn waiting(&self) -> (usize, Option<Instant>) {
        let line = self.line.lock();
        (line.len(), line.oldest())
    }

    /// When the first of those in line joined; whoever joined without a time is taken for having joined now.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Instant> {
        let mut line = self.line.lock();
        line.measure_from(now);
        line.oldest()
    }

    /// How much can be charged, as long as nobody else does.
    fn room(&self, charged: usize) -> usize {
        self.limit - charged / ONE
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
        rank: Rank,
        waker: &Waker,
    ) -> Result<Asked, GetBufferError> {
        let engine = self.engine();
        loop {
            let measured = {
                let shared = engine.lock();
                shared.may_want(Wanted { slots: count, rank })?;
                shared.measures_waits(engine)
            };
            if count > self.limit {
                return Err(GetBufferError::TooMany);
            }
            // Foreign, as in `take_or_join`.
            let waker = Spare::new(waker.clone());
            let mut line = self.line.lock();
            if !engine.is_open() {
                // Whoever shut it since has turned away this line already, or will: look again.
                continue;
            }
            if line.is_empty() && self.charge_or_mark(count, engine.settings.max_waiters > 0) {
                return Ok(Asked::Charged);
            }
            if line.len() >= engine.settings.max_waiters {
                return Err(GetBufferError::TooManyWaiters);
            }
            // In this line nobody overtakes.
            let wanted = Wanted {
                slots: count,
                rank: Rank::Ordinary,
            };
            let joined = measured.then(Instant::now);
            let ticket = line.join(wanted, Chain::default(), joined, waker.into_inner());
            return Ok(Asked::Place(ticket));
        }
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
    pub(crate) fn wait_on(&self, ticket: &mut Ticket, waker: &Waker) -> Option<Outcome> {
        if let Some(outcome) = ticket.take_outcome() {
            return Some(outcome);
        }
        let another = self.line.lock().waits_with_another(ticket, waker);
        if another {
            // Cloned before the lock is taken, and the other one dropped once it is free.
            let waker = waker.clone();
            let unused = self.line.lock().wake_by(ticket, waker);
            foreign::quietly(|| drop(unused));
        }
        ticket.take_outcome()
    }

    /// Leaves the account's line. The answer is whether what it waited for had been charged already, or
    /// the failure that it was told.
    pub(crate) fn leave(&self, mut ticket: Ticket) -> Result<bool, GetBufferError> {
        let mut line = self.line.lock();
        let left = line.leave(&mut ticket);
        // Those behind it may want less.
        let admitted = self.admit(&mut line);
        drop(line);
        ticket.give_back();
        self.wake_from(admitted);
        match left {
            Left::Waiting(_, waker) => {
                foreign::quietly(|| drop(waker));
                Ok(false)
            }
            Left::Told(Outcome::Slots(_)) => Ok(true),
            Left::Told(Outcome::Failed(error)) => Err(error),
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
        let mut line = self.line.lock();
        self.charged.fetch_sub(count * ONE, Ordering::Relaxed);
        let admitted = self.admit(&mut line);
        drop(line);
        self.wake_from(admitted);
    }

    /// Wakes one that was admitted, and admits the next: one for each hold of the lock, so that nobody
    /// has to be remembered until it is free.
    fn wake_from(&self, mut admitted: Option<Waker>) {
        while let Some(waker) = admitted {
            foreign::quietly(|| waker.wake());
            admitted = self.admit(&mut self.line.lock());
        }
    }

    /// Charges the first in line, if there is room for what it wants, and tells it so. While somebody is
    /// in line nobody charges without the lock.
    fn admit(&self, line: &mut Line) -> Option<Waker> {
        let charged = self.charged.load(Ordering::Relaxed);
        let admitted = line.admit(self.room(charged));
        if let Some((count, _)) = admitted {
            self.charged.fetch_add(count * ONE, Ordering::Relaxed);
        }
        self.unmark_if_empty(line);
        admitted.map(|(_, waker)| waker)
    }

    fn unmark_if_empty(&self, line: &Line) {
        if line.is_empty() {
            self.charged.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        }
    }

    /// Tells everybody in the account's line that it failed. Called under the pool's lock.
    fn fail_all(&self, error: GetBufferError) -> Vec<Waker> {
        let mut line = self.line.lock();
        let (failed, nothing) = line.fail_all(error);
        debug_assert_eq!(nothing.len(), 0, "who waits for room has no slots");
        self.unmark_if_empty(&line);
        failed
    }
}

impl Drop for Account {
    /// Those who are still in line were forgotten.
    fn drop(&mut self) {
        let born = Instant::now();
        let line = mem::replace(&mut *self.line.lock(), Line::new(born));
        for waker in line.into_wakers() {
            foreign::quietly(|| drop(waker));
        }
    }
}

/// The accounts of a pool's budgets; under its lock, where none is dropped.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Vec<Arc<Account>>);

impl Accounts {
    /// Adds one. What comes back is those that nobody has any more, to be dropped once the lock is free.
    pub(crate) fn add(&mut self, account: Arc<Account>) -> Vec<Arc<Account>> {
        let mut gone = Vec::new();
        if self.0.len() == self.0.capacity() {
            let all = mem::take(&mut self.0);
            (self.0, gone) = all.into_iter().partition(is_in_use);
            // As many again can be added before the next look at all of them.
            self.0.reserve(self.0.len() + 1);
        }
        self.0.push(account);
        gone
    }

    /// Those that a budget or a sample refers to.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.iter().filter(|account| is_in_use(account))
    }

    /// Takes those who joined without a time for having joined now.
    pub(crate) fn measure_from(&self, now: Instant) {
        for account in self.in_use() {
            account.line.lock().measure_from(now);
        }
    }

    /// When the first in each of their lines joined, if anybody is there.
    pub(crate) fn oldest(&self, now: Instant) -> impl Iterator<Item = (Instant, &Arc<str>)> {
        let accounts = self.in_use();
        accounts.filter_map(move |account| Some((account.oldest(now)?, account.name())))
    }

    /// Tells everybody who waits for room that it failed.
    pub(crate) fn fail_all(&self, error: GetBufferError, failed: &mut Vec<Waker>) {
        for account in &self.0 {
            failed.extend(account.fail_all(error));
        }
    }
}

/// Under the pool's lock nobody else can take a reference to one that only the pool has.
fn is_in_use(account: &Arc<Account>) -> bool {
    Arc::strong_count(account) > 1
}
