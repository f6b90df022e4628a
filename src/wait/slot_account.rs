//! The reference of a slot to the quota account against which its sample counts.
//!
//! The slot stores it as an address without a type, because the layer of the slots is below that of the quotas. Only
//! this module converts an account to that address and back.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{slot::owned::OwnedSlot, wait::quota_account::Account};
use std::{ptr::NonNull, sync::Arc};

/// Makes the sample count against `account`. It must not count against an account already.
pub(crate) fn charge(slot: &mut OwnedSlot, account: Arc<Account>) {
    let account = Arc::into_raw(account).cast_mut().cast();
    let account = NonNull::new(account).expect("an `Arc` never points to null");
    // SAFETY: the address is one reference to the account, which only `take` takes back (S5).
    unsafe { slot.set_account(account) };
}

/// Takes the account against which the sample counts. `Some` once for each `charge`.
pub(crate) fn take(slot: &mut OwnedSlot) -> Option<Arc<Account>> {
    let account: *const Account = slot.take_account()?.as_ptr().cast();
    // SAFETY: only `charge` stores an account there, from `Arc::into_raw`; it is taken once (S5).
    Some(unsafe { Arc::from_raw(account) })
}

/// The address that a slot stores for `account`.
pub(crate) fn address(account: &Arc<Account>) -> *const () {
    Arc::as_ptr(account).cast()
}
