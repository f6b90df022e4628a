//! The states of a pool: what every operation does in each of them, and which error has precedence.
//!
//! Guarantees: 10

#![forbid(unsafe_code)]

mod configuring;
mod draining;
mod flushing;
mod handles;

use crate::polling::at_once;
use bytes::BufMut;
use sample_pool::{GetBufferError, Pool, Properties, Sample, State};
use std::time::Duration;

const SMALL: Properties = properties(4, 64, 64, 0);

const fn properties(buffers: usize, size: usize, align: usize, prefix: usize) -> Properties {
    Properties {
        buffers,
        size,
        align,
        prefix,
    }
}

fn committed() -> Pool {
    let pool = Pool::new();
    pool.set_properties(SMALL).expect("small");
    pool.commit().expect("small");
    pool
}

/// A pool in `state`, and the sample that keeps a draining pool in that state.
fn pool_in(state: State) -> (Pool, Option<Sample>) {
    match state {
        State::Unconfigured => (Pool::new(), None),
        State::Configured => {
            let pool = committed();
            pool.decommit();
            (pool, None)
        }
        State::Committed => (committed(), None),
        _ => {
            let pool = committed();
            let sample = pool.try_get_buffer().expect("four are free");
            pool.decommit();
            (pool, Some(sample))
        }
    }
}

const STATES: [State; 4] = [
    State::Unconfigured,
    State::Configured,
    State::Committed,
    State::Draining,
];

/// The result of each kind of get at its first poll. `TooMany` and the empty result have lower precedence than
/// the errors under test, so impossible and empty requests are included.
fn refusals(pool: &Pool) -> Vec<Result<(), GetBufferError>> {
    let mut samples = Vec::new();
    vec![
        pool.try_get_buffer().map(drop),
        at_once(pool.get_buffer()).map(drop),
        at_once(pool.get_buffer_owned()).map(drop),
        at_once(pool.get_buffer_timeout(Duration::ZERO)).map(drop),
        pool.blocking_get_buffer().map(drop),
        pool.try_get_buffers(2).map(drop),
        pool.try_get_buffers(usize::MAX).map(drop),
        pool.try_get_buffers(0).map(drop),
        at_once(pool.get_buffers(2)).map(drop),
        at_once(pool.get_buffers(0)).map(drop),
        at_once(pool.get_buffers_into(&mut samples, usize::MAX)),
    ]
}

#[track_caller]
fn assert_all_refused(pool: &Pool, error: GetBufferError) {
    for refusal in refusals(pool) {
        assert_eq!(refusal, Err(error));
    }
}

/// The address of each sample of a committed pool, by its index.
fn addresses(pool: &Pool) -> Vec<usize> {
    let mut samples = pool
        .try_get_buffers(pool.properties().buffers)
        .expect("all are free");
    samples.sort_by_key(Sample::index);
    samples
        .iter_mut()
        .map(|sample| sample.chunk_mut().as_mut_ptr().addr())
        .collect()
}
