//! The quota account that a sample is charged to. Its slot has it as an address without a type, because a slot knows
//! nothing of quotas; it is turned into that address and back here, and nowhere else.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{slot::owned::OwnedSlot, wait::quota_account::Account};
use std::{ptr::NonNull, sync::Arc};

/// Charges the sample, which is not charged, to `account`.
pub(crate) fn charge(slot: &mut OwnedSlot, account: Arc<Account>) {
    let account = Arc::into_raw(account).cast_mut().cast();
    let account = NonNull::new(account).expect("no `Arc` points to null");
    // SAFETY: it is one reference, which `take` takes back (S5).
    unsafe { slot.set_payer(account) };
}

/// The account that the sample was charged to, once.
pub(crate) fn take(slot: &mut OwnedSlot) -> Option<Arc<Account>> {
    let account: *const Account = slot.take_payer()?.as_ptr().cast();
    // SAFETY: only `charge` writes down a payer: one reference to an account, which is taken once (S5).
    Some(unsafe { Arc::from_raw(account) })
}

/// The address that a slot has of `account`.
pub(crate) fn address(account: &Arc<Account>) -> *const () {
    Arc::as_ptr(account).cast()
}
