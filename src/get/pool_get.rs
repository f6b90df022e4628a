//! The part of a get that asks the pool: it makes samples of the slots that it gets.
//!
//! Room in a quota is not its concern; see [`source`](super::source).

#![forbid(unsafe_code)]

use crate::{
    core::engine::Engine,
    get::acquire::Acquire,
    sample::exclusive::Sample,
    slot::list::SlotList,
    values::error::GetBufferError,
    wait::request::{Rank, Wanted},
};
use std::{
    panic::Location,
    task::{Context, Poll, ready},
};

/// The part of a get that asks the pool. It is the same for a pool and a quota, and compiled once, in this crate.
#[derive(Debug)]
pub(super) struct PoolGet {
    pub(super) acquire: Acquire,
    pub(super) location: &'static Location<'static>,
}

impl PoolGet {
    #[inline(always)]
    pub(super) fn poll_one(
        &mut self,
        engine: &Engine,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Sample, GetBufferError>> {
        match self.acquire.poll_fast(engine, cx) {
            Some(slot) => {
                let sample = Sample::new(engine, slot, self.location);
                self.acquire.finish();
                Poll::Ready(Ok(sample))
            }
            None => self.poll_slowly(engine, cx),
        }
    }

    /// The first poll that finds no free slot, and every later poll. They are two functions, because one function would
    /// save the registers of both.
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
        // A constant `slots: 1` lets the compiler remove thirty instructions.
        let one = Wanted { slots: 1, rank };
        let polled = self.acquire.begin(engine, one, cx);
        self.acquire.record_location(engine, self.location);
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

    pub(super) fn poll_many(
        &mut self,
        engine: &Engine,
        samples: &mut Vec<Sample>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), GetBufferError>> {
        // A get of one sample takes a free one without the lock, as `poll_one` does.
        if let Acquire::New(Wanted { slots: 1, .. }) = self.acquire {
            if let Some(slot) = self.acquire.poll_fast(engine, cx) {
                samples.push(Sample::new(engine, slot, self.location));
                self.acquire.finish();
                return Poll::Ready(Ok(()));
            }
        }
        let polled = self.acquire.poll(engine, cx);
        self.acquire.record_location(engine, self.location);
        let slots = ready!(polled)?;
        Poll::Ready(append_samples(engine, slots, samples, self.location))
    }
}

/// Appends a sample for each slot of the list. A slot list is last in, first out, so the samples are reversed: the
/// lowest index comes first. If the memory for the `Vec` cannot be allocated, all slots are returned to the pool: the
/// user chose the number, and it must not abort the process.
pub(crate) fn append_samples(
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
