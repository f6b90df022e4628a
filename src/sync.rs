//! The atomics, locks and cells of the crate: std's, or loom's inside the models.
//!
//! This is the only file that names a lock or an atomic type. The rest of the crate is written once
//! and runs on either set. The switch is `all(test, loom)`, so that a user's own loom build gets
//! the real pool and not one that panics outside a model.
//!
//! | name               | what it is                                                               |
//! |--------------------|--------------------------------------------------------------------------|
//! | `Atomic*`          | explored by loom                                                         |
//! | `Setting*`         | written while nobody can reach it, published by another atomic; relaxed  |
//! | `Lock`             | a mutex without poisoning: no foreign code ever runs under it            |
//! | `Notify`           | tokio's, with a switch point before each operation under loom            |
//! | `Cell`             | `UnsafeCell` behind closures, so that loom sees every access             |

pub(crate) use std::sync::atomic::{
    AtomicBool as SettingBool, AtomicPtr as SettingPtr, AtomicU8 as SettingU8,
    AtomicU32 as SettingU32, AtomicU64 as SettingU64, AtomicUsize as Setting, Ordering,
};

/// Panics on a thread that drives Tokio's tasks.
///
/// Tokio alone knows which threads do; its own blocking calls panic there.
#[track_caller]
pub(crate) fn assert_may_block() {
    let probe = tokio::sync::Mutex::const_new(());
    drop(probe.blocking_lock());
}

#[cfg(not(all(test, loom)))]
pub(crate) use real::*;

#[cfg(all(test, loom))]
pub(crate) use explored::*;

#[cfg(not(all(test, loom)))]
mod real {
    pub(crate) use std::sync::{
        Arc, MutexGuard as LockGuard, OnceLock as Once,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize},
    };
    pub(crate) use tokio::sync::{Notify, futures::Notified, futures::OwnedNotified};

    use std::{
        cell::UnsafeCell,
        sync::{Condvar, Mutex, PoisonError},
    };

    thread_local! {
        /// Where [`crate::stripe`] keeps its number.
        pub(crate) static STRIPE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    /// A mutex that does not poison.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Lock(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// Wakes those who wait for a change under a [`Lock`].
    #[derive(Debug, Default)]
    pub(crate) struct Changed(Condvar);

    impl Changed {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn announce(&self) {
            self.0.notify_all();
        }
    }

    /// `UnsafeCell` with the interface of loom's.
    #[derive(Debug)]
    pub(crate) struct Cell<T>(UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Cell(UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(all(test, loom))]
mod explored {
    pub(crate) use loom::sync::{Arc, MutexGuard as LockGuard};

    use std::{
        future::Future,
        pin::Pin,
        sync::atomic::Ordering,
        task::{Context, Poll},
    };

    loom::thread_local! {
        pub(crate) static STRIPE: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }

    /// Loom can miss interleavings when a thread loads an atomic just before it writes it. A
    /// read-modify-write on a companion before each load and store makes them switch points that
    /// loom orders freely.
    macro_rules! atomic {
        ($name:ident, $inner:ty, $value:ty $(, $generic:ident)?) => {
            #[derive(Debug)]
            pub(crate) struct $name$(<$generic>)? {
                inner: $inner,
                companion: loom::sync::atomic::AtomicUsize,
            }

            #[allow(dead_code, reason = "no type is used in every way")]
            impl$(<$generic>)? $name$(<$generic>)? {
                pub(crate) fn new(value: $value) -> Self {
                    Self {
                        inner: <$inner>::new(value),
                        companion: loom::sync::atomic::AtomicUsize::new(0),
                    }
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.companion.fetch_add(1, Ordering::Relaxed);
                    self.inner.load(order)
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.companion.fetch_add(1, Ordering::Relaxed);
                    self.inner.store(value, order);
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.inner.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.inner.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
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
                    self.inner.fetch_add(value, order)
                }

                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_sub(value, order)
                }

                pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    self.inner.fetch_and(value, order)
                }
            }
        };
    }

    atomic!(AtomicU64, loom::sync::atomic::AtomicU64, u64);
    atomic!(AtomicUsize, loom::sync::atomic::AtomicUsize, usize);
    atomic!(AtomicPtr, loom::sync::atomic::AtomicPtr<T>, *mut T, T);
    arithmetic!(AtomicU64, u64);
    arithmetic!(AtomicUsize, usize);

    #[derive(Debug)]
    pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Lock(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> LockGuard<'_, T> {
            self.0.lock().expect("no code of ours panics under a lock")
        }
    }

    #[derive(Debug)]
    pub(crate) struct Changed(loom::sync::Condvar);

    impl Changed {
        pub(crate) fn new() -> Self {
            Changed(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
            self.0
                .wait(guard)
                .expect("no code of ours panics under a lock")
        }

        pub(crate) fn announce(&self) {
            self.0.notify_all();
        }
    }

    #[derive(Debug)]
    pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Cell(loom::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            self.0.with(f)
        }

        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }
    }

    /// Tokio's `Notify` with one loom read-modify-write before each operation. Loom sees no switch
    /// point inside the real one, so a bare `Notify` would pass a seeded lost wake-up.
    #[derive(Debug)]
    pub(crate) struct Notify {
        real: std::sync::Arc<tokio::sync::Notify>,
        step: std::sync::Arc<Step>,
    }

    #[derive(Debug)]
    struct Step(loom::sync::atomic::AtomicUsize);

    impl Step {
        fn take(&self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    impl Notify {
        pub(crate) fn new() -> Self {
            Notify {
                real: std::sync::Arc::default(),
                step: std::sync::Arc::new(Step(loom::sync::atomic::AtomicUsize::new(0))),
            }
        }

        pub(crate) fn notify_one(&self) {
            self.step.take();
            self.real.notify_one();
        }

        pub(crate) fn notified(&self) -> Notified<'_> {
            Notified {
                inner: self.listen(),
                _notify: std::marker::PhantomData,
            }
        }

        pub(crate) fn notified_owned(self: std::sync::Arc<Self>) -> OwnedNotified {
            self.listen()
        }

        fn listen(&self) -> OwnedNotified {
            self.step.take();
            OwnedNotified {
                real: Some(Box::pin(self.real.clone().notified_owned())),
                step: self.step.clone(),
            }
        }
    }

    #[derive(Debug)]
    pub(crate) struct OwnedNotified {
        real: Option<Pin<Box<tokio::sync::futures::OwnedNotified>>>,
        step: std::sync::Arc<Step>,
    }

    impl OwnedNotified {
        pub(crate) fn enable(mut self: Pin<&mut Self>) -> bool {
            self.step.take();
            let real = self.real.as_mut().expect("taken by drop only");
            real.as_mut().enable()
        }
    }

    impl Future for OwnedNotified {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.step.take();
            let real = self.real.as_mut().expect("taken by drop only");
            real.as_mut().poll(cx)
        }
    }

    impl Drop for OwnedNotified {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                self.step.take();
            }
            self.real = None;
        }
    }

    #[derive(Debug)]
    pub(crate) struct Notified<'a> {
        inner: OwnedNotified,
        _notify: std::marker::PhantomData<&'a Notify>,
    }

    impl Notified<'_> {
        pub(crate) fn enable(mut self: Pin<&mut Self>) -> bool {
            Pin::new(&mut self.inner).enable()
        }
    }

    impl Future for Notified<'_> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            Pin::new(&mut self.inner).poll(cx)
        }
    }
}
