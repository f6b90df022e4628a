//! Memory that the system refuses: the error is clear, no state is changed by half, and the pool works as soon
//! as it needs less memory or more is available.
//!
//! The limit applies to a whole process, so each test runs in a child that has it.
//!
//! Guarantees: 14

#![forbid(unsafe_code)]

use crate::child::in_a_child_of;
use crate::polling::{Polled, at_once};
use bytes::BufMut;
use sample_pool::{
    BuildError, CommitError, GetBufferError, Pool, Properties, State,
    fan_out::{FanOut, HoldLimit},
};
use std::{
    hint,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::Command,
};

/// The limit of a child's address space, in KiB as the shell counts it: enough for the harness and its threads.
const LIMIT_KIB: usize = 1 << 20;
const MIB: usize = 1 << 20;

/// Runs `scene` in a child that may map no more than the limit.
fn under_the_limit(test: &str, scene: impl FnOnce()) {
    let limited = |program: &Path| {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                &format!("ulimit -v {LIMIT_KIB} && exec \"$0\" \"$@\""),
            ])
            .arg(program)
            // Otherwise glibc reserves 64 MiB of addresses for the test's thread, and allocates from them.
            .env("MALLOC_ARENA_MAX", "1")
            // A backtrace of an expected panic would map the whole program.
            .env("RUST_BACKTRACE", "0");
        shell
    };
    in_a_child_of(&format!("refused_memory::{test}"), limited, || {
        scene();
        Ok(())
    });
}

fn of_a_mib(buffers: usize) -> Properties {
    Properties {
        buffers,
        size: MIB,
        align: 4096,
        prefix: 0,
    }
}

/// Takes all buffers, writes each to its last byte, and releases them.
fn assert_works(pool: &Pool) {
    let Properties { buffers, size, .. } = pool.properties();
    let mut all = pool.try_get_buffers(buffers).expect("all are free");
    for sample in &mut all {
        sample.put_bytes(7, size);
    }
    drop(all);
    assert_eq!(pool.free_count(), buffers);
}

/// A commit that fails must leave the pool as it was before: configured, with no free sample.
#[test]
fn a_commit_that_is_refused_says_so_and_one_of_less_works() {
    under_the_limit(
        "a_commit_that_is_refused_says_so_and_one_of_less_works",
        || {
            let pool = Pool::new();
            let too_much = of_a_mib(1536);
            assert_eq!(pool.set_properties(too_much), Ok(too_much));
            for _ in 0..3 {
                assert!(matches!(pool.commit(), Err(CommitError::OutOfMemory)));
                assert_eq!(pool.state(), State::Configured);
                assert_eq!(pool.region(), None);
                assert_eq!((pool.free_count(), pool.status().outstanding), (1536, 0));
                let refused = pool.try_get_buffer().map(drop);
                assert_eq!(refused, Err(GetBufferError::NotCommitted));
                let refused = at_once(pool.get_buffer()).map(drop);
                assert_eq!(refused, Err(GetBufferError::NotCommitted));
                at_once(pool.drained());
            }
            pool.set_properties(of_a_mib(8)).expect("less");
            pool.commit().expect("8 MiB");
            assert_works(&pool);
            let error = CommitError::OutOfMemory;
            assert_eq!(error.to_string(), "the system refused the memory");
            let built = Pool::builder().buffers(1536).size(MIB).build();
            assert!(matches!(
                built,
                Err(BuildError::Commit(CommitError::OutOfMemory))
            ));
        },
    );
}

/// The pool has memory of an earlier commit, and must not mix up the old memory and the new.
#[test]
fn a_pool_that_worked_before_works_after_a_commit_that_is_refused() {
    under_the_limit(
        "a_pool_that_worked_before_works_after_a_commit_that_is_refused",
        || {
            for tracks in [false, true] {
                let builder = Pool::builder().buffers(8).size(MIB).align(4096);
                let pool = builder.track_holders(tracks).build().expect("8 MiB");
                for _ in 0..3 {
                    assert_works(&pool);
                    pool.decommit();
                    pool.set_properties(of_a_mib(1536)).expect("drained");
                    assert!(matches!(pool.commit(), Err(CommitError::OutOfMemory)));
                    pool.decommit();
                    pool.set_properties(of_a_mib(8)).expect("drained");
                    pool.commit().expect("8 MiB");
                }
                // Eight each time, whatever failed in between.
                let status = pool.status();
                assert_eq!((status.acquired, status.released), (24, 24));
                assert_works(&pool);
            }
        },
    );
}

