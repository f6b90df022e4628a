//! Getting samples: what a get does at each poll, and what dropping it gives back.
//!
//! | stage     | owns                  | left by                                                        |
//! |-----------|-----------------------|----------------------------------------------------------------|
//! | `New`     | nothing               | first poll: a hit, the line, or an error                       |
//! | `InLine`  | a ticket              | told: `InHand` or an error; drop: leaves, its slots travel on  |
//! | `InHand`  | its slots             | Tokio's cooperative budget: `Done`; drop: its slots travel on  |
//! | `Done`    | nothing               | polling again panics                                           |
//!
//! The budget is asked for only once the slots are in hand, so running out of it never loses a place.
//! A future that was never polled has no place, and a hit never touches the lock.

#![forbid(unsafe_code)]

use crate::{
    engine::{Engine, Shared},
    error::GetBufferError,
    free_list::Miss,
    line::Left,
    raw::{
        chain::Chain,
        slot::OwnedSlot,
        waiter::{Outcome, Ticket, Timer},
    },
    sync::Ordering,
};
use std::{
    mem,
    task::{Context, Poll, ready},
    time::Instant,
};
use tokio::task::coop;

/// Where a get stands.
#[derive(Debug, Default)]
pub(crate) enum Acquire {
    #[default]
    New,
    InLine(Ticket),
    InHand(Chain),
    Done,
}

/// Why a get is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Cancelled,
    TimedOut,
}

/// What a get found under the lock.
enum Found {
    Slots(Chain),
    Place(Ticket),
}

