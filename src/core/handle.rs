//! The pool's handle, and the other references that keep the engine alive.
//!
//! | reference                  | counted in                              | dropped                             |
//! |----------------------------|-----------------------------------------|-------------------------------------|
//! | a [`Pool`]                 | `Engine::handles`                       | the last one under the lock         |
//! | a [`ReleaseGuard`]         | `Engine::handles`, in bits of its own   | the last one under the lock         |
//! | a slot that is checked out | its bit in a word                       | by the exchange that puts it        |
//! | a [`CallbackRef`]          | the word to which its slot was returned | by an exchange, or under the lock   |
//!
//! When all are gone, the thread that saw it under the lock frees the pool. Samples are not counted anywhere else:
//! cloning an `Arc` for each would be two more writes of a cache line that all threads share.
//!
//! The engine's own memory is in an `Arc`. All references of the table together hold one strong reference, and each
//! [`WeakPool`] holds one. The thread that drops the last reference of a kind under the lock holds one more, so that
//! the lock outlives its release.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    core::{
        engine::{Engine, Shared},
        ref_count::Holding,
        refs::CallbackRef,
    },
    slot::{bytes::Geometry, header::PoolAddress, owned::OwnedSlot, shared::SharedSlot, word::Put},
    sync::Arc,
};
use std::{fmt, mem::ManuallyDrop, ptr::NonNull};

/// A handle to a pool of sample buffers.
///
/// Cloning it makes another handle to the same pool. The count of handles is on one cache line that all threads share:
/// clone a handle for each task, not for each packet. When the last handle is dropped, outstanding samples stay valid.
/// The release of the last of them frees the pool, on the thread that drops it.
///
/// The methods are grouped like those of `IMemAllocator`, the DirectShow interface that they mirror:
///
/// - configure: [`set_properties`](Pool::set_properties), [`commit`](Pool::commit), [`decommit`](Pool::decommit);
/// - get: [`get_buffer`](Pool::get_buffer) and its variants;
/// - be notified: [`set_notify`](Pool::set_notify), [`released`](Pool::released);
/// - observe: [`status`](Pool::status), [`holders`](Pool::holders).
///
/// # Examples
///
/// ```
/// use bytes::{BufMut, Bytes};
/// use sample_pool::Pool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).size(1500).build()?;
/// let mut sample = pool.get_buffer().await?;
/// sample.put_slice(b"a packet");
/// let bytes: Bytes = sample.into_bytes();
/// let for_another_client = bytes.clone();
/// drop((bytes, for_another_client));
/// assert_eq!(pool.free_count(), 8);
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    engine: NonNull<Engine>,
}

// SAFETY: the engine is `Send + Sync`, checked below, and the handle is a counted pointer to it (H1).
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Engine>();
};

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = self.engine();
        let status = engine.status();
        f.debug_struct("Pool")
            .field("state", &status.state)
            .field("buffers", &status.buffers)
            .field("free", &status.free)
            .field("waiting", &status.waiting)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// The first handle to a new engine, whose count of handles is one.
    pub(crate) fn first(engine: Engine) -> Self {
        let engine = Arc::into_raw(Arc::new(engine)).cast_mut();
        Pool {
            engine: NonNull::new(engine).expect("no `Arc` points to null"),
        }
    }

    #[inline]
    pub(crate) fn engine(&self) -> &Engine {
        // SAFETY: this handle keeps the engine alive (H1).
        unsafe { self.engine.as_ref() }
    }

    /// A handle that is not counted, or that the caller has counted or will count.
    pub(super) fn at(engine: NonNull<Engine>) -> Self {
        Pool { engine }
    }

    /// The address that each word stores: that of the pool's engine.
    pub(crate) fn address(&self) -> PoolAddress {
        PoolAddress(self.engine.as_ptr().cast())
    }

    /// A strong reference to the engine's memory.
    fn memory(&self) -> Arc<Engine> {
        memory(self.engine)
    }

    /// Makes a handle that does not keep the pool alive.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::new();
    /// let weak = pool.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(pool);
    /// assert!(weak.upgrade().is_none());
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakPool {
        WeakPool {
            engine: self.memory(),
        }
    }

    /// Returns `true` if `self` and `other` are handles to the same pool.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::new();
    /// assert!(pool.same_pool(&pool.clone()));
    /// assert!(!pool.same_pool(&Pool::new()));
    /// ```
    #[must_use]
    pub fn same_pool(&self, other: &Pool) -> bool {
        self.engine == other.engine
    }
}

impl Clone for Pool {
    #[inline]
    fn clone(&self) -> Self {
        self.engine().handles.count_one_more();
        Pool {
            engine: self.engine,
        }
    }
}

impl Drop for Pool {
    #[inline]
    fn drop(&mut self) {
        if !self.engine().handles.drop_one_of_many(Holding::Handle) {
            drop_last(self.memory(), |engine| engine.drop_last(Holding::Handle));
        }
    }
}

pub(super) fn memory(engine: NonNull<Engine>) -> Arc<Engine> {
    let engine: *const Engine = engine.as_ptr();
    // SAFETY: the pointer came from `Arc::into_raw`, and the caller keeps the pool alive, for which
    // one reference is held (H1).
    unsafe { Arc::increment_strong_count(engine) };
    // SAFETY: as above, and the reference is the one just counted.
    unsafe { Arc::from_raw(engine) }
}

/// Drops the last reference of a kind under the lock with `give_up`, and frees the pool if `give_up` returns `true`.
#[cold]
pub(super) fn drop_last(engine: Arc<Engine>, give_up: impl FnOnce(&Engine) -> bool) {
    if give_up(&engine) {
        engine.end();
        let pool: *const Engine = Arc::as_ptr(&engine);
        // SAFETY: all references of the module's table together held one strong reference. `give_up` returned `true`,
        // once, because all of them are gone (S2, H1).
        unsafe { Arc::decrement_strong_count(pool) };
    }
    engine.wake_watches_of_one_gone();
}