/// Takes address space until not even the smallest pool can be made.
fn take_all_address_space(pools: &mut Vec<Pool>) {
    for bytes in [MIB, 1] {
        loop {
            // Without memory for its first page, `Pool::new` panics, since it returns no `Result`.
            let built = catch_unwind(|| Pool::builder().buffers(1).size(bytes).align(1).build());
            let Ok(Ok(pool)) = built else { break };
            assert!(pools.len() < pools.capacity(), "a larger vector is refused");
            pools.push(pool);
        }
    }
    while let Ok(pool) = catch_unwind(Pool::new) {
        pools.push(pool);
    }
}

/// The size of the process's address space in bytes.
fn address_space() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    1024 * kib.and_then(|n| n.parse::<usize>().ok()).expect("a number")
}

/// Frees 5 MiB in the middle of the heap, so that the small heap allocations of a thousand pools need no memory
/// from the system.
fn warm_the_heap() {
    let small: Vec<Box<[u8]>> = (0..10240).map(|_| vec![0; 512].into()).collect();
    let roof: Box<[u8]> = vec![0; 512].into();
    drop(small);
    Box::leak(hint::black_box(roof));
}

/// Runs code that must panic, and returns the message. An allocation failure would abort the child instead.
fn reason<T>(refused: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(refused))
        .map(drop)
        .expect_err("no memory can hold it");
    let text = payload.downcast_ref::<String>();
    text.expect("a message").clone()
}

/// These numbers come from users and their users: a command line, a configuration. At `1 << 32` no capacity
/// overflows, so the memory is requested from the system.
#[test]
fn a_fan_out_or_a_queue_that_memory_cannot_hold_is_a_panic_that_says_so() {
    under_the_limit(
        "a_fan_out_or_a_queue_that_memory_cannot_hold_is_a_panic_that_says_so",
        || {
            for most in [1 << 28, usize::MAX / 32, usize::MAX] {
                let texts = [
                    reason(|| FanOut::new(1, most)),
                    reason(|| FanOut::new(most, 1)),
                    reason(|| FanOut::with_limit(most, &HoldLimit::new(1))),
                    reason(|| HoldLimit::new(most)),
                    #[cfg(feature = "stream")]
                    reason(|| {
                        sample_pool::stream::SampleWriter::<_, bytes::Bytes>::new(
                            tokio::io::sink(),
                            most,
                        )
                    }),
                ];
                for text in texts {
                    assert!(text.contains("no memory for"), "{text}");
                    assert!(text.contains(&most.to_string()), "{text}");
                }
            }
            // The limit of a subscriber is only a count.
            let pool = Pool::builder().buffers(2).build().expect("small");
            let video = FanOut::new(1, 1);
            let mut viewer = video.subscribe(usize::MAX);
            let sample = pool.try_get_buffer().expect("one is free");
            video.send(sample.freeze()).expect("it is open");
            assert!(at_once(viewer.recv()).is_some());
        },
    );
}

/// A new backlog replaces the one that is dropped. If its memory is refused, nothing may be lost.
#[test]
fn a_clear_that_memory_cannot_hold_is_a_panic_and_drops_nothing() {
    under_the_limit(
        "a_clear_that_memory_cannot_hold_is_a_panic_and_drops_nothing",
        || {
            let pool = Pool::builder().buffers(2).build().expect("small");
            // More than half of the limit: what is kept of a sample is some addresses.
            let video = FanOut::new(16 * MIB * (8 / size_of::<usize>()), 1);
            let sample = pool.try_get_buffer().expect("one is free");
            video.send(sample.freeze()).expect("it is open");
            let text = reason(|| video.clear());
            assert!(text.contains("no memory for"), "{text}");
            assert_eq!(pool.free_count(), 1);
            assert!(at_once(video.subscribe(1).recv()).is_some());
        },
    );
}