impl Acquire {
    /// Polls for one slot.
    #[inline]
    pub(crate) fn poll_one(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OwnedSlot, GetBufferError>> {
        if let Acquire::New = self {
            if let Ok(slot) = engine.free_list.take() {
                if let Poll::Ready(budget) = coop::poll_proceed(cx) {
                    budget.made_progress();
                    *self = Acquire::Done;
                    return Poll::Ready(Ok(slot));
                }
                return self.keep_in_hand(slot);
            }
        }
        self.poll_one_slowly(engine, cx)
    }

    /// The task has used up its budget: it yields, and its waker is woken at once.
    #[cold]
    fn keep_in_hand<T>(&mut self, slot: OwnedSlot) -> Poll<T> {
        slot.mark_used();
        let mut slots = Chain::default();
        slots.push(slot);
        *self = Acquire::InHand(slots);
        Poll::Pending
    }

    #[inline(never)]
    fn poll_one_slowly(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OwnedSlot, GetBufferError>> {
        self.poll(engine, 1, cx).map_ok(|mut slots| {
            let Some(slot) = slots.pop() else {
                unreachable!("one slot was wanted");
            };
            slot
        })
    }

    /// Polls for `wanted` slots.
    pub(crate) fn poll(
        &mut self,
        engine: &Engine,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Chain, GetBufferError>> {
        loop {
            match self {
                Acquire::New => match engine.take_or_join(wanted) {
                    // Nothing was wanted, so there is nothing to wait for, not even the budget.
                    Ok(Found::Slots(none)) if wanted == 0 => {
                        *self = Acquire::Done;
                        return Poll::Ready(Ok(none));
                    }
                    Ok(Found::Slots(slots)) => *self = Acquire::InHand(slots),
                    Ok(Found::Place(ticket)) => *self = Acquire::InLine(ticket),
                    Err(error) => {
                        *self = Acquire::Done;
                        return Poll::Ready(Err(error));
                    }
                },
                Acquire::InLine(ticket) => {
                    let outcome = ready!(ticket.poll(cx));
                    self.leave_line(engine, outcome)?;
                }
                Acquire::InHand(slots) => {
                    ready!(coop::poll_proceed(cx)).made_progress();
                    let slots = mem::take(slots);
                    *self = Acquire::Done;
                    return Poll::Ready(Ok(slots));
                }
                Acquire::Done => panic!("a get was polled after it had resolved"),
            }
        }
    }

    /// Takes up the outcome and gives the node back.
    fn leave_line(&mut self, engine: &Engine, outcome: Outcome) -> Result<(), GetBufferError> {
        let (next, result) = match outcome {
            Outcome::Slots(slots) => (Acquire::InHand(slots), Ok(())),
            Outcome::Failed(error) => (Acquire::Done, Err(error)),
        };
        if let Acquire::InLine(ticket) = mem::replace(self, next) {
            ticket.give_back(&engine.returned);
        }
        result
    }

    /// The timer of a get that is in line.
    pub(crate) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match self {
            Acquire::InLine(ticket) => Some(ticket.timer()),
            _ => None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Acquire::Done)
    }

    /// Gives up, and gives back what the get had. Called when its future is dropped.
    #[inline]
    pub(crate) fn cancel(&mut self, engine: &Engine) {
        if let Acquire::InLine(_) | Acquire::InHand(_) = self {
            if let Ok(unclaimed) = self.give_up(engine, Why::Cancelled) {
                engine.put_back(unclaimed);
            }
        }
    }

    /// Gives up because the time is over. A get that was handed its slots meanwhile has them, and one
    /// that was told of a failure fails with that.
    pub(crate) fn time_out(&mut self, engine: &Engine) -> Result<(), GetBufferError> {
        let slots = self.give_up(engine, Why::TimedOut)?;
        if slots.len() == 0 {
            return Err(GetBufferError::TimedOut);
        }
        *self = Acquire::InHand(slots);
        Ok(())
    }

    /// Leaves the line. The answer is the slots that were handed over already, or the failure that it
    /// was told of.
    #[cold]
    fn give_up(&mut self, engine: &Engine, why: Why) -> Result<Chain, GetBufferError> {
        match mem::replace(self, Acquire::Done) {
            Acquire::InLine(ticket) => engine.leave_line(ticket, why),
            Acquire::InHand(slots) => {
                engine.lock().count(why);
                Ok(slots)
            }
            Acquire::New | Acquire::Done => Ok(Chain::default()),
        }
    }
}

impl Shared {
    fn count(&mut self, why: Why) {
        match why {
            Why::Cancelled => self.counters.cancelled += 1,
            Why::TimedOut => self.counters.timed_out += 1,
        }
    }
}

impl Engine {
    /// Takes a slot if one is home and nobody is in line.
    #[inline]
    pub(crate) fn try_take(&self) -> Result<OwnedSlot, GetBufferError> {
        match self.free_list.take() {
            Ok(slot) => Ok(slot),
            Err(Miss::Empty) if self.is_open() => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                Err(GetBufferError::Exhausted)
            }
            Err(_) => self.try_take_many(1).map(|mut slots| {
                let Some(slot) = slots.pop() else {
                    unreachable!("one slot was wanted");
                };
                slot
            }),
        }
    }

    /// Takes `wanted` slots if as many are home and nobody is in line.
    pub(crate) fn try_take_many(&self, wanted: usize) -> Result<Chain, GetBufferError> {
        self.take_many(wanted, true, |shared, gathered| {
            shared.counters.exhausted += 1;
            (Err(GetBufferError::Exhausted), gathered)
        })
    }

    /// Takes `wanted` slots, or joins the line for them.
    fn take_or_join(&self, wanted: usize) -> Result<Found, GetBufferError> {
        let mut place = None;
        let taken = self.take_many(wanted, false, |shared, gathered| {
            if shared.line.len() >= self.settings.max_waiters {
                return (Err(GetBufferError::TooManyWaiters), gathered);
            }
            shared.counters.waited += 1;
            let joined = self.settings.measure_waits.then(Instant::now);
            let ticket = shared.line.join(&self.returned, wanted, gathered, joined);
            place = Some(ticket);
            (Ok(Chain::default()), Chain::default())
        });
        match place {
            Some(ticket) => Ok(Found::Place(ticket)),
            None => taken.map(Found::Slots),
        }
    }

    /// Takes `wanted` slots. If that cannot be, `otherwise` decides, under the lock; what it gives back
    /// beside its answer goes home. Unless it wants all or nothing, every word is parked then, and no
    /// slot is home but those gathered.
    fn take_many(
        &self,
        wanted: usize,
        all_or_nothing: bool,
        otherwise: impl FnOnce(&mut Shared, Chain) -> (Result<Chain, GetBufferError>, Chain),
    ) -> Result<Chain, GetBufferError> {
        // A get of one has looked already.
        let mut gathered = match wanted {
            1 => Chain::default(),
            _ => self.free_list.take_many(wanted),
        };
        if gathered.len() == wanted && wanted > 0 {
            return Ok(gathered);
        }
        let mut shared = self.lock();
        if gathered.len() > 0 && (shared.serves().is_err() || !shared.line.is_empty()) {
            // Somebody joined, or the pool was shut, after these were taken: they are not ours.
            drop(shared);
            self.put_back(mem::take(&mut gathered));
            shared = self.lock();
        }
        if let Err(error) = shared.may_want(wanted) {
            drop(shared);
            self.put_back(gathered);
            return Err(error);
        }
        if wanted == 0 {
            return Ok(gathered);
        }
        if shared.line.is_empty() {
            self.gather(&mut shared, wanted, all_or_nothing, &mut gathered);
            if gathered.len() == wanted {
                return Ok(gathered);
            }
        }
        let (answer, mut unwanted) = otherwise(&mut shared, gathered);
        while let Some(slot) = unwanted.pop() {
            let nobody = shared.settle(self, slot);
            debug_assert!(
                nobody.is_none(),
                "slots are gathered only while nobody is in line"
            );
        }
        answer
    }

    /// Takes what is home, up to `wanted` slots with those gathered before; of many that must be all or
    /// nothing, only if there are enough, so that others do not find the pool empty for nothing.
    fn gather(
        &self,
        shared: &mut Shared,
        wanted: usize,
        all_or_nothing: bool,
        gathered: &mut Chain,
    ) {
        let mut may_open = shared.is_calm(self);
        if wanted > 1 {
            let home = shared.ledger.park_all_and_count(&self.free_list);
            if all_or_nothing && gathered.len() + home < wanted {
                return;
            }
            // In an open word somebody else could be faster.
            may_open = false;
        }
        while gathered.len() < wanted {
            match shared.ledger.take(&self.free_list, may_open) {
                Some(slot) => gathered.push(slot),
                None => return,
            }
        }
    }

    /// Leaves the line. The answer is the slots that were handed over already, or the failure that was
    /// told; what was only gathered goes to the next in line.
    fn leave_line(&self, mut ticket: Ticket, why: Why) -> Result<Chain, GetBufferError> {
        let mut shared = self.lock();
        let (told, gathered) = match shared.line.leave(&mut ticket) {
            Left::Waiting(gathered) => (Ok(Chain::default()), gathered),
            Left::Told(Outcome::Slots(slots)) => (Ok(slots), Chain::default()),
            Left::Told(Outcome::Failed(error)) => (Err(error), Chain::default()),
        };
        // One that was told of a failure was neither cancelled nor too late, and one that has its slots
        // beats the deadline.
        let counts = match (&told, why) {
            (Err(_), _) => false,
            (Ok(_), Why::Cancelled) => true,
            (Ok(slots), Why::TimedOut) => slots.len() == 0,
        };
        if counts {
            shared.count(why);
        }
        drop(shared);
        self.put_back(gathered);
        ticket.give_back(&self.returned);
        told
    }
}

impl Shared {
    /// Whether a get of `wanted` samples can ever be served.
    fn may_want(&self, wanted: usize) -> Result<(), GetBufferError> {
        self.serves()?;
        if wanted > self.properties.buffers {
            return Err(GetBufferError::TooMany);
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Pool;
    use std::task::Waker;

    /// A get of the one slot of `pool`, which is out.
    fn in_line(pool: &Pool) -> Acquire {
        let mut acquire = Acquire::New;
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(acquire.poll_one(pool.engine(), cx).is_pending());
        acquire
    }

    /// The timer can fire between the poll that found nothing and the look at it.
    #[test]
    fn a_get_that_was_told_of_a_failure_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let _held = pool.try_get_buffer().unwrap();
        let mut acquire = in_line(&pool);
        pool.decommit();
        let told = acquire.time_out(pool.engine());
        assert_eq!(told, Err(GetBufferError::NotCommitted));
        assert_eq!(pool.status().timed_out, 0);
    }

    #[test]
    fn a_get_that_was_handed_its_slot_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let held = pool.try_get_buffer().unwrap();
        let mut acquire = in_line(&pool);
        drop(held);
        assert_eq!(acquire.time_out(pool.engine()), Ok(()));
        acquire.cancel(pool.engine());
        let status = pool.status();
        assert_eq!((status.timed_out, status.cancelled, status.free), (0, 1, 1));
    }

    /// An empty request is served at once, also in a task that has used up its budget.
    #[tokio::test]
    async fn a_request_for_nothing_needs_no_budget() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        let mut acquire = Acquire::New;
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(acquire.poll(pool.engine(), 0, cx).is_ready());
    }
}