/// The engine at the address that a word stores.
#[inline]
pub(super) fn engine_at(pool: PoolAddress) -> NonNull<Engine> {
    // SAFETY: a word is set up, with an address that is not null, before it is opened for the first time, and no slot is
    // taken from a word that was never opened (S2). A null check here would run in each release that calls back.
    unsafe { NonNull::new_unchecked(pool.0.cast()) }
}

/// The engine that a slot belongs to.
#[inline]
pub(crate) fn engine_of(slot: &OwnedSlot) -> &Engine {
    let engine: *const Engine = slot.pool_address().0.cast();
    // SAFETY: the address is that of the slot's engine, which the slot keeps alive while it is checked out, and the
    // returned reference is bound to the slot's token (S2).
    unsafe { &*engine }
}

/// The sizes of the parts of a slot.
#[inline]
pub(crate) fn geometry_of(slot: &OwnedSlot) -> &Geometry {
    engine_of(slot).geometry()
}

/// The engine that a shared slot belongs to.
pub(crate) fn engine_of_shared(slot: &SharedSlot) -> &Engine {
    let engine: *const Engine = slot.pool_address().0.cast();
    // SAFETY: the address is that of the slot's engine, which the slot keeps alive while it is checked out, and the
    // returned reference is bound to the slot's token (S2).
    unsafe { &*engine }
}

/// A handle that does not keep the pool alive.
///
/// It is for callbacks and background tasks that must not prolong the pool's life. It keeps the headers of the pool's
/// buffers in memory, but not the buffers.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, WeakPool};
///
/// let pool = Pool::new();
/// let weak: WeakPool = pool.downgrade();
/// let again = weak.upgrade().expect("a handle is left");
/// assert!(again.same_pool(&pool));
/// ```
#[derive(Clone)]
pub struct WeakPool {
    engine: Arc<Engine>,
}

impl fmt::Debug for WeakPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPool").finish_non_exhaustive()
    }
}

impl WeakPool {
    /// Returns a handle to the pool, or `None` if no handle is left, even if samples are outstanding.
    ///
    /// A release that runs the release callback counts as a handle during the call; other releases do not.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let weak = Pool::new().downgrade();
    /// assert!(weak.upgrade().is_none());
    /// ```
    #[must_use]
    pub fn upgrade(&self) -> Option<Pool> {
        let engine = NonNull::new(Arc::as_ptr(&self.engine).cast_mut())?;
        let counted = self.engine.count_another_handle();
        counted.then_some(engine).map(Pool::at)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Keeps the pool alive during a release on the slow path.
///
/// It is not a handle: `WeakPool::upgrade` gives no handle to a pool that has none left, even if a guard exists.
pub(crate) struct ReleaseGuard {
    engine: NonNull<Engine>,
}

impl fmt::Debug for ReleaseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleaseGuard").finish_non_exhaustive()
    }
}

impl ReleaseGuard {
    /// Takes the lock of the pool that a slot belongs to, and counts a release guard. `release` consumes the slot under
    /// that lock.
    #[inline]
    pub(crate) fn enter(
        slot: OwnedSlot,
        release: impl FnOnce(&Engine, &mut Shared, OwnedSlot),
    ) -> ReleaseGuard {
        let engine = engine_at(slot.pool_address());
        let release_guard = ManuallyDrop::new(ReleaseGuard { engine });
        // The slot keeps the pool alive until the guard is counted. Until then the guard must not be dropped.
        let mut shared = release_guard.engine().lock();
        shared.release_guards.enter();
        release(release_guard.engine(), &mut shared, slot);
        drop(shared);
        ManuallyDrop::into_inner(release_guard)
    }

    pub(crate) fn engine(&self) -> &Engine {
        // SAFETY: the guard is counted, which keeps the engine alive (H1).
        unsafe { self.engine.as_ref() }
    }

    /// Converts the guard into a handle, for the callback.
    pub(crate) fn into_handle(self) -> Pool {
        let release_guard = ManuallyDrop::new(self);
        release_guard
            .engine()
            .handles
            .turn_release_guard_into_handle();
        Pool {
            engine: release_guard.engine,
        }
    }
}

impl Drop for ReleaseGuard {
    fn drop(&mut self) {
        if !self
            .engine()
            .handles
            .drop_one_of_many(Holding::ReleaseGuard)
        {
            drop_last(memory(self.engine), |engine| {
                engine.drop_last(Holding::ReleaseGuard)
            });
        }
    }
}

/// The outcome of a put without the lock.
#[derive(Debug)]
pub(crate) enum PutOutcome {
    /// The slot is free. The caller must not touch anything of the pool any more: another thread may free it.
    Done,
    /// The slot is free and a callback is set. The callback reference keeps the pool alive until the call returns.
    CallbackDue(CallbackRef),
    /// The word is parked, or has no callback reference left. The caller still owns the slot, and must put it under the
    /// lock.
    Kept(OwnedSlot),
}

/// Puts a slot without the lock, if its word is open.
#[inline]
pub(crate) fn put_free(slot: OwnedSlot) -> PutOutcome {
    let word = slot.word();
    match slot.put() {
        (_, Some(slot)) => PutOutcome::Kept(slot),
        // SAFETY: the exchange has counted the callback reference just now (H1).
        (Put::CallbackDue, None) => PutOutcome::CallbackDue(unsafe { CallbackRef::assume(word) }),
        (_, None) => PutOutcome::Done,
    }
}
