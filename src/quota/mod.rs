//! Quotas: a limit for each consumer, so that one of them cannot take all the buffers.
//!
//! A get of a quota waits at most twice: first for room in the quota, in a wait queue that only this quota has, and
//! then in the pool's wait queue, as every other get. So a consumer that has used up its quota delays no other. A
//! sample counts against the quota until its last handle is dropped, on any thread.
//!
//! A quota is a boundary: code that is given one can get samples through it, and nothing else. Its limit and its
//! priority are fixed when it is made. No method leads to the pool from a quota, from a sample or from a
//! [`PollPool`](crate::PollPool).
//!
//! | module           | what it has                                                                 |
//! |------------------|-----------------------------------------------------------------------------|
//! | `get`            | the public gets of a quota                                                  |
//! | [`admission`]    | the states of a get that waits for room; the rule is in `wait::quota_account` |
//! | `room`           | the room of a get, from its first poll until its samples have it            |
//! | [`poll_pool`]    | a pool or quota for poll functions that are written by hand                 |
//! | [`registration`] | the waker of a task that keeps a buffer, in its pool and its quota          |

#![forbid(unsafe_code)]

pub(crate) mod admission;
mod get;
mod get_segments;
pub(crate) mod poll_pool;
pub(crate) mod registration;
mod room;

use crate::{
    core::handle::Pool,
    quota::registration::Registration,
    values::quota_status::QuotaStatus,
    wait::{charge::AccountHandle, request::Rank},
};
use std::{fmt, sync::Arc};

impl Pool {
    /// Makes a quota: at most `n` samples can be outstanding through it at a time.
    ///
    /// While one of the samples is being released, there may be one more for a moment. A quota reserves no buffers: the
    /// limits of all quotas together may be larger than the pool, and a get of a quota waits for a sample as any other
    /// get does. Gets of the pool itself do not become slower.
    ///
    /// The name is for people: [`Holder`](crate::Holder), [`quotas`](Pool::quotas) and [`report`](Pool::report) show
    /// it. Two quotas may have the same name.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::{GetBufferError, Pool};
    ///
    /// let pool = Pool::builder().buffers(8).build()?;
    /// let camera = pool.quota("camera 1", 2);
    /// let frames = (camera.try_get_buffer()?, camera.try_get_buffer()?);
    /// assert_eq!(camera.try_get_buffer().unwrap_err(), GetBufferError::Exhausted);
    /// assert!(pool.try_get_buffer().is_ok(), "other users have six");
    /// # drop(frames);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a quota limits only the gets that are made through it"]
    pub fn quota(&self, name: impl Into<Arc<str>>, n: usize) -> Quota {
        self.quota_of(name.into(), n, Rank::Ordinary)
    }

    /// Makes a quota of high priority, for control messages or key frames, for example.
    ///
    /// It differs from [`quota`](Pool::quota) in three points:
    ///
    /// - If no other sample is free, its gets may take the buffers that
    ///   [`Builder::priority_buffers`](crate::Builder::priority_buffers) keeps.
    /// - If its gets have to wait, they are served before all waiters of the pool that have no high priority. This is
    ///   the only exception to *first in, first out*. Gets of high priority are served in order among themselves.
    /// - [`Builder::max_waiters`](crate::Builder::max_waiters) does not limit how many of its gets wait for a sample.
    ///
    /// While more gets of high priority wait than samples are released, no other waiter is served. So make `n` no
    /// larger than necessary.
    ///
    /// The priority is fixed: no method gives another quota a high priority.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(4).priority_buffers(1).build()?;
    /// let key_frames = pool.priority_quota("key frames", 2);
    /// let taken = pool.get_buffers(3).await?; // all that gets of the pool can take
    /// let key_frame = key_frames.get_buffer().await?;
    /// # drop((taken, key_frame));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only the gets that are made through a quota have its priority"]
    pub fn priority_quota(&self, name: impl Into<Arc<str>>, n: usize) -> Quota {
        self.quota_of(name.into(), n, Rank::HighPriority)
    }

