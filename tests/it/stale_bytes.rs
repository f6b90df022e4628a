//! No user can read a byte that a previous owner of the buffer wrote.
//!
//! Guarantees: 13

#![deny(unsafe_code)]

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use sample_pool::{Pool, Properties, Sample};
use std::io::{Read, Write};

const SIZE: usize = 56;
const PREFIX: usize = 8;
/// What previous owners wrote. The present owner never writes it.
const STALE: u8 = 0xAA;

/// A pool of one buffer, so that every get takes the buffer that the previous owner released.
fn pool() -> Pool {
    let builder = Pool::builder().buffers(1).size(SIZE).prefix(PREFIX);
    builder.align(1).build().expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

/// Fills every byte that an owner can reach, the prefix and the whole size, and releases the sample.
fn soil(pool: &Pool) {
    let mut sample = take(pool);
    fill(&mut sample, STALE);
}

fn fill(sample: &mut Sample, byte: u8) {
    let headroom = vec![byte; sample.headroom()];
    sample.prepend(&headroom).expect("headroom");
    sample.put_bytes(byte, sample.spare_capacity());
}

fn soiled() -> Pool {
    let pool = pool();
    soil(&pool);
    pool
}

/// The length is only a number. In most pools, raising it shows what was there before.
#[test]
fn bytes_that_set_len_uncovers_read_as_zero() {
    let pool = soiled();
    let mut sample = take(&pool);
    sample.set_len(SIZE).expect("it is the capacity");
    assert_eq!(&sample[..], [0; SIZE]);
}

/// Not even the owner's own bytes reappear, since the pool does not know whose they are.
#[test]
fn bytes_that_were_covered_and_are_uncovered_again_read_as_zero() {
    let pool = soiled();
    let mut sample = take(&pool);
    sample.put_slice(b"abcd");
    sample.set_len(2).expect("shorter");
    sample.set_len(6).expect("longer");
    assert_eq!(&sample[..], b"ab\0\0\0\0");
    sample.clear();
    sample.set_len(4).expect("longer");
    assert_eq!(&sample[..], [0; 4]);
}

/// The headroom is directly before the bytes, so an off-by-one error would show a byte of it.
#[test]
fn prepending_shows_what_was_prepended_and_no_byte_more() {
    let pool = soiled();
    let mut sample = take(&pool);
    sample.prepend(b"head").expect("headroom");
    assert_eq!(&sample[..], b"head");
    sample.set_len(PREFIX).expect("longer");
    assert_eq!(&sample[..], b"head\0\0\0\0");
    sample.clear();
    sample.prepend(&[]).expect("nothing");
    assert!(sample.is_empty());
    sample.prepend(&[1; PREFIX]).expect("headroom");
    assert_eq!(&sample[..], [1; PREFIX]);
}

/// The rest of the buffer around a slice becomes headroom and spare capacity, with everything in it.
#[test]
fn what_lies_around_a_slice_cannot_be_read_once_it_is_writable_again() {
    let pool = soiled();
    let mut sample = take(&pool);
    fill(&mut sample, 1);
    let slice = sample.freeze().slice(20..24);
    let mut sample = slice.try_into_sample().expect("the only handle");
    assert_eq!(&sample[..], [1; 4]);
    assert_eq!(sample.headroom(), 20);
    sample.prepend(b"head").expect("headroom");
    sample.set_len(12).expect("spare");
    assert_eq!(&sample[..], b"head\x01\x01\x01\x01\0\0\0\0");
    sample.clear();
    sample.set_len(SIZE).expect("it is the capacity");
    assert_eq!(&sample[..], [0; SIZE]);
}

/// The chunk is write-only, and bytes that are written there and not counted cannot be read.
#[test]
fn the_spare_bytes_can_be_written_and_not_read() {
    let pool = soiled();
    let mut sample = take(&pool);
    let chunk = sample.chunk_mut();
    assert_eq!(chunk.len(), SIZE);
    chunk[..4].copy_from_slice(b"lost");
    assert!(sample.is_empty());
    sample.set_len(8).expect("spare");
    assert_eq!(&sample[..], [0; 8]);
}

/// A reader may read the buffer that it is given, and must find zeros where it did not write.
#[tokio::test]
async fn a_reader_finds_no_stale_bytes_in_the_buffer_that_it_fills() {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

    struct Curious(Vec<u8>);
    impl AsyncRead for Curious {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0 = buffer.initialize_unfilled().to_vec();
            buffer.advance(3);
            Poll::Ready(Ok(()))
        }
    }
    let pool = soiled();
    let mut sample = take(&pool);
    let mut reader = Curious(Vec::new());
    assert_eq!(reader.read_buf(&mut sample).await.expect("no error"), 3);
    assert_eq!(reader.0, [0; SIZE]);
    assert_eq!(&sample[..], [0; 3]);
}

