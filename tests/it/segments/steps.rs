//! Sequences of writes and reads, beside a `Vec` with the bytes. The tests and the fuzzer choose the steps.

use bytes::{Buf, BufMut};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{Pool, Segments, SharedSegments};
use std::io::{IoSlice, Write};

pub(crate) const SIZE: usize = 8;
pub(crate) const BUFFERS: usize = 8;
/// What an earlier owner wrote. No present owner writes it.
const STALE: u8 = 0xAA;

#[derive(Clone, Debug)]
pub(crate) enum Fill {
    Put(usize),
    PutBuf(usize, usize),
    Write(usize),
    /// Writes to the chunk, and counts only some of it.
    Chunk(usize),
    Bytes(usize),
    Overwrite,
    Grow(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum Read {
    Advance(usize),
    SplitTo(usize),
    Truncate(usize),
    CopyToBytes(usize),
    CopyToSlice(usize),
    Vectored(usize),
    Clone,
    Rebuild,
    Push(usize),
    Drop,
}

/// A pool of buffers that touch.
pub(crate) fn pool(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(SIZE).align(1);
    builder.build().expect("small")
}

/// Bytes that no other call wrote.
struct Counter(u8);

impl Counter {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let bytes = (0..count).map(|_| {
            self.0 = (self.0 + 1) % 100;
            self.0
        });
        bytes.collect()
    }
}

fn check(segments: &Segments, model: &[u8], capacity: usize) -> TestCaseResult {
    let written: Vec<u8> = segments.chunks().flatten().copied().collect();
    prop_assert_eq!(&written, &model);
    prop_assert_eq!(segments.len(), model.len());
    prop_assert_eq!(segments.capacity(), capacity);
    prop_assert_eq!(segments.remaining_mut(), capacity - model.len());
    prop_assert!(segments.chunks().all(|chunk| !chunk.is_empty()));
    Ok(())
}

/// Fills segments. `None` if they could not grow.
fn fill(
    pool: &Pool,
    len: usize,
    steps: &[Fill],
) -> Result<Option<(Segments, Vec<u8>)>, TestCaseError> {
    let mut segments = pool.try_get_segments(len).expect("all are free");
    let (mut model, mut capacity) = (Vec::new(), len);
    let mut counter = Counter(0);
    for step in steps {
        let room = capacity - model.len();
        match *step {
            Fill::Put(count) => {
                let bytes = counter.take(count.min(room));
                segments.put_slice(&bytes);
                model.extend(bytes);
            }
            Fill::PutBuf(one, two) => {
                let one = counter.take(one.min(room));
                let two = counter.take(two.min(room - one.len()));
                segments.put((&one[..]).chain(&two[..]));
                model.extend(one);
                model.extend(two);
            }
            Fill::Write(count) => {
                let bytes = counter.take(count);
                let written = segments.write(&bytes).expect("never fails");
                prop_assert_eq!(written, count.min(room));
                model.extend(&bytes[..written]);
            }
            Fill::Chunk(count) => {
                let chunk = segments.chunk_mut();
                prop_assert_eq!(chunk.len() > 0, room > 0);
                prop_assert!(chunk.len() <= room);
                let count = count.min(chunk.len());
                let bytes = counter.take(count);
                chunk.copy_from_slice(&vec![STALE; chunk.len()]);
                // Only the first of these are counted by the write that follows.
                segments.put_slice(&bytes);
                model.extend(bytes);
            }
            Fill::Bytes(count) => {
                segments.put_bytes(3, count.min(room));
                model.resize(model.len() + count.min(room), 3);
            }
            Fill::Overwrite => {
                let flip = |byte: &mut u8| *byte = 100 - *byte;
                segments.chunks_mut().flatten().for_each(flip);
                model.iter_mut().for_each(flip);
            }
            Fill::Grow(additional) => {
                let held = segments.buffers();
                let spare = held * SIZE - model.len();
                let more = additional.saturating_sub(spare).div_ceil(SIZE);
                let grown = pool.try_grow_segments(segments, additional);
                prop_assert_eq!(grown.is_ok(), held + more <= BUFFERS);
                let Ok(grown) = grown else {
                    prop_assert_eq!(pool.free_count(), BUFFERS);
                    return Ok(None);
                };
                segments = grown;
                prop_assert_eq!(segments.buffers(), held + more);
                capacity = segments.buffers() * SIZE;
            }
        }
        check(&segments, &model, capacity)?;
    }
    Ok(Some((segments, model)))
}

fn shown(segments: &SharedSegments) -> Vec<u8> {
    segments
        .iter()
        .flat_map(|segment| segment.to_vec())
        .collect()
}

fn read(
    step: &Read,
    segments: &mut SharedSegments,
    model: &mut Vec<u8>,
) -> Result<Option<(SharedSegments, Vec<u8>)>, TestCaseError> {
    let len = model.len();
    match *step {
        Read::Advance(count) => {
            segments.advance(count.min(len));
            model.drain(..count.min(len));
        }
        Read::SplitTo(at) => {
            let front = segments.split_to(at.min(len));
            let rest = model.split_off(at.min(len));
            return Ok(Some((front, std::mem::replace(model, rest))));
        }
        Read::Truncate(to) => {
            segments.truncate(to);
            model.truncate(to);
        }
        Read::CopyToBytes(count) => {
            let bytes = segments.copy_to_bytes(count.min(len));
            let expected: Vec<u8> = model.drain(..count.min(len)).collect();
            prop_assert_eq!(bytes, expected);
        }
        Read::CopyToSlice(count) => {
            let mut bytes = vec![0; count.min(len)];
            segments.copy_to_slice(&mut bytes);
            let expected: Vec<u8> = model.drain(..count.min(len)).collect();
            prop_assert_eq!(bytes, expected);
        }
        Read::Vectored(most) => {
            let mut slices = vec![IoSlice::new(&[]); most];
            let count = segments.chunks_vectored(&mut slices);
            let found: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            prop_assert!(model.starts_with(&found));
            prop_assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
            // What does not fill all slices is all there is.
            prop_assert!(count == most || found == *model);
        }
        Read::Clone => return Ok(Some((segments.clone(), model.clone()))),
        Read::Rebuild => {
            let all = std::mem::take(segments);
            prop_assert_eq!(all.iter().count(), all.clone().into_iter().len());
            *segments = all.into_iter().collect();
        }
        Read::Push(at) => {
            let first = segments.iter().next().cloned();
            if let Some(first) = first {
                let slice = first.slice(at.min(first.len())..);
                model.extend(&slice[..]);
                segments.push(slice);
            }
        }
        Read::Drop => {
            *segments = SharedSegments::new();
            model.clear();
        }
    }
    Ok(None)
}

pub(crate) fn run(len: usize, steps: &[Fill], then: &[(usize, Read)]) -> TestCaseResult {
    let pool = pool(BUFFERS);
    for mut sample in pool.try_get_buffers(BUFFERS).expect("free") {
        sample.put_bytes(STALE, SIZE);
    }
    let Some((segments, model)) = fill(&pool, len, steps)? else {
        return Ok(());
    };
    let mut all = vec![(segments.freeze(), model)];
    for (which, step) in then {
        let which = which % all.len();
        let (segments, model) = &mut all[which];
        let another = read(step, segments, model)?;
        all.extend(another);
        let mut slots = std::collections::HashSet::new();
        for (segments, model) in &all {
            prop_assert_eq!(&shown(segments), model);
            prop_assert_eq!(
                (segments.len(), segments.remaining()),
                (model.len(), model.len())
            );
            prop_assert_eq!(segments.has_remaining(), !segments.chunk().is_empty());
            prop_assert_eq!(segments.chunk().first(), model.first());
            prop_assert!(segments.iter().all(|segment| !segment.is_empty()));
            slots.extend(segments.iter().map(|segment| segment.index()));
        }
        prop_assert_eq!(pool.free_count(), BUFFERS - slots.len());
    }
    drop(all);
    let status = pool.status();
    prop_assert_eq!((status.free, status.acquired), (BUFFERS, status.released));
    Ok(())
}
