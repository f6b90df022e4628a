//! The admission of a get: it first reserves room in the quota for the samples that the get asks for, or waits for it.
//!
//! The rule, how many samples fit and which get is next, is in [`quota_account`](crate::wait::quota_account). Here are the
//! states of one get that waits for it.
//!
//! | state     | owns                    | left by                                                                  |
//! |-----------|-------------------------|--------------------------------------------------------------------------|
//! | `New`     | nothing                 | first poll: `Done` with a [`Charge`] or an error, `Failed` without budget, else `Queued` |
//! | `Queued`  | its node in the queue, and the room if it was admitted | outcome: `Done` with a charge, or `Failed`; drop: leaves the queue and returns the room |
//! | `Failed`  | an error                | poll with cooperative budget: `Done`                                      |
//! | `Done`    | nothing                 | polling again panics                                                      |
//!
//! An admission that succeeds spends no cooperative budget: the get of the pool that follows does.

#![forbid(unsafe_code)]

use super::Quota;
use crate::{
    sync::coop::spend,
    values::error::GetBufferError,
    wait::{
        charge::{AccountHandle, Charge},
        node::Timer,
        quota_account::RoomWait,
        request::Why,
    },
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

/// A future that waits until a quota has room.
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub(crate) struct Admission {
    account: AccountHandle,
    count: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Not polled yet.
    New,
    /// In the account's queue. It may have its outcome already.
    Queued(RoomWait),
    /// It has failed, but the task had no cooperative budget to return the error.
    Failed(GetBufferError),
    /// Resolved, or it has left the queue.
    Done,
}

impl Admission {
    pub(super) fn new(quota: &Quota, count: usize) -> Self {
        Admission {
            account: quota.account.clone(),
            count,
            stage: Stage::New,
        }
    }

    /// The first poll: reserves the room, or joins the account's queue.
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<Charge, GetBufferError>> {
        // `Done` owns nothing, and neither does this admission until a call below has succeeded. Only the waker's clone
        // can panic in them, before room is counted or the get is queued, so nothing is left to give back then. A get
        // that queues or fails changes the stage again.
        self.stage = Stage::Done;
        if let Some(charge) = self.account.try_charge(self.count) {
            return Poll::Ready(Ok(charge));
        }
        match self.account.charge_or_join(self.count, cx.waker()) {
            Ok(Ok(charge)) => Poll::Ready(Ok(charge)),
            Ok(Err(wait)) => {
                self.stage = Stage::Queued(wait);
                Poll::Pending
            }
            Err(error) => self.fail(error, cx),
        }
    }

    /// Fails if the task has cooperative budget left; otherwise keeps the error until the next poll.
    #[cold]
    fn fail(
        &mut self,
        error: GetBufferError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Charge, GetBufferError>> {
        // Stored before `spend`, which calls the waker: if that panics, the error is kept.
        self.stage = Stage::Failed(error);
        if !spend(cx) {
            return Poll::Pending;
        }
        self.stage = Stage::Done;
        Poll::Ready(Err(error))
    }

    /// The timer of an admission that waits for room. One that only waits for cooperative budget has none.
    pub(super) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match &mut self.stage {
            Stage::Queued(wait) => Some(wait.timer()),
            Stage::New | Stage::Failed(_) | Stage::Done => None,
        }
    }

    /// Ends the wait because of the timeout. An admission that was admitted before returns its charge, and one that has
    /// failed before returns that error.
    pub(super) fn time_out(&mut self) -> Result<Charge, GetBufferError> {
        self.leave(Why::TimedOut)
            .unwrap_or(Err(GetBufferError::TimedOut))
    }

    /// Leaves the account's queue. `None` if it had no outcome yet.
    fn leave(&mut self, why: Why) -> Option<Result<Charge, GetBufferError>> {
        let wait = match mem::replace(&mut self.stage, Stage::Done) {
            Stage::Queued(wait) => wait,
            Stage::Failed(error) => return Some(Err(error)),
            Stage::New | Stage::Done => return None,
        };
        let charge = self.account.leave(wait, self.count);
        // As for a get of the pool: one that has failed was neither cancelled nor too late, and one that was admitted
        // did not time out.
        let counts = match (&charge, why) {
            (Err(_), _) => false,
            (Ok(_), Why::Cancelled) => true,
            (Ok(charge), Why::TimedOut) => charge.is_none(),
        };
        if counts {
            self.account.pool().given_up(why);
        }
        charge.transpose()
    }
}

impl Future for Admission {
    type Output = Result<Charge, GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let wait = match &mut this.stage {
            Stage::New => return this.begin(cx),
            Stage::Queued(wait) => wait,
            Stage::Failed(error) => {
                let error = *error;
                return this.fail(error, cx);
            }
            Stage::Done => panic!("a get was polled after it had resolved"),
        };
        let Some(outcome) = this.account.wait_on(wait, cx.waker()) else {
            return Poll::Pending;
        };
        let Stage::Queued(wait) = mem::replace(&mut this.stage, Stage::Done) else {
            unreachable!("an admission that has an outcome is queued");
        };
        match this.account.end_wait(wait, outcome, this.count) {
            Ok(charge) => Poll::Ready(Ok(charge)),
            Err(error) => this.fail(error, cx),
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // If it was admitted and never polled again, this drops its charge, which returns the room.
        drop(self.leave(Why::Cancelled));
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::Pool;
    use std::task::Waker;

    /// The room can be returned after the poll that returned `Pending` and before the timer is seen.
    #[test]
    fn a_get_that_was_given_room_does_not_time_out() {
        let pool = Pool::builder().buffers(1).build().unwrap();
        let quota = pool.quota("camera", 1);
        let held = quota.try_get_buffer().unwrap();
        let mut admission = Admission::new(&quota, 1);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut admission).poll(cx).is_pending());
        drop(held);
        let charge = admission.time_out().expect("it has its room");
        assert_eq!((pool.status().timed_out, quota.status().in_use), (0, 1));
        drop(charge);
        assert_eq!(quota.status().in_use, 0);
    }
}