/// The same for the readers of std. A reader that keeps what it saw may also return that it read nothing.
#[test]
fn a_reader_of_std_finds_no_stale_bytes_in_the_spare_bytes_that_it_fills() {
    struct Curious(Vec<u8>, usize);
    impl Read for Curious {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.0 = into.to_vec();
            into.fill(STALE);
            Ok(self.1)
        }
    }
    let pool = soiled();
    let mut sample = take(&pool);
    for says in [0, 3, SIZE + 1] {
        let room = sample.spare_capacity();
        let mut reader = Curious(Vec::new(), says);
        let _result = sample.read_from(&mut reader);
        assert_eq!(reader.0, vec![0; room], "{says}");
    }
    assert_eq!(&sample[..], [STALE; 3], "it wrote these itself");
    sample.set_len(SIZE).expect("it is the capacity");
    assert_eq!(sample[3..], [0; SIZE - 3]);
}

/// The system may take the memory back or not; either way no byte may be visible.
#[test]
fn a_decommit_and_a_commit_show_no_stale_bytes() {
    let pool = soiled();
    for _ in 0..2 {
        pool.decommit();
        pool.commit().expect("small");
        let mut sample = take(&pool);
        sample.set_len(SIZE).expect("it is the capacity");
        assert_eq!(&sample[..], [0; SIZE]);
        drop(sample);
        soil(&pool);
    }
}

/// A sample that stays checked out during a cancelled decommit must not lose its bytes to the system either.
#[test]
fn a_cancelled_decommit_leaves_the_bytes_of_outstanding_samples_alone() {
    let pool = soiled();
    let mut sample = take(&pool);
    fill(&mut sample, 7);
    pool.decommit();
    pool.commit().expect("cancels the decommit");
    assert_eq!(&sample[..], [7; PREFIX + SIZE]);
}

/// Another size divides the same memory at other places.
#[test]
fn new_properties_show_no_stale_bytes() {
    let pool = soiled();
    for (buffers, size, prefix) in [(2, 20, 3), (1, 200, 0), (1, 30, 30), (3, 1, 1)] {
        pool.decommit();
        let requested = Properties {
            buffers,
            size,
            align: 1,
            prefix,
        };
        let actual = pool.set_properties(requested).expect("drained");
        pool.commit().expect("small");
        for mut sample in pool.try_get_buffers(buffers).expect("all are free") {
            sample.prepend(&vec![1; prefix]).expect("headroom");
            sample.set_len(prefix + actual.size).expect("exactly full");
            assert_eq!(&sample[..prefix], vec![1; prefix]);
            assert_eq!(&sample[prefix..], vec![0; actual.size]);
            fill(&mut sample, STALE);
        }
        for mut sample in pool.try_get_buffers(buffers).expect("all are free") {
            sample.clear();
            fill(&mut sample, STALE);
        }
    }
}

/// The mapped memory of the pool's region, byte by byte.
#[allow(
    unsafe_code,
    reason = "no safe call shows the bytes of a sample that is free"
)]
fn memory_of(pool: &Pool) -> Vec<u8> {
    let region = pool.region().expect("committed");
    let read = |offset| {
        // SAFETY: `offset` is within the region, whose memory stays mapped while `pool` is borrowed and
        // no decommit runs.
        let byte = unsafe { region.base().add(offset) };
        // SAFETY: as above, and no other thread writes it, as the test has only this thread.
        unsafe { byte.read_volatile() }
    };
    (0..region.len()).map(read).collect()
}

/// A writer may have written after its length and into the prefix, so it is not enough to wipe the counted
/// bytes. Without the setting the scan finds all of it, which shows that the scan looks at the right place.
#[test]
fn zero_on_release_wipes_the_prefix_and_the_whole_size() {
    for wipes in [false, true] {
        let builder = Pool::builder().buffers(2).size(SIZE).prefix(PREFIX);
        let builder = builder.align(1).zero_on_release(wipes);
        let pool = builder.build().expect("small");
        let mut written = pool.try_get_buffers(2).expect("free");
        // One owner fills everything that it can count, and the other counts nothing of what it wrote.
        fill(&mut written[0], STALE);
        written[1].prepend(&[STALE; PREFIX]).expect("headroom");
        written[1].clear();
        let chunk = written[1].chunk_mut();
        chunk.copy_from_slice(&[STALE; SIZE]);
        assert_eq!(memory_of(&pool), [STALE; 2 * (PREFIX + SIZE)]);
        let shared = written.remove(0).freeze();
        drop(shared.slice(3..5).into_bytes());
        let mut part = written.remove(0).into_part();
        let rest = part.split_off(5);
        drop(part);
        let all = [STALE; 2 * (PREFIX + SIZE)];
        assert_eq!(memory_of(&pool), all, "a handle to each is left");
        drop((shared, rest));
        let left = if wipes { 0 } else { STALE };
        assert_eq!(memory_of(&pool), [left; 2 * (PREFIX + SIZE)]);
    }
}

