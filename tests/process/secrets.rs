//! `zero_on_release`: once a sample is returned to the pool, the bytes that were written to it are nowhere in
//! the pool's memory. The tests scan the memory of their own process for these bytes.
//!
//! Guarantees: 13

#![forbid(unsafe_code)]

use crate::child::in_a_child;
use bytes::{BufMut, Bytes};
#[cfg(feature = "stream")]
use futures::FutureExt;
use sample_pool::{Pool, Sample};
use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    os::unix::fs::FileExt,
    thread,
};

const SIZE: usize = 10_000;
const PREFIX: usize = 100;
const BUFFERS: usize = 4;

/// 32 bytes that do not occur by chance. The test's own memory never has them together, only the two halves, so
/// any match is in the pool.
struct Secret([[u8; 16]; 2]);

impl Secret {
    fn new() -> Self {
        let random = || {
            u128::from(RandomState::new().hash_one(0)) << 64
                | u128::from(RandomState::new().hash_one(1))
        };
        Secret([random().to_ne_bytes(), random().to_ne_bytes()])
    }

    fn put(&self, sample: &mut Sample) {
        self.0.iter().for_each(|half| sample.put_slice(half));
    }

    /// Before the bytes that are in the sample.
    fn prepend(&self, sample: &mut Sample) {
        for half in self.0.iter().rev() {
            sample.prepend(half).expect("headroom");
        }
    }

    /// After the counted bytes: `len` does not include it.
    fn put_uncounted(&self, sample: &mut Sample, skip: usize) {
        let spare = sample.chunk_mut();
        for (at, half) in [skip, skip + 16].into_iter().zip(&self.0) {
            spare[at..at + 16].copy_from_slice(half);
        }
    }

    /// How often it occurs in `memory`.
    fn count_in(&self, memory: &[u8]) -> usize {
        let starts = memory.windows(32);
        starts
            .filter(|window| window[..16] == self.0[0] && window[16..] == self.0[1])
            .count()
    }
}

/// The memory of the pool's region, as the kernel reports it.
fn memory_of(pool: &Pool) -> Vec<u8> {
    let region = pool.region().expect("committed");
    let mut memory = vec![0; region.len()];
    let process = File::open("/proc/self/mem").expect("a process reads its own");
    let at = u64::try_from(region.base().addr()).expect("an address");
    process.read_exact_at(&mut memory, at).expect("mapped");
    memory
}

fn pool(wipes: bool) -> Pool {
    let builder = Pool::builder().buffers(BUFFERS).size(SIZE).prefix(PREFIX);
    builder
        .align(1)
        .zero_on_release(wipes)
        .build()
        .expect("small")
}

