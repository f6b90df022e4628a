//! *Miss*: `try_get_buffer` on a pool that has nothing left, and how its cost grows with the number of buffers.

use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, Outcome, Table},
    threads::time_on_threads,
};
use sample_pool::GetBufferError;
use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

const SIZE: usize = 64;
const MANY: &str = "sample-pool, 65536 buffers";
const FEW: &str = "sample-pool, 64 buffers";

pub(crate) fn tables() -> Vec<Table> {
    [("no waiter", false), ("a waiter queued", true)]
        .map(|(case, queued)| {
            Table::new("miss", case)
                .reference(FEW, move || misses(64, queued))
                .row(MANY, move || misses(65_536, queued))
                .target(MANY, Base::Row(FEW), Bound::AtMost(4.0))
        })
        .into()
}

fn misses(buffers: usize, queued: bool) -> impl FnMut(u64) -> Outcome {
    let pool = SamplePool::with_buffers(buffers, SIZE);
    move |operations| {
        let held: Vec<_> = (0..buffers)
            .map(|_| pool.0.try_get_buffer().expect("free"))
            .collect();
        let mut waiter = pin!(pool.0.get_buffer());
        if queued {
            let poll = waiter
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(poll, Poll::Pending));
        }
        let elapsed = time_on_threads(1, operations, |operations| {
            for _ in 0..operations {
                let missed = black_box(&pool.0).try_get_buffer();
                assert_eq!(missed.err(), Some(GetBufferError::Exhausted));
            }
        });
        assert_eq!(pool.0.status().waiting, usize::from(queued));
        drop(held);
        Outcome::per_operation(elapsed, operations)
    }
}
