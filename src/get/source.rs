//! The source of samples (a pool or a quota), and what all gets have in common.
//!
//! A get of a quota waits for room in the quota first. Then it is the same as a get of the pool, and its samples count
//! against the quota. So there is one future for each method, and the source is its type parameter. For a pool the
//! steps of the quota are empty functions, which compile to nothing.
//!
//! | step                     | get of a pool    | get of a quota                                          |
//! |--------------------------|------------------|---------------------------------------------------------|
//! | `poll_room`              | ready at once    | waits in the quota's queue until the quota has room     |
//! | [`Acquire`]              | takes the slots  | the same                                                |
//! | `charge`                 | nothing          | each sample carries its part of the room until released |
//! | error, timeout, drop     | nothing          | the room is returned to the quota                       |

#![forbid(unsafe_code)]

use crate::{
    core::handle::Pool,
    get::{acquire::Acquire, pool_get::PoolGet},
    sample::exclusive::Sample,
    sync::user_code,
    values::error::GetBufferError,
    wait::{
        charge::Charge,
        node::Timer,
        request::{Rank, Wanted},
    },
};
use std::{
    fmt, mem,
    ops::ControlFlow,
    panic::Location,
    slice,
    task::{Context, Poll, ready},
};

/// A source of samples: a [`Pool`], or a [`Quota`](crate::Quota) of one.
///
/// It is the type parameter of the futures of gets: [`GetBuffer<'_>`](crate::GetBuffer) is a get of a pool, and
/// `GetBuffer<'_, Quota>` is a get of a quota. The trait is sealed: no other types implement it.
///
/// # Examples
///
/// ```
/// use sample_pool::{GetBuffer, GetBufferError, Pool, Source};
///
/// /// Gets a sample of a pool or of a quota, and returns how much it can take.
/// async fn capacity<S: Source>(get: GetBuffer<'_, S>) -> Result<usize, GetBufferError> {
///     Ok(get.await?.capacity())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().build()?;
/// let camera = pool.quota("camera 1", 2);
/// assert_eq!(capacity(pool.get_buffer()).await?, capacity(camera.get_buffer()).await?);
/// # Ok(())
/// # }
/// ```
#[expect(
    private_bounds,
    reason = "the trait is sealed, and it has no method to call"
)]
pub trait Source: SealedSource {}

impl<S: SealedSource> Source for S {}

/// What a get needs of its source.
pub(crate) trait SealedSource: Clone + Unpin + fmt::Debug {
    /// The room in the quota that a get has before it asks the pool. Dropping it returns the room.
    type Room: Default + Unpin + fmt::Debug;

    /// Whether the source limits its samples. If not, the steps for the room are compiled away.
    const IS_LIMITED: bool;

    /// Reserves room for one sample, if there is some and the get has none yet.
    fn try_room(&self, room: &Self::Room) -> Option<Charge>;

    /// Keeps room that was reserved.
    fn keep_room(room: &mut Self::Room, charge: Charge);

    /// Whether a get that joins no queue can take a sample.
    fn may_try(&self) -> bool;

    /// Reserves room for one sample, unless the get has it, and returns whether the get has room now.
    fn reserve_room(&self, room: &mut Self::Room) -> bool;

    fn pool(&self) -> &Pool;

    fn rank(&self) -> Rank;

    /// Polls for room for `count` samples.
    fn poll_room(
        &self,
        room: &mut Self::Room,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>>;

    /// The timer of a get that waits for room.
    fn timer(room: &mut Self::Room) -> Option<&mut Option<Timer>>;

    /// Ends the wait for room because of the timeout; `None` if it does not wait for room. `Some(Ok(()))` if the get
    /// was given its room before the timeout was seen.
    fn time_out(room: &mut Self::Room) -> Option<Result<(), GetBufferError>>;

    /// Moves the room to the samples for which it was reserved: each of them carries its part.
    fn charge(room: &mut Self::Room, samples: &mut [Sample]);
}

impl SealedSource for Pool {
    /// A pool has no limit for a get, so there is no room to reserve.
    type Room = ();

    const IS_LIMITED: bool = false;

    #[inline]
    fn try_room(&self, _room: &()) -> Option<Charge> {
        None
    }

    #[inline]
    fn keep_room(_room: &mut (), _charge: Charge) {}

    fn may_try(&self) -> bool {
        true
    }

    fn reserve_room(&self, _room: &mut ()) -> bool {
        true
    }

    #[inline]
    fn pool(&self) -> &Pool {
        self
    }

    #[inline]
    fn rank(&self) -> Rank {
        Rank::Ordinary
    }

    #[inline]
    fn poll_room(
        &self,
        _room: &mut (),
        _count: usize,
        _cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn timer(_room: &mut ()) -> Option<&mut Option<Timer>> {
        None
    }

    #[inline]
    fn time_out(_room: &mut ()) -> Option<Result<(), GetBufferError>> {
        None
    }

    #[inline]
    fn charge(_room: &mut (), _samples: &mut [Sample]) {}
}

/// A get without its source: the caller passes the source to every method. It must keep the source until the get has
/// resolved or was [cancelled](Get::cancel).
#[derive(Debug)]
pub(crate) struct Get<S: SealedSource> {
    room: S::Room,
    pool_get: PoolGet,
}

impl<S: SealedSource> Get<S> {
    #[inline]
    pub(crate) fn new(source: &S, count: usize, location: &'static Location<'static>) -> Self {
        let wanted = Wanted {
            slots: count,
            rank: source.rank(),
        };
        Get {
            room: S::Room::default(),
            pool_get: PoolGet {
                acquire: Acquire::New(wanted),
                location,
            },
        }
    }

