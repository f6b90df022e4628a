//! Loom models: every interleaving of the operations that can meet, up to a number of preemptions.
//!
//! Each model runs the real pool, through its public methods, on loom's atomics, locks and cells. The
//! properties of a slot lie in a loom cell, so a slot with two owners, or one that is seen before it
//! is reset, is reported by loom itself; what else must hold is asserted.

#![forbid(unsafe_code)]

mod crowd;
mod decommit;
mod get;
mod lifetime;
mod line;
mod notify;
mod owned;
mod quota;
mod reclaim;
mod shared;
mod watch;

use crate::{GetBufferError, Pool, Sample};
use loom::{future::block_on, thread};
use std::sync::{Arc, Weak};

/// Writes where another owner would write too, and finds nothing of another one, nor of another
/// configuration than the one that it is a slot of.
fn use_exclusively(sample: &mut Sample) {
    assert_eq!(sample.len(), 0, "a sample begins empty");
    let buffers = match sample.capacity() {
        64 => 6,
        // What pools of one buffer are configured to anew.
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

/// Takes two samples one by one, which leaves their words open: a request for both would park them, and
/// the releases would all go under the lock.
fn take_two(pool: &Pool) -> Vec<Sample> {
    let samples = [pool.try_get_buffer(), pool.try_get_buffer()];
    samples.map(Result::unwrap).into()
}

/// Tells whether the pool, which owns the callback, was freed.
fn freed(callback: &Weak<()>) -> bool {
    callback.upgrade().is_none()
}

/// Sets a callback that dies with the pool.
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

/// Explores a model that three preemptions would keep busy for long.
fn with_two_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder
        .preemption_bound
        .map(|bound| bound.min(2))
        .or(Some(2));
    // The default of a thousand is meant to find loops that never end; these are longer.
    builder.max_branches = 4_000;
    builder.check(model);
}

fn spawn(f: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(f)
}