type Place = (&'static str, fn(&Secret, &mut Sample));
type WayToReturn = (&'static str, fn(Sample));

/// Where a writer can put a secret.
const PLACES: [Place; 6] = [
    ("the first bytes", |secret, sample| secret.put(sample)),
    ("the last bytes", |secret, sample| {
        sample.set_len(SIZE - 32).expect("it fits");
        secret.put(sample);
    }),
    ("the prefix", |secret, sample| secret.prepend(sample)),
    ("the first bytes of the prefix", |secret, sample| {
        sample.prepend(&[1; PREFIX - 32]).expect("headroom");
        secret.prepend(sample);
    }),
    ("behind the length", |secret, sample| {
        sample.put_slice(b"a few");
        secret.put_uncounted(sample, 4000);
    }),
    ("what was cleared", |secret, sample| {
        secret.put(sample);
        secret.prepend(sample);
        sample.clear();
        secret.put_uncounted(sample, SIZE - 32);
    }),
];

/// What can happen to a sample before it is returned to the pool.
const WAYS_TO_RETURN: [WayToReturn; 6] = [
    ("dropped", drop),
    ("frozen and cloned", |sample| {
        let shared = sample.freeze();
        drop((shared.clone(), shared));
    }),
    ("sliced to nothing", |sample| {
        let shared = sample.freeze();
        let nothing = shared.slice(..0);
        drop(shared);
        drop(nothing);
    }),
    ("sent as Bytes", |sample| {
        let bytes: Bytes = sample.into_bytes();
        let sent = thread::spawn(move || drop(bytes));
        sent.join().expect("no panic");
    }),
    ("writable again", |sample| {
        let again = sample.freeze().try_into_sample();
        again.expect("the only handle").clear();
    }),
    ("unwound", |sample| {
        let thread = thread::spawn(move || {
            let _held = sample;
            panic!("while it holds a sample");
        });
        assert!(thread.join().is_err());
    }),
];

/// Each place with each way, with the option and without it. Without it the scan finds the secret, which shows
/// that the scan looks at the right place.
#[test]
fn a_secret_is_in_the_pool_s_memory_after_its_release_without_the_option_and_not_with_it() {
    for (place, write) in PLACES {
        for (way, release) in WAYS_TO_RETURN {
            for wipes in [false, true] {
                let secret = Secret::new();
                let pool = pool(wipes);
                assert_eq!(secret.count_in(&memory_of(&pool)), 0, "not yet written");
                let mut all = pool.try_get_buffers(BUFFERS).expect("free");
                for sample in &mut all {
                    write(&secret, sample);
                }
                let written = secret.count_in(&memory_of(&pool));
                assert!(
                    written >= BUFFERS,
                    "{place}: {written} in {BUFFERS} buffers"
                );
                all.into_iter().for_each(release);
                assert_eq!(pool.free_count(), BUFFERS, "{way}");
                let left = secret.count_in(&memory_of(&pool));
                let expected = if wipes { 0 } else { written };
                assert_eq!(left, expected, "{place}, {way}, zero_on_release({wipes})");
            }
        }
    }
}

/// The next waiter has the sample at the moment of the release, so it must be wiped before.
#[test]
fn a_sample_that_is_handed_off_is_wiped_before_the_next_owner_has_it() {
    let secret = Secret::new();
    let pool = pool(true);
    let mut all = pool.try_get_buffers(BUFFERS).expect("free");
    let mut waiting = Box::pin(pool.get_buffers(BUFFERS));
    let mut poll = || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waiting.as_mut().poll(&mut context)
    };
    assert!(poll().is_pending());
    for sample in &mut all {
        secret.prepend(sample);
        secret.put(sample);
    }
    drop(all);
    let served = poll();
    assert!(matches!(served, std::task::Poll::Ready(Ok(_))));
    assert_eq!(secret.count_in(&memory_of(&pool)), 0, "while they are out");
}

/// After the system took the memory back nothing is found, with the option or without.
#[test]
fn a_decommit_leaves_no_secret_behind() {
    for wipes in [false, true] {
        let secret = Secret::new();
        let pool = pool(wipes);
        let mut sample = pool.try_get_buffer().expect("free");
        secret.put(&mut sample);
        pool.decommit();
        drop(sample);
        pool.commit().expect("the same memory");
        assert_eq!(secret.count_in(&memory_of(&pool)), 0);
    }
}

/// The copy is not in the pool's memory, so no release wipes it. It must wipe itself, or the secret stays in
/// the heap. Without the option the secret is there, which shows that the scan looks at the right place.
#[test]
fn a_copy_that_was_made_of_a_slice_is_wiped_with_its_last_handle() {
    // In a process of its own, since another thread could be given the freed heap memory and write into it.
    let test = "secrets::a_copy_that_was_made_of_a_slice_is_wiped_with_its_last_handle";
    in_a_child(test, || {
        a_copy_is_wiped();
        Ok(())
    });
}

fn a_copy_is_wiped() {
    const AT: usize = 200;
    for wipes in [false, true] {
        let pool = pool(wipes);
        let secret = Secret::new();
        let mut sample = pool.try_get_buffer().expect("free");
        sample.put_slice(&[1; AT]);
        secret.put(&mut sample);
        sample.put_slice(&[2; 1000]);
        let copy = sample.freeze().into_bytes_or_copy(0.25);
        assert_eq!(pool.free_count(), BUFFERS, "it is a copy");
        let other = copy.slice(AT..);
        let at = u64::try_from(copy.as_ptr().addr()).expect("an address");
        let mut memory = vec![0; copy.len()];
        let process = File::open("/proc/self/mem").expect("a process reads its own");
        let mut count = || {
            process.read_exact_at(&mut memory, at).expect("mapped");
            secret.count_in(&memory)
        };
        drop(copy);
        assert_eq!(count(), 1, "a handle is left");
        drop(other);
        assert_eq!(count(), usize::from(!wipes), "wipes: {wipes}");
    }
}

/// Where the bytes of a reader are set aside: both ways end with the bytes that it had read.
#[cfg(feature = "stream")]
type SetAside = (&'static str, fn(&Pool, tokio::io::DuplexStream) -> Bytes);

#[cfg(feature = "stream")]
const SET_ASIDE: [SetAside; 2] = [
    ("a frame reader", |pool, source| {
        use sample_pool::stream::{DecodeFrame, Decoded, FrameReader};

        struct Never;

        impl DecodeFrame for Never {
            type Error = std::convert::Infallible;

            fn decode(&mut self, _: &[u8]) -> Result<Decoded, Self::Error> {
                Ok(Decoded::Incomplete { needed: None })
            }
        }

        let mut reader = FrameReader::new(source, pool, Never);
        let next = futures::StreamExt::next(&mut reader).now_or_never();
        assert!(next.is_none(), "the frame is not whole");
        reader.into_parts().2
    }),
    ("a sample reader", |pool, source| {
        let reader = sample_pool::stream::SampleReader::new(source, pool);
        let mut reader = reader.fill_buffers(true);
        let others = pool.try_get_buffers(BUFFERS - 1).expect("free");
        let next = futures::StreamExt::next(&mut reader).now_or_never();
        assert!(next.is_none(), "the sample is not full");
        let mut get = pool.get_buffer();
        assert!((&mut get).now_or_never().is_none());
        let next = futures::StreamExt::next(&mut reader).now_or_never();
        assert!(next.is_none(), "the source has no more");
        drop((get, others));
        reader.into_parts().1
    }),
];

/// They leave the reader in a copy of their own, which no release wipes.
#[cfg(feature = "stream")]
#[test]
fn bytes_that_were_set_aside_and_given_out_are_wiped_with_their_last_handle() {
    const AT: usize = 200;
    for (reader, give_out) in SET_ASIDE {
        for wipes in [false, true] {
            let pool = pool(wipes);
            let secret = Secret::new();
            let (mut writes, reads) = tokio::io::duplex(SIZE);
            for part in [&[1; AT][..], &secret.0[0], &secret.0[1], &[2; 1000]] {
                let written = tokio::io::AsyncWriteExt::write_all(&mut writes, part);
                written.now_or_never().expect("room").expect("open");
            }
            let bytes = give_out(&pool, reads);
            assert_eq!(pool.free_count(), BUFFERS, "{reader}: set aside");
            assert_eq!(bytes.len(), AT + 32 + 1000, "{reader}");
            let other = bytes.slice(AT..);
            let at = u64::try_from(bytes.as_ptr().addr()).expect("an address");
            let mut memory = vec![0; bytes.len()];
            let process = File::open("/proc/self/mem").expect("a process reads its own");
            let mut count = || {
                process.read_exact_at(&mut memory, at).expect("mapped");
                secret.count_in(&memory)
            };
            drop(bytes);
            assert_eq!(count(), 1, "{reader}: a handle is left");
            drop(other);
            assert_eq!(count(), usize::from(!wipes), "{reader}, wipes: {wipes}");
        }
    }
}