    /// Polls a get of one sample.
    // `always`: a call would return the sample through memory, and a get and drop takes a tenth longer.
    #[inline(always)]
    pub(crate) fn poll_one(
        &mut self,
        source: &S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        if !S::IS_LIMITED {
            return self.pool_get.poll_one(source.pool().engine(), cx);
        }
        match self.poll_fast(source, cx) {
            Some(sample) => Poll::Ready(Ok(sample)),
            None => self.poll_with_room(source, cx),
        }
    }

    /// The fast path of the first poll: a sample, if the source has room and a slot is free. After `None`, room or a slot
    /// that was taken is stored in the get, and [`poll_with_room`](Get::poll_with_room) goes on from there.
    #[inline(always)]
    fn poll_fast(&mut self, source: &S, cx: &mut Context<'_>) -> Option<Sample> {
        let Acquire::New(_) = self.pool_get.acquire else {
            return None;
        };
        let charge = source.try_room(&self.room)?;
        let Get { room, pool_get } = self;
        let engine = source.pool().engine();
        let poll = || pool_get.acquire.poll_fast(engine, cx);
        // A waker that panics must not lose the room: the drop of the get returns it.
        let (charge, slot) = user_code::holding(charge, poll, |charge| S::keep_room(room, charge));
        let Some(slot) = slot else {
            S::keep_room(room, charge);
            return None;
        };
        let mut sample = Sample::new(engine, slot, pool_get.location);
        sample.charge_to(charge);
        pool_get.acquire.finish();
        Some(sample)
    }

    /// Takes a sample if one is free, and joins no queue. Before the first poll only. If there is no sample, the get keeps
    /// the room in the quota that it got.
    ///
    /// `Break(None)` if a further try cannot take a sample either. A poll can, or returns the error.
    pub(crate) fn try_take(&mut self, source: &S) -> ControlFlow<Option<Sample>> {
        let Get { room, pool_get } = self;
        let engine = source.pool().engine();
        if !source.may_try() || !engine.serves_gets() {
            return ControlFlow::Break(None);
        }
        if !source.reserve_room(room) {
            return ControlFlow::Continue(());
        }
        let Some(slot) = engine.take_if_free() else {
            return ControlFlow::Continue(());
        };
        let mut sample = Sample::new(engine, slot, pool_get.location);
        S::charge(room, slice::from_mut(&mut sample));
        pool_get.acquire.finish();
        ControlFlow::Break(Some(sample))
    }

    #[cold]
    #[inline(never)]
    fn poll_with_room(
        &mut self,
        source: &S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        ready!(self.poll_room(source, cx))?;
        match ready!(self.pool_get.poll_one(source.pool().engine(), cx)) {
            Ok(mut sample) => {
                S::charge(&mut self.room, slice::from_mut(&mut sample));
                Poll::Ready(Ok(sample))
            }
            Err(error) => {
                self.give_room_back();
                Poll::Ready(Err(error))
            }
        }
    }

    /// Polls a get of several samples, and appends them to `samples`.
    pub(crate) fn poll_many(
        &mut self,
        source: &S,
        samples: &mut Vec<Sample>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        ready!(self.poll_room(source, cx))?;
        let first = samples.len();
        let engine = source.pool().engine();
        let polled = self.pool_get.poll_many(engine, samples, cx);
        match ready!(polled) {
            Ok(()) => S::charge(&mut self.room, &mut samples[first..]),
            Err(error) => {
                self.give_room_back();
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline(always)]
    fn poll_room(&mut self, source: &S, cx: &mut Context<'_>) -> Poll<Result<(), GetBufferError>> {
        // Not `New`: it has asked the pool, so it has its room already.
        let Acquire::New(wanted) = self.pool_get.acquire else {
            return Poll::Ready(Ok(()));
        };
        let polled = source.poll_room(&mut self.room, wanted.slots, cx);
        if let Poll::Ready(Err(_)) = polled {
            self.pool_get.acquire = Acquire::Done;
        }
        polled
    }

    #[inline]
    fn give_room_back(&mut self) {
        self.room = S::Room::default();
    }

    /// The timer of a get that waits, either for room or for samples.
    pub(crate) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match S::timer(&mut self.room) {
            Some(timer) => Some(timer),
            None => self.pool_get.acquire.timer(),
        }
    }

    /// Ends the wait because of the timeout. `Ok` if the get was given what it waits for before the timeout was seen:
    /// it goes on.
    pub(crate) fn time_out(&mut self, source: &S) -> Result<(), GetBufferError> {
        let given_up = match S::time_out(&mut self.room) {
            Some(Err(error)) => {
                self.pool_get.acquire = Acquire::Done;
                Err(error)
            }
            Some(Ok(())) => Ok(()),
            None => self.pool_get.acquire.time_out(source.pool().engine()),
        };
        if given_up.is_err() {
            self.give_room_back();
        }
        given_up
    }

    /// Moves the get out, and leaves one that is over.
    pub(crate) fn take(&mut self) -> Self {
        Get {
            room: mem::take(&mut self.room),
            pool_get: PoolGet {
                acquire: mem::replace(&mut self.pool_get.acquire, Acquire::Done),
                location: self.pool_get.location,
            },
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.pool_get.acquire.is_done()
    }

    pub(crate) fn acquire(&self) -> &Acquire {
        &self.pool_get.acquire
    }

    /// Removes the get from the wait queue, and passes on slots that were handed to it. The room in the quota is
    /// returned when the get is dropped.
    #[inline]
    pub(crate) fn cancel(&mut self, source: &S) {
        self.pool_get.acquire.cancel(source.pool().engine());
    }
}
