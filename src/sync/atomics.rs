//! The atomics of loom's and shuttle's sets: the same operations, each after a switch point of its set.

use super::{Companion, atomic};
use std::sync::atomic::Ordering;

macro_rules! atomic {
    ($name:ident, $value:ty $(, $generic:ident)?) => {
        // In shuttle's set the companion is zero-sized, so this has the layout of the real atomic. Zeroed memory that
        // is mapped as an array of them needs that.
        #[derive(Debug)]
        #[repr(C)]
        pub(crate) struct $name$(<$generic>)? {
            inner: atomic::$name$(<$generic>)?,
            companion: Companion,
        }

        #[allow(dead_code, reason = "no type is used in every way")]
        impl$(<$generic>)? $name$(<$generic>)? {
            pub(crate) fn new(value: $value) -> Self {
                Self {
                    inner: atomic::$name::new(value),
                    companion: Companion::new(),
                }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.companion.before_load_or_store();
                self.inner.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.companion.before_load_or_store();
                self.inner.store(value, order);
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.companion.before_exchange();
                self.inner.compare_exchange(current, new, success, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                // Never fails spuriously: a replayed schedule must take the same path.
                self.compare_exchange(current, new, success, failure)
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.companion.before_exchange();
                self.inner.swap(value, order)
            }
        }
    };
}

macro_rules! arithmetic {
    ($name:ident, $value:ty) => {
        #[allow(dead_code, reason = "no type is used in every way")]
        impl $name {
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.companion.before_exchange();
                self.inner.fetch_add(value, order)
            }

            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.companion.before_exchange();
                self.inner.fetch_sub(value, order)
            }

            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.companion.before_exchange();
                self.inner.fetch_and(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.companion.before_exchange();
                self.inner.fetch_or(value, order)
            }
        }
    };
}

atomic!(AtomicU64, u64);
atomic!(AtomicUsize, usize);
atomic!(AtomicPtr, *mut T, T);
arithmetic!(AtomicU64, u64);
arithmetic!(AtomicUsize, usize);
