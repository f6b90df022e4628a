//! A charge on its way to a sample, and the wait for the room that it needs.
//!
//! | stage    | owns          | left by                                                                |
//! |----------|---------------|------------------------------------------------------------------------|
//! | `New`    | nothing       | first poll: a charge, the account's line, or `Refused`                 |
//! | `InLine` | a place       | told: a charge or `Refused`; drop: leaves, what was charged is given back |
//! | `Refused` | an error     | Tokio's cooperative budget: `Done`                                     |
//! | `Done`   | nothing       | polling again panics                                                   |
//!
//! A charge spends nothing of the cooperative budget: the get that follows does.

#![forbid(unsafe_code)]

use super::Quota;
use crate::wait::quota_account::{Account, Asked, Place};
use crate::{
    sample::exclusive::Sample,
    sync::coop::spend,
    values::error::GetBufferError,
    wait::{node::Timer, request::Why},
};
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What is charged for samples that are still to come. Given back when it is dropped.
#[derive(Debug)]
#[must_use = "what is charged is given back when this is dropped"]
pub(crate) struct Charge {
    /// `None` once nothing is left to give back.
    account: Option<Arc<Account>>,
    count: usize,
}

impl Charge {
    /// What was charged already becomes a charge.
    #[inline]
    pub(super) fn of(account: &Arc<Account>, count: usize) -> Self {
        Charge {
            account: Some(account.clone()),
            count,
        }
    }

    /// The sample has it from now on, and gives it back when it comes home.
    #[inline]
    pub(super) fn onto(mut self, mut sample: Sample) -> Sample {
        debug_assert_eq!(self.count, 1);
        if let Some(account) = self.account.take() {
            sample.charge_to(account);
        }
        sample
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Gives back what is charged for more than `count` samples.
    pub(super) fn keep(&mut self, count: usize) {
        let surplus = self.count - count;
        if let Some(account) = self.account.as_ref().filter(|_| surplus > 0) {
            account.give_back(surplus);
        }
        self.count = count;
    }

    /// Each of the samples has its part from now on.
    pub(super) fn onto_each(mut self, samples: &mut [Sample]) {
        debug_assert_eq!(self.count, samples.len());
        if let Some(account) = self.account.take() {
            let Some((last, others)) = samples.split_last_mut() else {
                return;
            };
            for sample in others {
                sample.charge_to(account.clone());
            }
            last.charge_to(account);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(account) = self.account.take() {
            account.give_back(self.count);
        }
    }
}

/// Waits until a quota has room.
#[derive(Debug)]
#[must_use = "a future does nothing until it is awaited"]
pub(crate) struct Admission {
    account: Arc<Account>,
    count: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New,
    InLine(Place),
    Refused(GetBufferError),
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

    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<Charge, GetBufferError>> {
        self.stage = Stage::Done;
        if self.account.try_charge(self.count) {
            return Poll::Ready(Ok(self.charged()));
        }
        match self.account.charge_or_join(self.count, cx.waker()) {
            Ok(Asked::Charged) => Poll::Ready(Ok(self.charged())),
            Ok(Asked::Place(place)) => {
                self.stage = Stage::InLine(place);
                Poll::Pending
            }
            Err(error) => self.refuse(error, cx),
        }
    }

    /// Fails if the task has budget left; otherwise the error stays here until the next poll.
    #[cold]
    fn refuse(
        &mut self,
        error: GetBufferError,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Charge, GetBufferError>> {
        // Before the budget is asked for: the waker may panic.
        self.stage = Stage::Refused(error);
        if !spend(cx) {
            return Poll::Pending;
        }
        self.stage = Stage::Done;
        Poll::Ready(Err(error))
    }

    /// The timer of one that waits for room, and not for the budget alone.
    pub(super) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match &mut self.stage {
            Stage::InLine(place) => Some(place.timer()),
            Stage::New | Stage::Refused(_) | Stage::Done => None,
        }
    }

    fn charged(&self) -> Charge {
        Charge::of(&self.account, self.count)
    }

    /// Gives up because the time is over. One that was admitted meanwhile goes on, and one that was told
    /// of a failure fails with that.
    pub(super) fn time_out(&mut self) -> Result<Charge, GetBufferError> {
        self.leave(Why::TimedOut)
            .unwrap_or(Err(GetBufferError::TimedOut))
    }

    /// Leaves the account's line. `None` if it had not been told anything.
    fn leave(&mut self, why: Why) -> Option<Result<Charge, GetBufferError>> {
        let place = match mem::replace(&mut self.stage, Stage::Done) {
            Stage::InLine(place) => place,
            Stage::Refused(error) => return Some(Err(error)),
            Stage::New | Stage::Done => return None,
        };
        let told = self.account.leave(place, self.count);
        let charge = told.map(|was_charged| was_charged.then(|| self.charged()));
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
        let place = match &mut this.stage {
            Stage::New => return this.begin(cx),
            Stage::InLine(place) => place,
            Stage::Refused(error) => {
                let error = *error;
                return this.refuse(error, cx);
            }
            Stage::Done => panic!("a get was polled after it had resolved"),
        };
        let Some(outcome) = this.account.wait_on(place, cx.waker()) else {
            return Poll::Pending;
        };
        if let Stage::InLine(place) = mem::replace(&mut this.stage, Stage::Done) {
            if let Err(error) = this.account.told(place, outcome, this.count) {
                return this.refuse(error, cx);
            }
        }
        Poll::Ready(Ok(this.charged()))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // The charge of one that was admitted and never looked is dropped, and so given back.
        drop(self.leave(Why::Cancelled));
    }
}
