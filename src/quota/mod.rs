//! A quota for each consumer, so that one of them cannot take all the buffers.
//!
//! A get of a quota waits twice at most: for room in the quota, in a line of the quota's own, and then
//! in the pool's line as everybody does. So one that is over its quota holds up nobody else. What a
//! sample was charged is given back when its last handle drops, wherever that is.

#![forbid(unsafe_code)]

mod account;
mod accounts;
mod charge;
mod get;
mod get_charged;
mod status;

pub(crate) use account::Account;
pub(crate) use accounts::Accounts;
pub(crate) use get_charged::GetCharged;
pub use status::QuotaStatus;

use crate::{line::Rank, raw::handle::Pool};
use std::{fmt, sync::Arc};

impl Pool {
    /// Makes a quota: through it, at most `n` samples can be out at a time, and one more for the moment in
    /// which another is being released.
    ///
    /// It takes nothing from the pool: quotas may promise more than there is, and a get of one waits for
    /// a sample as any other does. Its name is for people: [`Holder`](crate::Holder) and
    /// [`quotas`](Pool::quotas) tell it, and two quotas may have the same. Gets of the pool itself pay
    /// nothing for the quotas that it has.
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
    #[must_use = "without a use of it, a quota bounds nothing"]
    pub fn quota(&self, name: impl Into<Arc<str>>, n: usize) -> Quota {
        let account = Arc::new(Account::new(self.downgrade(), name.into(), n));
        let mut shared = self.engine().lock();
        let gone = shared.accounts.add(account.clone());
        drop(shared);
        drop(gone);
        Quota {
            pool: self.clone(),
            account,
            rank: Rank::Ordinary,
        }
    }

    /// The quotas of this pool that are in use: those that somebody has, or that a sample which is out was
    /// charged to. In the order in which they were made. Not a snapshot.
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
        self.engine().lock().accounts.statuses()
    }
}

/// A share of a pool: gets through it are bounded by a number of their own; see [`Pool::quota`].
///
/// A sample is charged from the get until its last handle drops: clones, slices, `Bytes`, on whatever
/// thread. Clones of a quota share what is charged. It keeps the pool alive, as a handle does.
///
/// Those who are over the quota wait in the quota's own line, first come, first served, and block nobody
/// in the pool's; they join that one when they are polled with room for them. Whatever their rank: share no
/// quota between handles that are privileged and others. A decommit or a flush fails them as everyone
/// who waits.
///
/// Its futures have no names and are not `Unpin`: to poll one by reference, pin it with [`std::pin::pin!`], or
/// use a [`PollPool`](crate::PollPool) made from the quota, which needs no pinning.
///
/// A get through a quota costs two more atomic operations than one of the pool, an owned one four, and
/// the release of what it got two: on two cache lines that only the users of this quota write.
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
    pool: Pool,
    account: Arc<Account>,
    rank: Rank,
}

impl Quota {
    /// Lets the gets of this handle take from the pool's reserve when no other sample is home, and be
    /// served before all that are not privileged.
    ///
    /// The one exception to *nobody overtakes* in the pool's line: for what must not fail, such as control messages and key
    /// frames. While more of them wait than samples come home, all others wait, so give the quota no
    /// more than that needs. [`Builder::max_waiters`](crate::Builder::max_waiters) does not refuse them a
    /// place in the pool's line.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::Pool;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().buffers(4).reserve(1).build()?;
    /// let key_frames = pool.quota("key frames", 2).privileged();
    /// let taken = pool.get_buffers(3).await?; // all that they may have
    /// let key_frame = key_frames.get_buffer().await?;
    /// # drop((taken, key_frame));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the answer is the quota that is privileged"]
    pub fn privileged(mut self) -> Quota {
        self.rank = Rank::Privileged;
        self
    }

    /// Whether this handle is [privileged](Quota::privileged).
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.rank == Rank::Privileged
    }

    /// The pool that this is a share of.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What is charged to it now, and who waits. Not a snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = sample_pool::Pool::builder().build()?;
    /// let camera = pool.quota("camera 1", 4);
    /// let frame = camera.try_get_buffer()?.freeze();
    /// assert_eq!(camera.status().charged, 1);
    /// drop(frame);
    /// assert_eq!(camera.status().charged, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> QuotaStatus {
        QuotaStatus::of(&self.account)
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("account", &self.account)
            .field("privileged", &self.is_privileged())
            .finish_non_exhaustive()
    }
}
