//! A get of one sample through a quota, with a future that borrows nothing.

#![forbid(unsafe_code)]

use super::{
    Quota,
    charge::{Admission, Charge},
};
use crate::{error::GetBufferError, get_owned::GetBufferOwned, sample::Sample};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Waits for room, and then for a sample. What it waits with for the sample keeps the pool alive from
/// the beginning.
#[derive(Debug)]
pub(crate) struct GetCharged {
    charge: Stage,
    get: GetBufferOwned,
}

#[derive(Debug)]
enum Stage {
    Asked(Admission),
    Charged(Charge),
    Done,
}

impl GetCharged {
    pub(crate) fn new(quota: &Quota, location: &'static Location<'static>) -> Self {
        GetCharged {
            charge: Stage::Asked(Admission::new(quota, 1)),
            get: GetBufferOwned::new(&quota.pool, quota.account.rank(), location),
        }
    }
}

impl Future for GetCharged {
    type Output = Result<Sample, GetBufferError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Stage::Asked(admission) = &mut this.charge {
            let charge = ready!(Pin::new(admission).poll(cx))?;
            this.charge = Stage::Charged(charge);
        }
        let got = ready!(Pin::new(&mut this.get).poll(cx));
        let Stage::Charged(charge) = std::mem::replace(&mut this.charge, Stage::Done) else {
            panic!("a get was polled after it had resolved");
        };
        Poll::Ready(got.map(|sample| charge.onto(sample)))
    }
}
