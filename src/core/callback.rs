//! Notification of releases: the callback, the guard that removes it, and the future of the next release.
//!
//! # Orderings
//!
//! | access                                   | ordering  | pairs with      | carries                          |
//! |------------------------------------------|-----------|-----------------|----------------------------------|
//! | `callback.store`, `replace_notify`       | `Release` | the loads below | the callback behind the pointer  |
//! | `callback.load`, `has_callback`          | `Acquire` | the store       | whether a callback is set        |
//! | `callback.load`, `look_up_again`         | `Acquire` | the store       | whether it was replaced          |
//! | `callback.load`, `CallbackRef::callback` | `Acquire` | the store       | the callback that is called      |

#![forbid(unsafe_code)]

use crate::{
    core::{
        engine::{Callback, Engine, Shared},
        handle::{Pool, WeakPool},
    },
    sync::Ordering,
    wait::event::Listener,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    ptr,
    sync::Arc,
    task::{Context, Poll},
};

/// The callback that is called when a sample is released.
///
/// It is called once for each release, on the thread that dropped the sample's last handle: inside another task's poll,
/// inside a `Drop`, or on a thread without a runtime. So it should be short, and must not block. Several threads may
/// call it at once, and in another order than the samples were released: keep what it changes in atomics or under a
/// lock.
///
/// No lock of the pool is held during the call. The callback may call anything that does not wait, including the pool
/// that it is given. A sample that is released inside the callback makes a nested call, and the stack grows with it.
///
/// If a get was queued, the sample was already handed off to it when the callback runs. The callback is a hint that a
/// sample was released, and no promise that one is free.
///
/// A panic inside the callback is caught and counted in [`Status::callback_panics`](crate::Status), also if the thread
/// is already unwinding. This needs `panic = "unwind"`.
///
/// The callback is given the pool, so it need not own a handle: such a handle would keep the pool alive for ever. It
/// may clone the one that it is given.
///
/// Mirrors `IMemAllocatorNotifyCallbackTemp::NotifyRelease`.
///
/// # Examples
///
/// ```
/// use sample_pool::{NotifyRelease, Pool};
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
///
/// #[derive(Default)]
/// struct Releases(AtomicUsize);
///
/// impl NotifyRelease for Releases {
///     fn notify_release(&self, pool: &Pool) {
///         assert_eq!(pool.free_count(), 4);
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// let pool = Pool::builder().buffers(4).build()?;
/// let releases = Arc::new(Releases::default());
/// pool.set_notify(Some(releases.clone()));
/// drop(pool.try_get_buffer()?);
/// assert_eq!(releases.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait NotifyRelease: Send + Sync + 'static {
    /// Called after a sample of `pool` was released, possibly on several threads at once.
    fn notify_release(&self, pool: &Pool);
}

impl<F: Fn(&Pool) + Send + Sync + 'static> NotifyRelease for F {
    fn notify_release(&self, pool: &Pool) {
        self(pool);
    }
}

impl fmt::Debug for dyn NotifyRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn NotifyRelease")
    }
}

impl Engine {
    pub(crate) fn set_notify(
        &self,
        notify: Option<Arc<dyn NotifyRelease>>,
    ) -> Option<Arc<dyn NotifyRelease>> {
        let new = notify.map(Arc::new);
        self.replace_notify(&mut self.lock(), new)
    }

    /// Removes the callback if it is still `this` one, and returns it.
    fn remove_notify(&self, this: &Arc<dyn NotifyRelease>) -> Option<Arc<dyn NotifyRelease>> {
        let mut shared = self.lock();
        shared
            .callback
            .as_deref()
            .filter(|set| Arc::ptr_eq(set, this))?;
        self.replace_notify(&mut shared, None)
    }

    /// Replaces the callback, and returns the old one.
    ///
    /// Every word is parked in the same hold of the lock, so no release without the lock is in the middle of this step.
    /// A release may be calling the old callback at this moment. It has a callback reference, and the pool keeps its
    /// own reference to the old callback until all callback references of this time are dropped. All words stay parked
    /// until then, so that no later callback reference is counted among them.
    fn replace_notify(
        &self,
        shared: &mut Shared,
        new: Option<Callback>,
    ) -> Option<Arc<dyn NotifyRelease>> {
        let address = new.as_ref().map_or(ptr::null(), Arc::as_ptr);
        self.callback.store(address.cast_mut(), Ordering::Release);
        shared.words.notify = new.is_some();
        shared.words.park_all(&self.free_list);
        let old = std::mem::replace(&mut shared.callback, new)?;
        let returned = Arc::clone(&*old);
        if shared.words.parked_callback_refs() > 0 {
            // A release with a callback reference may hold a plain pointer to the old callback: dropped here, it
            // dangles.
            shared.retired.push(old);
            shared.words.must_stay_parked = true;
        }
        Some(returned)
    }

    /// Whether a callback is set. Pairs with the store of `replace_notify`, like the load in `look_up_again`.
    #[inline]
    pub(crate) fn has_callback(&self) -> bool {
        !self.callback.load(Ordering::Acquire).is_null()
    }

    /// Returns the callback that is set now, and `known` if it was replaced. `known` is the callback that was set when
    /// the caller held the lock.
    ///
    /// Neither is dropped here, because dropping one is user code. `known` stays alive until after the comparison, so
    /// that no other callback can have its address.
    pub(crate) fn look_up_again(
        &self,
        known: Option<Callback>,
    ) -> (Option<Callback>, Option<Callback>) {
        let address = known.as_ref().map_or(ptr::null(), Arc::as_ptr);
        // Pairs with the store of `replace_notify`: a thread that saw that call return sees no earlier callback.
        if ptr::eq(self.callback.load(Ordering::Acquire), address) {
            return (known, None);
        }
        (self.lock().callback.clone(), known)
    }
}