    fn quota_of(&self, name: Arc<str>, limit: usize, rank: Rank) -> Quota {
        let of_pool = Box::new(self.downgrade());
        let account = self.engine().add_account(of_pool, name, limit, rank);
        Quota {
            pool: self.clone(),
            account: AccountHandle::new(account),
        }
    }

    /// The quotas of this pool that are in use, in the order in which they were made.
    ///
    /// A quota is in use while it has a handle, a get, or a sample that counts against it. This is not a snapshot:
    /// other threads get and release samples while it is read.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// let frame = camera.try_get_buffer()?;
    /// let quotas = pool.quotas();
    /// assert_eq!(quotas[0].to_string(), "camera 1: 1 of 4, 0 waiting");
    /// # drop(frame);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quotas(&self) -> Vec<QuotaStatus> {
        self.engine().quotas()
    }
}

/// A limited share of a pool, for one consumer. Made by [`Pool::quota`] or [`Pool::priority_quota`].
///
/// It has the gets of a [`Pool`] and no other methods of it. **It is a boundary**: code that is given a quota cannot
/// raise its limit or its priority, and cannot reach the pool, neither through the quota nor through a sample, a
/// [`PollPool`](crate::PollPool) or an adapter that was made from it. So give a plugin, a connection or a tenant
/// a quota instead of the pool.
///
/// A sample counts against the quota from the get until its last handle is dropped: clones, slices and
/// [`Bytes`](bytes::Bytes) are handles too. Clones of a quota share one limit. A quota keeps the pool alive, as a pool
/// handle does.
///
/// A get that finds no room in the quota waits in the quota's own queue, first in, first out, and delays no other user
/// of the pool. Once the quota has room, the get joins the pool's queue at its next poll. A decommit or a flush fails
/// the waiters of both queues.
///
/// Its gets return the same futures as those of a pool, with the quota as type parameter:
/// [`GetBuffer<'_, Quota>`](crate::GetBuffer).
///
/// A get through a quota costs two more atomic operations than a get of the pool (`get_buffer_owned` four), and the
/// release of its sample costs two more. They write two cache lines that only the users of this quota write.
///
/// # Examples
///
/// ```
/// use sample_pool::Pool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).build()?;
/// let camera = pool.quota("camera 1", 2);
/// let first = camera.get_buffer().await?.freeze();
/// let second = camera.get_buffer().await?;
/// let waiting = tokio::spawn(camera.get_buffer_owned());
/// drop(first); // the quota has room again
/// waiting.await??;
/// # drop(second);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Quota {
    /// No public method returns it: a quota is a boundary.
    pool: Pool,
    account: AccountHandle,
}

impl Quota {
    /// For the types of this crate that are made from a quota.
    #[cfg(feature = "stream")]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Registers a task to be woken when another get waits for this quota, or for its pool.
    pub(crate) fn registration(&self) -> Registration {
        Registration::new(&self.pool, Some(&self.account))
    }

    /// Returns `true` if the quota has high priority: it was made by [`Pool::priority_quota`].
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// assert!(pool.priority_quota("control", 1).is_priority());
    /// assert!(!pool.quota("camera 1", 4).is_priority());
    /// # Ok::<(), sample_pool::BuildError>(())
    /// ```
    #[must_use]
    pub fn is_priority(&self) -> bool {
        self.account.rank() == Rank::HighPriority
    }

    /// How many samples count against the quota now, and how many gets wait for room in it.
    ///
    /// Not a snapshot: other threads get and release samples while it is read.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// let frame = camera.try_get_buffer()?.freeze();
    /// assert_eq!(camera.status().in_use, 1);
    /// drop(frame);
    /// assert_eq!(camera.status().in_use, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> QuotaStatus {
        let pool = self.account.pool();
        self.account.status(|joined| pool.since(joined))
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("account", &self.account)
            .field("priority", &self.is_priority())
            .finish_non_exhaustive()
    }
}
