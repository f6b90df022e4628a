//! Who is asked for samples, a pool or a quota of one, and what all gets have in common.
//!
//! A get of a quota waits for room in the quota first. Then it is a get like that of the pool, and what it was
//! charged for goes onto its samples. So there is one future for each method, with a parameter for who is asked.
//! For a pool all that a quota adds is empty, and compiles to nothing.

#![forbid(unsafe_code)]

use crate::{
    core::{engine::Engine, handle::Pool},
    get::acquire::Acquire,
    sample::exclusive::Sample,
    slot::list::SlotList,
    values::error::GetBufferError,
    wait::{
        node::Timer,
        request::{Rank, Wanted},
    },
};
use std::{
    fmt,
    panic::Location,
    slice,
    task::{Context, Poll, ready},
};

/// What samples are got from: a [`Pool`], or a [`Quota`](crate::Quota) of one.
///
/// A future of a get has it as a parameter: [`GetBuffer<'_>`](crate::GetBuffer) is a get of a pool,
/// `GetBuffer<'_, Quota>` is one of a quota. No other types implement it.
#[expect(
    private_bounds,
    reason = "nobody else may implement it, and it has no method to call"
)]
pub trait Source: Asked {}

impl<S: Asked> Source for S {}

/// What a get has to know of its source.
pub(crate) trait Asked: Clone + Unpin + fmt::Debug {
    /// The room that a get was given before it asks the pool. What is in it is given back when it is dropped.
    type Room: Default + Unpin + fmt::Debug;

    /// Whether there is anything to do for the room. What is not done costs nothing.
    const HAS_ROOM: bool;

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

    /// Gives up the wait for room because the time is over; `None` if it does not wait for room. One that was given
    /// it meanwhile has it.
    fn time_out(room: &mut Self::Room) -> Option<Result<(), GetBufferError>>;

    /// What the room is for is there: each of the samples takes its part.
    fn charge(room: &mut Self::Room, samples: &mut [Sample]);
}

impl Asked for Pool {
    /// The pool is all the room that there is.
    type Room = ();

    const HAS_ROOM: bool = false;

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

/// A get, without its source, which every method is given. The source must stay until the get has resolved or was
/// [cancelled](Get::cancel).
#[derive(Debug)]
pub(crate) struct Get<S: Asked> {
    room: S::Room,
    pool: PoolGet,
}

/// The part of a get that asks the pool. It is the same for a pool and a quota, and compiled once, here.
#[derive(Debug)]
struct PoolGet {
    acquire: Acquire,
    location: &'static Location<'static>,
}

impl<S: Asked> Get<S> {
    #[inline]
    pub(crate) fn new(source: &S, count: usize, location: &'static Location<'static>) -> Self {
        let wanted = Wanted {
            slots: count,
            rank: source.rank(),
        };
        Get {
            room: S::Room::default(),
            pool: PoolGet {
                acquire: Acquire::New(wanted),
                location,
            },
        }
    }

    /// Polls a get of one sample.
    // Always: called, it hands the sample back through memory, and a get and drop takes a tenth longer.
    #[inline(always)]
    pub(crate) fn poll_one(
        &mut self,
        source: &S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        if S::HAS_ROOM {
            ready!(self.poll_room(source, cx))?;
        }
        let polled = self.pool.poll_one(source.pool().engine(), cx);
        // The answer of a get of a pool is handed on as it is.
        match S::HAS_ROOM {
            true => self.use_room(polled),
            false => polled,
        }
    }

