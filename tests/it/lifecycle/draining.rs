//! Decommitting, and what is notified when the last sample is returned.

use super::{SMALL, STATES, addresses, assert_all_refused, committed, pool_in};
use crate::polling::{Polled, at_once};
use bytes::BufMut;
use sample_pool::{GetBufferError, Pool, State};
use std::thread;

/// The drain is cancelled: holders of samples continue as if it had not begun.
#[test]
fn commit_cancels_a_drain_and_outstanding_samples_rejoin() {
    let pool = committed();
    let region = pool.region();
    let mut sample = pool.try_get_buffer().expect("all are free");
    sample.put_slice(b"kept");
    pool.decommit();
    let mut drained = Polled::waiting(pool.drained());
    pool.commit().expect("it has its memory");
    assert_eq!((pool.state(), pool.region()), (State::Committed, region));
    assert_eq!(pool.free_count(), 3);
    assert_eq!(&sample[..], b"kept");
    drop(sample);
    assert_eq!((pool.state(), pool.free_count()), (State::Committed, 4));
    assert_eq!(drained.wakes(), 0);
    drained.expect_pending();
    assert_eq!(addresses(&pool).len(), 4);
    pool.decommit();
    drained.expect_ready();
}

/// A second decommit must neither complete the first one's drain nor start another.
#[test]
fn decommit_has_no_effect_unless_the_pool_is_committed() {
    for state in STATES {
        let (pool, sample) = pool_in(state);
        if state == State::Committed {
            continue;
        }
        let free = pool.free_count();
        let mut drained = sample.as_ref().map(|_| Polled::waiting(pool.drained()));
        pool.decommit();
        assert_eq!((pool.state(), pool.free_count()), (state, free));
        if let Some(drained) = &mut drained {
            drained.expect_pending();
            drop(sample);
            assert_eq!(pool.state(), State::Configured);
            drained.expect_ready();
        }
    }
}

/// Otherwise the waiter would find the pool committed again, and continue to wait.
#[test]
fn a_waiter_gets_the_error_of_a_decommit_even_if_commit_follows_before_it_is_polled() {
    let pool = committed();
    let samples = pool.try_get_buffers(4).expect("all are free");
    let mut one = Polled::waiting(pool.get_buffer());
    let mut timed = Polled::waiting(pool.get_buffers(2));
    pool.decommit();
    pool.commit().expect("it has its memory");
    drop(samples);
    assert_eq!((one.wakes(), timed.wakes()), (1, 1));
    assert_eq!(
        pool.free_count(),
        4,
        "no sample went to who was turned away"
    );
    assert_eq!(
        one.expect_ready().map(drop),
        Err(GetBufferError::NotCommitted)
    );
    assert_eq!(
        timed.expect_ready().map(drop),
        Err(GetBufferError::NotCommitted)
    );
}

/// The waiter owns the sample, and was only not polled since.
#[test]
fn a_get_that_was_handed_a_sample_keeps_it_through_decommit_and_flush() {
    for stop in [Pool::decommit, |pool: &Pool| pool.set_flushing(true)] {
        let pool = committed();
        let mut samples = pool.try_get_buffers(4).expect("all are free");
        let mut handed = Polled::waiting(pool.get_buffer());
        let mut waiting = Polled::waiting(pool.get_buffer());
        samples.pop();
        stop(&pool);
        waiting.expect_ready().expect_err("it still waited");
        let sample = handed.expect_ready().expect("it was handed one");
        drop(samples);
        assert_eq!(pool.free_count(), 3);
        drop(sample);
        assert_eq!(pool.free_count(), 4);
        assert_ne!(pool.state(), State::Draining);
    }
}

/// If the memory were given back while a holder reads it, the holder would read zeros.
#[test]
fn samples_stay_fully_usable_while_the_pool_drains() {
    let pool = committed();
    let mut sample = pool.try_get_buffer().expect("all are free");
    let other = pool.try_get_buffer().expect("three are free");
    sample.put_slice(b"before");
    pool.decommit();
    drop(other);
    sample.put_slice(b" and after");
    sample.properties_mut().set_user(7);
    let shared = sample.freeze();
    let slice = shared.slice(7..);
    drop(shared);
    assert_eq!(&slice[..], b"and after");
    assert_eq!(slice.properties().user(), 7);
    let mut again = slice.try_into_sample().expect("the only handle");
    again.put_slice(b"!");
    assert_eq!(pool.state(), State::Draining);
    assert_eq!(&again.into_bytes()[..], b"and after!");
    assert_eq!(pool.state(), State::Configured);
}

/// The thread that decommitted may have ended by then.
#[test]
fn the_release_of_the_last_sample_completes_the_drain() {
    let pool = committed();
    let samples = pool.try_get_buffers(4).expect("all are free");
    pool.decommit();
    let mut drained = Polled::waiting(pool.drained());
    let threads: Vec<_> = samples
        .into_iter()
        .map(|sample| thread::spawn(move || drop(sample.freeze())))
        .collect();
    for thread in threads {
        thread.join().expect("a release does not panic");
    }
    assert_eq!((drained.wakes(), pool.state()), (1, State::Configured));
    drained.expect_ready();
    assert_eq!(pool.set_properties(SMALL), Ok(SMALL));
}

