//! The pool's handle, and the other things that keep the engine alive.
//!
//! | what keeps it alive     | where it is counted                    | given up                           |
//! |-------------------------|----------------------------------------|------------------------------------|
//! | a [`Pool`]              | `Engine::handles`                      | the last one under the lock        |
//! | a [`ReleaseGuard`]             | there too, apart                       | the last one under the lock        |
//! | a slot that is out      | its bit                                | by the exchange that puts it home  |
//! | a [`CallbackRef`]             | in the word the slot went home to      | by an exchange, or under the lock  |
//!
//! When all are gone, the one who saw it under the lock frees the pool. Samples are not counted
//! anywhere: cloning an `Arc` for each would be two more writes of a line that all threads share.
//!
//! The engine's own memory is in an `Arc`, of which they hold one reference together, a
//! [`WeakPool`] one, and whoever gives up the last of something under the lock one more, so that the
//! lock it is about to release outlives it.

#![allow(unsafe_code, reason = "listed in scripts/layers")]

use crate::{
    core::{
        engine::{Engine, Shared},
        ref_count::Holding,
        refs::CallbackRef,
    },
    slot::{bytes::Geometry, header::Owner, owned::OwnedSlot, shared::SharedSlot, word::Put},
    sync::Arc,
};
use std::{fmt, mem::ManuallyDrop, ptr::NonNull};

/// A handle to a pool of sample buffers.
///
/// Cloning it makes another handle to the same pool. Handles are counted on one line that all
/// threads share: clone one per task, not one per packet. When the last handle is dropped, samples
/// that are out stay valid, and the last of them frees the pool, on whatever thread that happens.
///
/// The methods are grouped as the DirectShow interface is that they mirror, `IMemAllocator`:
/// configuring ([`set_properties`](Pool::set_properties), [`commit`](Pool::commit),
/// [`decommit`](Pool::decommit)), getting ([`get_buffer`](Pool::get_buffer) and its forms), being
/// told ([`set_notify`](Pool::set_notify), [`released`](Pool::released)) and looking
/// ([`status`](Pool::status), [`holders`](Pool::holders)).
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
        let status = engine.status(&engine.lock());
        f.debug_struct("Pool")
            .field("state", &status.state)
            .field("buffers", &status.buffers)
            .field("free", &status.free)
            .field("waiting", &status.waiting)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// The first handle to a new engine, whose count of handles starts at one.
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

    /// A handle that is not counted, or will be by the caller.
    pub(super) fn at(engine: NonNull<Engine>) -> Self {
        Pool { engine }
    }

    /// What slots remember of their pool.
    pub(crate) fn owner(&self) -> Owner {
        Owner(self.engine.as_ptr().cast())
    }

    /// A reference to the engine's memory.
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

    /// Whether `self` and `other` are handles to the same pool.
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

/// Gives up the last of something under the lock, and frees the pool if nothing is left.
#[cold]
pub(super) fn drop_last(engine: Arc<Engine>, give_up: impl FnOnce(&Engine) -> bool) {
    if give_up(&engine) {
        engine.end();
        let pool: *const Engine = Arc::as_ptr(&engine);
        // SAFETY: handles, ties and slots together held one reference; `give_up` said, once, that
        // all of them are gone (S2, H1).
        unsafe { Arc::decrement_strong_count(pool) };
    }
    engine.wake_watches_of_one_gone();
}

/// The address of an engine.
#[inline]
pub(super) fn engine_at(owner: Owner) -> NonNull<Engine> {
    // SAFETY: a word is set up, with an owner that is not null, before it is opened for the first time, and nothing
    // is taken of one that was never opened (S2). A test here is one in each release that calls back.
    unsafe { NonNull::new_unchecked(owner.0.cast()) }
}

/// The engine that a slot belongs to.
#[inline]
pub(crate) fn engine_of(slot: &OwnedSlot) -> &Engine {
    let engine: *const Engine = slot.owner().0.cast();
    // SAFETY: the owner of a slot is its pool's engine, which the slot keeps alive while it is out,
    // and the reference is bound to the slot's token (S2).
    unsafe { &*engine }
}

/// The sizes of the parts of a slot.
#[inline]
pub(crate) fn geometry_of(slot: &OwnedSlot) -> &Geometry {
    engine_of(slot).geometry()
}

/// The engine that a shared slot belongs to.
pub(crate) fn engine_of_shared(slot: &SharedSlot) -> &Engine {
    let engine: *const Engine = slot.owner().0.cast();
    // SAFETY: the owner of a slot is its pool's engine, which the slot keeps alive while it is out,
    // and the reference is bound to the slot's token (S2).
    unsafe { &*engine }
}

/// A handle to a pool that does not keep it alive.
///
/// A callback or a background task that must not prolong the pool's life holds one of these. It keeps
/// the pool's headers in memory, but not its buffers.
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
    /// A handle to the pool, or `None` once no handle is left, whether samples are still out or not.
    ///
    /// While a release callback runs, its releaser holds a handle; otherwise a release does not.
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

/// Keeps the pool alive while a release goes the slow way. Not a handle: a pool that has none left
/// cannot be had again through its guests.
pub(crate) struct ReleaseGuard {
    engine: NonNull<Engine>,
}

impl fmt::Debug for ReleaseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleaseGuard").finish_non_exhaustive()
    }
}

impl ReleaseGuard {
    /// Takes the lock of the pool that a slot belongs to, and enters as a guest. What `release` does
    /// with the slot is done under that lock.
    #[inline]
    pub(crate) fn enter(
        slot: OwnedSlot,
        release: impl FnOnce(&Engine, &mut Shared, OwnedSlot),
    ) -> ReleaseGuard {
        let engine = engine_at(slot.owner());
        let release_guard = ManuallyDrop::new(ReleaseGuard { engine });
        // The slot keeps the pool alive until the guest is counted.
        let mut shared = release_guard.engine().lock();
        shared.release_guards.enter();
        release(release_guard.engine(), &mut shared, slot);
        drop(shared);
        ManuallyDrop::into_inner(release_guard)
    }

    pub(crate) fn engine(&self) -> &Engine {
        // SAFETY: the guest is counted, which keeps the engine alive (H1).
        unsafe { self.engine.as_ref() }
    }

    /// Becomes a handle, for the callback.
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

/// What came of putting a slot home without the lock.
#[derive(Debug)]
pub(crate) enum PutOutcome {
    /// It is home; nothing of the pool may be touched any more.
    Done,
    /// It is home, there is a callback to call, and the claim keeps the pool alive meanwhile.
    CallbackDue(CallbackRef),
    /// The slot is still the caller's, who goes under the lock with it.
    Kept(OwnedSlot),
}

/// Puts a slot home without the lock, if its word is open.
#[inline]
pub(crate) fn put_free(slot: OwnedSlot) -> PutOutcome {
    let word = slot.word();
    match slot.put() {
        (_, Some(slot)) => PutOutcome::Kept(slot),
        // SAFETY: the exchange took it just now (H1).
        (Put::CallbackDue, None) => PutOutcome::CallbackDue(unsafe { CallbackRef::assume(word) }),
        (_, None) => PutOutcome::Done,
    }
}