    /// The sample takes its part of the room, or an error gives it back.
    #[inline]
    fn use_room(
        &mut self,
        polled: Poll<Result<Sample, GetBufferError>>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match ready!(polled) {
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

    /// Polls a get of several samples, which are appended.
    pub(crate) fn poll_many(
        &mut self,
        source: &S,
        samples: &mut Vec<Sample>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        ready!(self.poll_room(source, cx))?;
        let first = samples.len();
        let engine = source.pool().engine();
        let polled = self.pool.poll_many(engine, samples, cx);
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
        // Once it has asked the pool it has its room.
        let Acquire::New(wanted) = self.pool.acquire else {
            return Poll::Ready(Ok(()));
        };
        let polled = source.poll_room(&mut self.room, wanted.slots, cx);
        if let Poll::Ready(Err(_)) = polled {
            self.pool.acquire = Acquire::Done;
        }
        polled
    }

    #[inline]
    fn give_room_back(&mut self) {
        self.room = S::Room::default();
    }

    /// The timer of a get that waits, for room or for samples.
    pub(crate) fn timer(&mut self) -> Option<&mut Option<Timer>> {
        match S::timer(&mut self.room) {
            Some(timer) => Some(timer),
            None => self.pool.acquire.timer(),
        }
    }

    /// Gives up because the time is over. A get that was given what it waits for meanwhile goes on.
    pub(crate) fn time_out(&mut self, source: &S) -> Result<(), GetBufferError> {
        let given_up = match S::time_out(&mut self.room) {
            Some(Err(error)) => {
                self.pool.acquire = Acquire::Done;
                Err(error)
            }
            Some(Ok(())) => Ok(()),
            None => self.pool.acquire.time_out(source.pool().engine()),
        };
        if given_up.is_err() {
            self.give_room_back();
        }
        given_up
    }

    pub(crate) fn is_done(&self) -> bool {
        self.pool.acquire.is_done()
    }

    pub(crate) fn acquire(&self) -> &Acquire {
        &self.pool.acquire
    }

    /// Gives up a place in line, and slots that were handed over. What it has of the quota goes when it is dropped.
    #[inline]
    pub(crate) fn cancel(&mut self, source: &S) {
        self.pool.acquire.cancel(source.pool().engine());
    }
}

impl PoolGet {
    #[inline(always)]
    fn poll_one(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match self.acquire.poll_hit(engine, cx) {
            Some(slot) => {
                let sample = Sample::new(engine, slot, self.location);
                self.acquire.finish();
                Poll::Ready(Ok(sample))
            }
            None => self.poll_slowly(engine, cx),
        }
    }

    /// Two functions, because neither needs all the registers that both together would have to save.
    #[cold]
    #[inline(never)]
    fn poll_slowly(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match self.acquire {
            Acquire::New(wanted) => self.begin(engine, wanted.rank, cx),
            _ => self.go_on(engine, cx),
        }
    }

    #[inline(never)]
    fn begin(
        &mut self,
        engine: &Engine,
        rank: Rank,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        // Where the compiler knows that it is one, thirty instructions fewer are executed.
        let one = Wanted { slots: 1, rank };
        let polled = self.acquire.begin(engine, one, cx);
        self.acquire.locate(engine, self.location);
        let slots = ready!(polled)?;
        Poll::Ready(Ok(Sample::new(engine, slots.into_only(), self.location)))
    }

    #[inline(never)]
    fn go_on(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        let slots = ready!(self.acquire.go_on(engine, cx))?;
        Poll::Ready(Ok(Sample::new(engine, slots.into_only(), self.location)))
    }

    fn poll_many(
        &mut self,
        engine: &Engine,
        samples: &mut Vec<Sample>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        // With one that is home it is a get like any other, which does without the lock.
        if let Acquire::New(Wanted { slots: 1, .. }) = self.acquire {
            if let Some(slot) = self.acquire.poll_hit(engine, cx) {
                samples.push(Sample::new(engine, slot, self.location));
                self.acquire.finish();
                return Poll::Ready(Ok(()));
            }
        }
        let polled = self.acquire.poll(engine, cx);
        self.acquire.locate(engine, self.location);
        let slots = ready!(polled)?;
        Poll::Ready(hand_out(engine, slots, samples, self.location))
    }
}

/// Appends a sample for each slot of the chain. Chains grow at the front, so they are turned round: the
/// lowest come first. If memory for so many is refused, all slots are free again: their number is the user's, and must
/// not abort the process.
pub(crate) fn hand_out(
    engine: &Engine,
    mut slots: SlotList,
    samples: &mut Vec<Sample>,
    location: &'static Location<'static>,
) -> Result<(), GetBufferError> {
    if samples.try_reserve(slots.len()).is_err() {
        engine.put_back(slots);
        return Err(GetBufferError::TooMany);
    }
    let first = samples.len();
    while let Some(slot) = slots.pop() {
        samples.push(Sample::new(engine, slot, location));
    }
    samples[first..].reverse();
    Ok(())
}