/// Code that decommits and then sets properties must not have to wait.
#[test]
fn with_nothing_outstanding_decommit_completes_before_it_returns() {
    let pool = committed();
    drop(pool.try_get_buffers(4).expect("all are free"));
    let mut drained = Polled::waiting(pool.drained());
    pool.decommit();
    assert_eq!((drained.wakes(), pool.state()), (1, State::Configured));
    drained.expect_ready();
    assert_eq!(pool.set_properties(SMALL), Ok(SMALL));
}

/// A draining pool has free samples, so a get that checked the free list first would take one.
#[test]
fn every_get_says_not_committed_in_every_other_state() {
    for state in STATES {
        let (pool, _sample) = pool_in(state);
        if state != State::Committed {
            assert_all_refused(&pool, GetBufferError::NotCommitted);
        }
    }
    let pool = committed();
    let _all = pool.try_get_buffers(4).expect("all are free");
    pool.decommit();
    assert_all_refused(&pool, GetBufferError::NotCommitted);
}

/// No drain will follow, so a future that waited for one would wait for ever.
#[test]
fn drained_is_ready_at_once_unless_the_pool_is_committed_or_drains() {
    for state in STATES {
        let (pool, sample) = pool_in(state);
        match state {
            State::Unconfigured | State::Configured => at_once(pool.drained()),
            _ => {
                let mut drained = Polled::waiting(pool.drained());
                pool.decommit();
                drop(sample);
                drained.expect_ready();
            }
        }
    }
}

/// The future counts from its call: a late poll, or a poll after the next commit, misses nothing.
#[test]
fn drained_resolves_at_the_first_drain_after_the_call_even_if_commit_follows() {
    let pool = committed();
    let mut never_polled = Polled::new(pool.drained());
    let mut waiting = Polled::waiting(pool.drained());
    let sample = pool.try_get_buffer().expect("all are free");
    pool.decommit();
    let mut while_draining = Polled::new(pool.drained());
    drop(sample);
    pool.commit().expect("small");
    let mut too_late = Polled::waiting(pool.drained());
    never_polled.expect_ready();
    waiting.expect_ready();
    while_draining.expect_ready();
    too_late.expect_pending();
    pool.decommit();
    too_late.expect_ready();
}

/// A dropped listener must neither be woken for ever nor remove the others.
#[test]
fn dropping_a_drained_future_loses_only_that_notice() {
    let pool = committed();
    let mut first = Polled::waiting(pool.drained());
    for _ in 0..100 {
        drop(Polled::waiting(pool.drained()));
    }
    let mut last = Polled::waiting(pool.drained());
    pool.decommit();
    first.expect_ready();
    last.expect_ready();
}

/// The number of pages of the mapping that the system has backed.
#[cfg(target_os = "linux")]
fn backed_pages(base: usize, len: usize) -> usize {
    use std::io::{Read, Seek, SeekFrom};
    let mut entries = vec![0; len / 4096 * 8];
    let mut pagemap = std::fs::File::open("/proc/self/pagemap").expect("every process has one");
    let offset = (base / 4096 * 8) as u64;
    pagemap.seek(SeekFrom::Start(offset)).expect("an offset");
    pagemap.read_exact(&mut entries).expect("it is mapped");
    entries
        .chunks(8)
        .filter(|entry| entry[7] & 0x80 != 0)
        .count()
}

/// An idle pool that keeps its memory takes it from the rest of the machine.
#[test]
#[cfg(target_os = "linux")]
fn the_end_of_a_drain_gives_the_physical_memory_back() {
    let pool = Pool::builder().buffers(4).size(1 << 16).align(1 << 16);
    let pool = pool.build().expect("small");
    let region = pool.region().expect("committed");
    let backed = || backed_pages(region.base().addr(), region.len());
    assert_eq!(backed(), 0, "the mapping is backed lazily");
    let mut samples = pool.try_get_buffers(4).expect("all are free");
    for sample in &mut samples {
        sample.put_bytes(7, 1 << 16);
    }
    assert_eq!(backed(), 64);
    pool.decommit();
    samples.truncate(1);
    assert_eq!(backed(), 64, "a sample is still out");
    assert!(samples[0].iter().all(|&byte| byte == 7));
    drop(samples);
    assert_eq!(backed(), 0);
}

/// The totals of a pool are those of its whole life. If a drain reset them, it would hide a leak.
#[test]
fn the_totals_survive_a_drain_and_new_properties() {
    let pool = committed();
    for round in 1..=3 {
        let samples = pool.try_get_buffers(3).expect("all are free");
        pool.decommit();
        drop(samples);
        let status = pool.status();
        assert_eq!((status.acquired, status.released), (3 * round, 3 * round));
        assert_eq!(status.high_water, 3);
        assert_eq!((status.free, status.outstanding), (4, 0));
        pool.set_properties(SMALL).expect("drained");
        pool.commit().expect("small");
        assert_eq!(pool.status().high_water, 0, "it counts from the commit");
    }
}