/// A batch frees several buffers in one step, and must wipe each of them before it.
#[test]
fn zero_on_release_wipes_each_buffer_of_a_batch() {
    for wipes in [false, true] {
        let builder = Pool::builder().buffers(3).size(SIZE).prefix(PREFIX);
        let builder = builder.align(1).zero_on_release(wipes);
        let pool = builder.build().expect("small");
        drop(pool.try_get_buffers(3).expect("free"));
        let mut samples = pool.try_get_buffers(3).expect("free");
        for sample in &mut samples {
            fill(sample, STALE);
        }
        assert_eq!(memory_of(&pool), [STALE; 3 * (PREFIX + SIZE)]);
        Sample::release_all(&mut samples);
        let left = if wipes { 0 } else { STALE };
        assert_eq!(memory_of(&pool), [left; 3 * (PREFIX + SIZE)]);
    }
}

/// The buffers of a pool lie side by side, so one byte too many would be a byte of another owner.
#[test]
fn zero_on_release_leaves_the_samples_beside_it_alone() {
    let builder = Pool::builder().buffers(3).size(SIZE).prefix(PREFIX);
    let pool = builder.align(1).zero_on_release(true).build();
    let pool = pool.expect("small");
    let mut samples = pool.try_get_buffers(3).expect("free");
    for sample in &mut samples {
        fill(sample, STALE);
    }
    drop(samples.remove(1));
    let mut left = [STALE; 3 * (PREFIX + SIZE)];
    left[PREFIX + SIZE..2 * (PREFIX + SIZE)].fill(0);
    assert_eq!(memory_of(&pool), left);
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>),
    Write(Vec<u8>),
    Prepend(Vec<u8>),
    SetLen(usize),
    Clear,
    Overwrite(u8),
    Uncounted(Vec<u8>),
    Slice(usize, usize),
    Renew,
    Recommit,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(1..100_u8, 0..20);
    prop_oneof![
        bytes().prop_map(Step::Put),
        bytes().prop_map(Step::Write),
        bytes().prop_map(Step::Prepend),
        (0..PREFIX + SIZE + 2).prop_map(Step::SetLen),
        Just(Step::Clear),
        (1..100_u8).prop_map(Step::Overwrite),
        bytes().prop_map(Step::Uncounted),
        (0..30_usize, 0..30_usize).prop_map(|(from, len)| Step::Slice(from, len)),
        Just(Step::Renew),
        Just(Step::Recommit),
    ]
}

/// Performs one step with the sample and with a plain vector of the bytes that can be read.
fn apply(step: &Step, pool: &Pool, mut sample: Sample, model: &mut Vec<u8>) -> Sample {
    match step {
        Step::Put(bytes) | Step::Uncounted(bytes) if bytes.len() > sample.spare_capacity() => {}
        Step::Put(bytes) => {
            sample.put(&bytes[..]);
            model.extend(bytes);
        }
        Step::Uncounted(bytes) => sample.chunk_mut()[..bytes.len()].copy_from_slice(bytes),
        Step::Write(bytes) => {
            let count = sample.write(bytes).expect("never fails");
            model.extend(&bytes[..count]);
        }
        Step::Prepend(bytes) => {
            if sample.prepend(bytes).is_ok() {
                model.splice(0..0, bytes.iter().copied());
            }
        }
        Step::SetLen(len) => {
            if sample.set_len(*len).is_ok() {
                model.resize(*len, 0);
            }
        }
        Step::Clear => {
            sample.clear();
            model.clear();
        }
        Step::Overwrite(byte) => {
            sample.fill(*byte);
            model.fill(*byte);
        }
        Step::Slice(from, len) => {
            let from = (*from).min(sample.len());
            let to = (from + len).min(sample.len());
            let slice = sample.freeze().slice(from..to);
            *model = model[from..to].to_vec();
            sample = slice.try_into_sample().expect("the only handle");
        }
        Step::Renew | Step::Recommit => {
            drop(sample);
            soil(pool);
            if let Step::Recommit = step {
                pool.decommit();
                pool.commit().expect("small");
            }
            sample = take(pool);
            model.clear();
        }
    }
    sample
}

proptest! {
    /// Each operation keeps the promise by itself. No operation may show what another one left.
    #[test]
    fn no_sequence_of_safe_calls_shows_more_than_was_written_or_zeroed(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let pool = soiled();
        let mut sample = take(&pool);
        let mut model = Vec::new();
        for step in &steps {
            sample = apply(step, &pool, sample, &mut model);
            prop_assert_eq!(&sample[..], &model[..], "after {:?}", step);
        }
        prop_assert!(!sample.contains(&STALE));
        let bytes: Bytes = sample.into_bytes();
        prop_assert_eq!(BytesMut::from(bytes), &model[..]);
    }
}
