//! Loom tests: every interleaving of the operations that can run at the same time, up to a number of
//! preemptions.
//!
//! Each test runs the real pool, through its public methods, on loom's atomics, locks and cells. The properties
//! of a slot are in a loom cell, so loom itself reports a slot that has two owners or is seen before it is
//! reset. The tests assert everything else.

#![forbid(unsafe_code)]

mod batch;
mod crowd;
mod decommit;
mod get;
mod lifetime;
mod notify;
mod owned;
mod parts;
mod queue;
mod quota;
mod reclaim;
mod shared;
mod watch;

use crate::{GetBufferError, Pool, Sample};
use loom::{future::block_on, thread};
use std::sync::{Arc, Weak};

/// Writes where another owner of the slot would write too. The sample must be empty, and its slot must be one
/// of the configuration that it was taken from.
fn use_exclusively(sample: &mut Sample) {
    assert_eq!(sample.len(), 0, "a sample begins empty");
    let buffers = match sample.capacity() {
        64 => 6,
        // What the tests with one buffer are configured to later.
        128 => 3,
        capacity => panic!("no pool has samples of {capacity} bytes"),
    };
    let index = sample.index();
    assert!(index < buffers, "slot {index} of {buffers}");
    assert_eq!(
        sample.properties().user(),
        0,
        "the last owner's properties are gone"
    );
    sample.properties_mut().set_user(7);
}

/// Takes two samples one by one, which leaves their words open. A request for both at once would park the
/// words, and each release would then take the lock.
fn take_two(pool: &Pool) -> Vec<Sample> {
    let samples = [pool.try_get_buffer(), pool.try_get_buffer()];
    samples.map(Result::unwrap).into()
}

/// Whether the pool, which owns the callback, was freed.
fn freed(callback: &Weak<()>) -> bool {
    callback.upgrade().is_none()
}

/// Sets a callback that is dropped with the pool.
fn watch(pool: &Pool) -> Weak<()> {
    let life = Arc::new(());
    let watched = Arc::downgrade(&life);
    let callback = move |_pool: &Pool| drop(life.clone());
    assert!(pool.set_notify(Some(Arc::new(callback))).is_none());
    watched
}

/// Waits for a sample, uses it and releases it.
fn get_and_release(pool: &Pool) -> Result<(), GetBufferError> {
    let mut sample = block_on(pool.get_buffer())?;
    use_exclusively(&mut sample);
    Ok(())
}

/// Explores a test for which three preemptions would take too long.
fn with_two_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder
        .preemption_bound
        .map(|bound| bound.min(2))
        .or(Some(2));
    // The default of a thousand is there to find loops that never end. These tests are longer than that.
    builder.max_branches = 4_000;
    builder.check(model);
}

fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> thread::JoinHandle<T> {
    thread::spawn(f)
}
