//! A charge: room in a quota that is counted as in use, by a get until it has its samples, and then by each of them.
//!
//! A charge holds no `Arc` of its account: counting it would cost each get and each release a second atomic operation. It
//! holds the account's address, and the room itself keeps the account alive:
//!
//! - **A4** While a handle to the quota exists, or anything is in use, the account holds an `Arc` of itself. The last handle
//!   or, if samples are in use then, the last charge takes that `Arc` out and drops it.
//!   loom `the_last_handle_and_the_last_sample_free_the_account_once`
//!
//! Charges are made here only, one for each room that was counted, so that the count is right. A slot stores the address
//! without a type, because the layer of the slots is below that of the quotas.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    slot::owned::OwnedSlot,
    values::error::GetBufferError,
    wait::{
        node::Outcome,
        quota_account::{Account, RoomRequest, RoomWait},
        quota_word::{QuotaWord, Subtracted},
    },
};
use std::{fmt, ops::Deref, ptr::NonNull, sync::Arc, task::Waker};

/// Room in a quota for samples that are still to come. Dropping it returns the room.
#[must_use = "dropping this returns the room to the quota"]
pub(crate) struct Charge {
    /// `None` if the room is for no sample.
    account: Option<NonNull<Account>>,
    count: usize,
}

// SAFETY: an account may be used and freed on any thread, and the charge is a reference to it (A4).
unsafe impl Send for Charge {}
// SAFETY: a shared charge gives access to its count only.
unsafe impl Sync for Charge {}

/// A handle to a quota's account, which can reserve room. When the last one is dropped, no get of the quota is left.
#[derive(Clone, Debug)]
pub(crate) struct AccountHandle(Arc<Handles>);

/// What the handles of a quota share. Its drop is the drop of the last one.
#[derive(Debug)]
struct Handles(Arc<Account>);

impl Drop for Handles {
    fn drop(&mut self) {
        drop(self.0.end_handles());
    }
}

impl Deref for AccountHandle {
    type Target = Arc<Account>;

    #[inline]
    fn deref(&self) -> &Arc<Account> {
        &self.0.0
    }
}

impl AccountHandle {
    /// The first handle of an account.
    pub(crate) fn new(account: Arc<Account>) -> Self {
        account.keep(account.clone());
        AccountHandle(Arc::new(Handles(account)))
    }

    /// The charge for room that the account has counted.
    #[inline]
    fn counted(&self, count: usize) -> Charge {
        Charge {
            account: (count > 0).then(|| NonNull::from(&***self)),
            count,
        }
    }

    /// Reserves room for `count` samples, if there is that much and no waiter is queued.
    #[inline]
    pub(crate) fn try_charge(&self, count: usize) -> Option<Charge> {
        (count == 0 || self.try_count(count)).then(|| self.counted(count))
    }

    /// Reserves room for up to `count` samples, at least for one, if no waiter is queued.
    pub(crate) fn try_charge_up_to(&self, count: usize) -> Option<Charge> {
        let room = self.try_count_up_to(count);
        (room > 0).then(|| self.counted(room))
    }

    /// Reserves room for `count` samples (`Ok`), or joins the account's queue.
    pub(crate) fn charge_or_join(
        &self,
        count: usize,
        waker: &Waker,
    ) -> Result<Result<Charge, RoomWait>, GetBufferError> {
        match self.count_or_join(count, waker)? {
            RoomRequest::Counted => Ok(Ok(self.counted(count))),
            RoomRequest::Queued(wait) => Ok(Err(wait)),
        }
    }

    /// Ends the wait of a get for `count` samples that has its `outcome`. If all waiters were failed since it was
    /// admitted, its room goes back to the quota, and the result is the error.
    pub(crate) fn end_wait(
        &self,
        wait: RoomWait,
        outcome: Outcome,
        count: usize,
    ) -> Result<Charge, GetBufferError> {
        let failures_before = wait.failures_before();
        Account::end_wait(self, wait);
        self.unless_failed_since(failures_before, self.charge_of(outcome, count)?)
    }

    /// Leaves the account's queue. `None` if the get was not admitted before.
    pub(crate) fn leave(
        &self,
        wait: RoomWait,
        count: usize,
    ) -> Result<Option<Charge>, GetBufferError> {
        let failures_before = wait.failures_before();
        let Some(outcome) = Account::leave(self, wait) else {
            return Ok(None);
        };
        self.unless_failed_since(failures_before, self.charge_of(outcome, count)?)
            .map(Some)
    }

    fn charge_of(&self, outcome: Outcome, count: usize) -> Result<Charge, GetBufferError> {
        match outcome {
            Outcome::Slots(_) => Ok(self.counted(count)),
            Outcome::Failed(error) => Err(error),
        }
    }

    fn unless_failed_since(&self, times: u64, charge: Charge) -> Result<Charge, GetBufferError> {
        match self.failure_since(times) {
            None => Ok(charge),
            Some(error) => Err(error),
        }
    }
}

impl Charge {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Splits the room for `count` samples off.
    #[inline]
    pub(crate) fn split_off(&mut self, count: usize) -> Charge {
        debug_assert!(count <= self.count);
        self.count -= count;
        let account = match self.count {
            0 => self.account.take(),
            _ => self.account,
        };
        Charge {
            account: account.filter(|_| count > 0),
            count,
        }
    }

    /// Lets the sample of `slot`, the one sample that the room is for, carry it.
    #[inline]
    pub(crate) fn carry(mut self, slot: &mut OwnedSlot) {
        debug_assert_eq!(self.count, 1);
        if let Some(account) = self.account.take() {
            // SAFETY: the address is a charge of one sample, which only `take` makes a charge again (S5).
            unsafe { slot.set_account(account.cast()) };
        }
    }
}

/// Takes the charge from a slot whose sample counts against a quota.
pub(crate) fn take(slot: &mut OwnedSlot) -> Option<Charge> {
    let account = slot.take_account()?.cast();
    Some(Charge {
        account: Some(account),
        count: 1,
    })
}

/// The address that slots have of an account.
pub(crate) fn address(account: &Arc<Account>) -> *const () {
    Arc::as_ptr(account).cast()
}

impl Drop for Charge {
    #[inline]
    fn drop(&mut self) {
        let Some(account) = self.account else {
            return;
        };
        // SAFETY: what is in use keeps the account alive (A4).
        let padded = unsafe { &(*account.as_ptr()).word };
        // Only the atomic is borrowed from here on: after the subtraction another thread may free the account at any time.
        let word: &QuotaWord = padded;
        match word.try_subtract(self.count) {
            Subtracted::Done => {}
            Subtracted::Last => drop_last(account),
            Subtracted::NeedsLock => give_back_under_the_lock(account, self.count),
        }
    }
}

#[cold]
fn drop_last(account: NonNull<Account>) {
    // SAFETY: this charge was the last, so only it takes out the reference that keeps the account alive (A4).
    let account = unsafe { account.as_ref() }.take_kept();
    drop(account);
}

#[cold]
fn give_back_under_the_lock(account: NonNull<Account>, count: usize) {
    // SAFETY: nothing was subtracted, so the account is alive (A4).
    let kept = unsafe { account.as_ref() }.kept();
    // A reference of its own: the waiters that are admitted may drop the last handle meanwhile.
    let account = kept.expect("what is in use keeps the account alive (A4)");
    drop(account.give_back(count));
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
