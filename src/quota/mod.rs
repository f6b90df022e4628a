//! A quota for each consumer, so that one of them cannot take all the buffers.
//!
//! A get of a quota waits twice at most: first for room in the quota, in a wait queue of the quota's own, and
//! then in the pool's wait queue like every other get. So a consumer that is over its quota delays no other.
//! A sample is charged to the quota until its last handle is dropped, on any thread.
//!
//! A quota is a boundary: code that is given one can get samples through it, and no more. Its limit and its
//! rank are fixed when it is made, and no method leads from it, from a sample or from what polls it to the pool.

#![forbid(unsafe_code)]

pub(crate) mod admission;
mod get;
pub(crate) mod poll_pool;
pub(crate) mod registration;
mod room;

use crate::values::quota_status::QuotaStatus;
use crate::wait::quota_account::Account;

use crate::{core::handle::Pool, quota::registration::Registration, wait::request::Rank};
use std::{fmt, sync::Arc};

impl Pool {
    /// Makes a quota: at most `n` samples can be outstanding through it at a time. For the moment in which one
    /// of them is being released, it may be one more.
    ///
    /// A quota sets no buffers aside. The limits of all quotas together may be larger than the pool, and a get
    /// of a quota waits for a sample like any other get. Gets of the pool itself do not become slower.
    ///
    /// The name is for people: [`Holder`](crate::Holder), [`quotas`](Pool::quotas) and
    /// [`report`](Pool::report) show it. Two quotas may have the same name.
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
    /// assert!(pool.try_get_buffer().is_ok(), "the others have six");
    /// # drop(frames);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a quota limits only the gets that are made through it"]
    pub fn quota(&self, name: impl Into<Arc<str>>, n: usize) -> Quota {
        self.quota_of(name.into(), n, Rank::Ordinary)
    }

    /// Makes a quota of high priority, for what must not fail: control messages, key frames.
    ///
    /// Its gets may take the buffers that [`Builder::priority_buffers`](crate::Builder::priority_buffers) keeps, when no other
    /// sample is free. When they have to wait, they are served before all waiters of the pool that have no high
    /// priority; this is the one exception to *first come, first served*. Among themselves they are served in
    /// order. [`Builder::max_waiters`](crate::Builder::max_waiters) does not limit how many of them wait for a
    /// sample. In all else it is as [`quota`](Pool::quota).
    ///
    /// While more of them wait than samples are released, no other waiter is served. So make `n` no larger
    /// than it has to be.
    ///
    /// The priority is fixed: there is no way from another quota to a high priority.
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
    /// let taken = pool.get_buffers(3).await?; // all that gets of the pool can have
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
            account,
        }
    }

    /// The quotas of this pool that are in use, in the order in which they were made.
    ///
    /// A quota is in use while a handle to it, a get of it or a sample that is charged to it exists. This is not
    /// a snapshot: samples move while it is read.
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
/// It has the gets of a [`Pool`] and nothing else of it. **It is a boundary**: code that is given a quota cannot
/// raise its limit or its priority, and cannot reach the pool, neither through the quota nor through a sample, a
/// [`PollPool`](crate::PollPool) or an adapter that was made from it. So give a plugin, a connection or a tenant
/// a quota instead of the pool.
///
/// A sample is charged to the quota from the get until its last handle is dropped: clones, slices and
/// [`Bytes`](bytes::Bytes) are handles too. Clones of a quota share one limit. A quota keeps the pool alive, as
/// a handle does.
///
/// Gets that find no room wait in the quota's own queue, first come, first served, and delay no other user of
/// the pool. Once there is room, a get joins the pool's queue at its next poll. A decommit or a flush fails both
/// kinds of waiters.
///
/// The futures of its gets are those of a pool, with the quota as a parameter: [`GetBuffer<'_, Quota>`](crate::GetBuffer).
///
/// A get through a quota costs two more atomic operations than one of the pool, an owned one four, and the
/// release of its sample two. They write two cache lines that only the users of this quota write.
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
    /// No public method gives it away: a quota is a boundary.
    pool: Pool,
    account: Arc<Account>,
}

impl Quota {
    /// For what is made from a quota, inside the crate.
    #[cfg(feature = "stream")]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What tells a task that another get waits for this quota, or for its pool.
    pub(crate) fn registration(&self) -> Registration {
        Registration::new(&self.pool, Some(&self.account))
    }

    /// Whether it is of high priority: made by [`Pool::priority_quota`].
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

    /// How many samples are charged to it now, and how many gets wait for room. Not a snapshot.
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
        {
            let pool = self.account.pool();
            self.account.status(|joined| pool.since(joined))
        }
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