/// The user chooses the length of the `Vec` of samples, and nothing that was taken for it may be lost.
#[test]
fn a_list_of_samples_that_memory_cannot_hold_is_an_error_and_all_are_free_again() {
    under_the_limit(
        "a_list_of_samples_that_memory_cannot_hold_is_an_error_and_all_are_free_again",
        || {
            // So many that their handles are larger than what `warm_the_heap` frees.
            const BUFFERS: usize = 4_000_000 / size_of::<usize>();
            let pool = Pool::builder().buffers(BUFFERS).size(64).align(1);
            let pool = pool.build().expect("it is within the limit");
            let quota = pool.quota("one", BUFFERS);
            let mut few = Vec::with_capacity(1);
            warm_the_heap();
            let mut taken = Vec::with_capacity(100_000);
            take_all_address_space(&mut taken);
            let too_many = GetBufferError::TooMany;
            for _ in 0..2 {
                let refused = pool.try_get_buffers(BUFFERS).map(drop);
                assert_eq!(refused, Err(too_many));
                let refused = at_once(pool.get_buffers(BUFFERS)).map(drop);
                assert_eq!(refused, Err(too_many));
                let refused = at_once(pool.get_buffers_into(&mut few, BUFFERS));
                assert_eq!((refused, few.len()), (Err(too_many), 0));
                let refused = at_once(quota.get_buffers(BUFFERS)).map(drop);
                assert_eq!(refused, Err(too_many));
                assert_eq!((pool.free_count(), quota.status().in_use), (BUFFERS, 0));
            }
            // A get that had to wait fails when it is served, and then the next waiter is served.
            let held = pool.try_get_buffer().expect("one is free");
            let mut large = Polled::waiting(pool.get_buffers(BUFFERS));
            let mut small = Polled::waiting(pool.get_buffer());
            drop(held);
            assert_eq!(large.expect_ready().map(drop), Err(too_many));
            drop(small.expect_ready().expect("it is served"));
            drop(taken);
            let all = pool
                .try_get_buffers(BUFFERS)
                .expect("there is memory again");
            assert_eq!(all.len(), BUFFERS);
        },
    );
}

/// Without memory for a copy there is another way: the buffer that has the bytes.
#[test]
fn bytes_whose_copy_memory_cannot_hold_are_the_buffer_itself() {
    under_the_limit(
        "bytes_whose_copy_memory_cannot_hold_are_the_buffer_itself",
        || {
            let size = 16 * MIB;
            let pool = Pool::builder().buffers(1).size(size).build();
            let pool = pool.expect("16 MiB");
            let mut sample = pool.try_get_buffer().expect("it is free");
            sample.put_bytes(7, size);
            let sample = sample.freeze();
            let address = sample.as_ptr();
            warm_the_heap();
            let mut taken = Vec::with_capacity(100_000);
            take_all_address_space(&mut taken);
            let bytes = sample.into_bytes_or_copy(2.0);
            assert_eq!((bytes.len(), bytes.as_ptr()), (size, address));
            drop(taken);
            drop(bytes);
            assert_eq!(pool.free_count(), 1);
        },
    );
}

/// A partly read frame is copied to the heap when another get needs its buffer. Without memory it stays in the
/// buffer.
#[cfg(feature = "stream")]
#[test]
fn a_begun_frame_that_memory_cannot_hold_stays_in_its_buffer() {
    use futures::StreamExt;
    use sample_pool::{
        Sample,
        stream::{DecodeFrame, Decoded, FrameReader, ReadSample},
    };
    use std::{
        convert::Infallible,
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    /// Sends eight MiB of a frame, and then nothing.
    struct Begins(bool);
    impl ReadSample for Begins {
        fn poll_read_sample(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            sample: &mut Sample,
        ) -> Poll<io::Result<usize>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Pending;
            }
            sample.put_bytes(7, 8 * MIB);
            Poll::Ready(Ok(8 * MIB))
        }
    }
    struct Endless;
    impl DecodeFrame for Endless {
        type Error = Infallible;
        fn decode(&mut self, _bytes: &[u8]) -> Result<Decoded, Infallible> {
            Ok(Decoded::Incomplete { needed: None })
        }
    }
    under_the_limit(
        "a_begun_frame_that_memory_cannot_hold_stays_in_its_buffer",
        || {
            let pool = Pool::builder().buffers(1).size(16 * MIB).build();
            let pool = pool.expect("16 MiB");
            let mut frames = FrameReader::new(Begins(false), &pool, Endless);
            drop(Polled::waiting(frames.next()));
            let mut other = Polled::waiting(pool.get_buffer());
            warm_the_heap();
            let mut taken = Vec::with_capacity(100_000);
            take_all_address_space(&mut taken);
            drop(Polled::waiting(frames.next()));
            other.expect_pending();
            drop(taken);
            drop(Polled::waiting(frames.next()));
            drop(other.expect_ready().expect("the frame was put aside"));
            assert_eq!(frames.buffered_len(), 8 * MIB);
        },
    );
}