/// Removes the callback that [`Pool::on_release`] set when it is dropped, if that callback is still set.
///
/// It does not keep the pool alive.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// let pool = Pool::builder().build()?;
/// let guard = pool.on_release(|pool| println!("{} free", pool.free_count()));
/// drop(pool.try_get_buffer()?); // prints
/// drop(guard);
/// drop(pool.try_get_buffer()?); // prints nothing
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the guard removes the callback; `detach` keeps it"]
pub struct NotifyGuard {
    callback: Option<(WeakPool, Arc<dyn NotifyRelease>)>,
}

impl fmt::Debug for NotifyGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyGuard").finish_non_exhaustive()
    }
}

impl NotifyGuard {
    /// Keeps the callback set for as long as the pool lives, or until another one is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// let pool = Pool::builder().build()?;
    /// pool.on_release(|_pool| println!("released")).detach();
    /// assert!(pool.set_notify(None).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detach(mut self) {
        self.callback = None;
    }
}

impl Drop for NotifyGuard {
    fn drop(&mut self) {
        if let Some((pool, callback)) = self.callback.take() {
            drop(pool.engine().remove_notify(&callback));
        }
    }
}

/// The future of the next release; made by [`Pool::released`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Released<'a> {
    pool: &'a Pool,
    listener: Listener,
}

impl fmt::Debug for Released<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released").finish_non_exhaustive()
    }
}

impl Future for Released<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.listener.poll(cx)
    }
}

impl Drop for Released<'_> {
    fn drop(&mut self) {
        if !self.listener.is_over() {
            self.pool.engine().lock().released.remove(&self.listener);
        }
    }
}

impl Pool {
    /// Sets, replaces or (with `None`) removes the callback that is called at each release, and returns the old one.
    ///
    /// The old one is returned so that no lock is held when it is dropped. The callback may be called on several
    /// threads at once.
    ///
    /// The exchange is atomic: each release calls the old callback, the new one, or none, and never two. A release
    /// after this returned calls the new callback or its successor, so *register before checking* misses no release.
    /// After `set_notify(None)` returned, only a call that is in flight on another thread may still run. Such a call
    /// may also drop the last reference to the old callback. A release looks up the callback in its last step, after it
    /// has woken the waiter: a waker that removes or replaces the callback takes effect for that release.
    ///
    /// While a call is in flight, the pool keeps its own reference to each callback that was replaced since that call
    /// began. After a replacement, gets and releases take a lock until that call ends.
    ///
    /// A closure needs the type of its argument: `Arc::new(|pool: &Pool| ..)`. The cost grows with the number of
    /// buffers that were used since the last get or release on the slow path.
    ///
    /// Mirrors `IMemAllocatorCallbackTemp::SetNotify`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    /// use std::sync::Arc;
    ///
    /// let pool = Pool::builder().build()?;
    /// let old = pool.set_notify(Some(Arc::new(|pool: &Pool| println!("{} free", pool.free_count()))));
    /// assert!(old.is_none());
    /// drop(pool.try_get_buffer()?); // prints
    /// assert!(pool.set_notify(None).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_notify(
        &self,
        notify: Option<Arc<dyn NotifyRelease>>,
    ) -> Option<Arc<dyn NotifyRelease>> {
        self.engine().set_notify(notify)
    }

    /// Sets a callback, and returns a guard that removes it. The callback may be called on several threads at once.
    ///
    /// It works as [`set_notify`](Pool::set_notify), but the type of the closure's argument is inferred. Dropping the
    /// guard removes the callback if it is still the one that is set. An earlier callback is replaced and dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    ///
    /// let pool = Pool::builder().build()?;
    /// let releases = Arc::new(AtomicUsize::new(0));
    /// let count = releases.clone();
    /// let guard = pool.on_release(move |_pool| { count.fetch_add(1, Ordering::Relaxed); });
    /// drop(pool.try_get_buffer()?);
    /// drop(guard);
    /// drop(pool.try_get_buffer()?);
    /// assert_eq!(releases.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_release(&self, f: impl Fn(&Pool) + Send + Sync + 'static) -> NotifyGuard {
        let callback: Arc<dyn NotifyRelease> = Arc::new(f);
        let old = self.set_notify(Some(callback.clone()));
        // Made before the old one is dropped: that is user code and may panic, and the guard then removes the new one.
        let guard = NotifyGuard {
            callback: Some((self.downgrade(), callback)),
        };
        drop(old);
        guard
    }

    /// Waits for the next release after this call.
    ///
    /// It counts from the call, not from the first poll: a release in between resolves it. While such a future exists,
    /// every get and release takes the slow path. So it is for a rare wait, and not for a loop that handles every
    /// packet. It allocates.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Dropping the future loses only the notification.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(1).build()?;
    /// let sample = pool.get_buffer().await?;
    /// let released = pool.released();
    /// drop(sample);
    /// released.await;
    /// assert_eq!(pool.free_count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn released(&self) -> Released<'_> {
        let engine = self.engine();
        let mut shared = engine.lock();
        // Parked, so that the next release finds the listener under the lock.
        shared.words.park_all(&engine.free_list);
        let listener = shared.released.listen();
        Released {
            pool: self,
            listener,
        }
    }
}