/// Other sizes are computed from the requested ones: words, flags, records. None of these may overflow or
/// abort.
#[test]
fn a_pool_that_memory_cannot_hold_is_an_error_whatever_is_too_large() {
    under_the_limit(
        "a_pool_that_memory_cannot_hold_is_an_error_whatever_is_too_large",
        || {
            let most = u32::MAX as usize;
            for n in [
                1 << 25,
                most,
                most.saturating_add(1),
                isize::MAX as usize,
                usize::MAX,
            ] {
                let builders = [
                    Pool::builder().buffers(n).size(1).align(1),
                    Pool::builder().buffers(n),
                    Pool::builder().buffers(1).size(n).align(4096),
                    Pool::builder().buffers(1).size(1).align(n),
                    Pool::builder().buffers(1).prefix(n),
                    Pool::builder().buffers(n).size(n).align(n).prefix(n),
                ];
                for builder in builders {
                    let builder = builder.track_holders(true).max_waiters(n);
                    // A request that is small enough works.
                    if let Ok(pool) = builder.build() {
                        assert!(n == 1 << 25 && pool.properties().buffers == 1);
                        assert_works(&pool);
                        drop(pool);
                    }
                }
                let pool = Pool::builder().buffers(2).size(8).max_waiters(n);
                let pool = pool
                    .measure_waits(true)
                    .build()
                    .expect("nothing is allocated");
                assert_eq!(
                    pool.try_get_buffers(n).map(drop),
                    Err(GetBufferError::TooMany)
                );
                let refused = at_once(pool.quota("", n).get_buffers(n)).map(drop);
                assert_eq!(refused, Err(GetBufferError::TooMany));
                drop(Polled::waiting(async {
                    let _both = pool.get_buffers(2).await.expect("both are free");
                    pool.get_buffer().await.map(drop)
                }));
                assert_works(&pool);
            }
        },
    );
}

/// A commit makes three mappings, and each of them can fail: whatever was mapped before must be unmapped, and
/// not used.
#[test]
fn a_commit_works_as_soon_as_there_is_enough_whatever_was_refused_before() {
    under_the_limit(
        "a_commit_works_as_soon_as_there_is_enough_whatever_was_refused_before",
        || {
            const SIZE: usize = 64;
            const BUFFERS: usize = 300_000;
            let bystander = Pool::builder().buffers(4).size(64).build().expect("small");
            let pool = Pool::builder().buffers(BUFFERS).size(SIZE).align(1);
            let pool = pool.track_holders(true).build_uncommitted().expect("small");
            warm_the_heap();
            let mut taken = Vec::with_capacity(100_000);
            take_all_address_space(&mut taken);

            // The bytes, the headers and the records of all buffers take 8 MiB each or more, so steps of at
            // most two skip none of them.
            let mut refused = 0;
            while let Err(error) = pool.commit() {
                assert!(matches!(error, CommitError::OutOfMemory));
                assert_eq!((pool.state(), pool.region()), (State::Configured, None));
                let nothing = pool.try_get_buffer().map(drop);
                assert_eq!(nothing, Err(GetBufferError::NotCommitted));
                assert_works(&bystander);
                let before = address_space();
                assert!(taken.pop().is_some(), "all was given back, and it fails");
                assert!(before - address_space() <= 2 * MIB, "no more than a step");
                refused += 1;
            }
            assert!(refused >= 40, "{refused} steps for 80 MiB");
            drop(taken);
            assert_works(&pool);
            let held = pool.try_get_buffer().expect("free");
            assert_eq!(pool.holders().len(), 1);
            drop(held);
        },
    );
}

/// There is no `Result`, so the failure must be a panic with a reason, and not an abort.
#[test]
fn a_pool_without_its_first_page_panics_with_the_reason() {
    under_the_limit(
        "a_pool_without_its_first_page_panics_with_the_reason",
        || {
            warm_the_heap();
            let mut taken = Vec::with_capacity(100_000);
            take_all_address_space(&mut taken);
            let refused = catch_unwind(AssertUnwindSafe(Pool::new));
            drop(taken);
            let reason = refused.map(drop).expect_err("there is no page left");
            let reason = reason.downcast_ref::<String>().expect("a message");
            assert!(reason.contains("memory"), "{reason}");
            let pool = Pool::builder().buffers(2).build().expect("there is again");
            assert_works(&pool);
        },
    );
}
