//! Segments are written and read in any order, and show the bytes that a `Vec` has: as the test of
//! `tests/it/segments` does.

#![no_main]

#[path = "../../tests/it/segments/steps.rs"]
mod steps;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use steps::{BUFFERS, Fill, Read, SIZE};

/// More than these find nothing new, and take their time.
const MOST_STEPS: usize = 60;

fn fill(bytes: &mut Unstructured<'_>) -> Result<Fill> {
    let number: u8 = bytes.arbitrary()?;
    let count = usize::from(bytes.arbitrary::<u8>()? % 32);
    Ok(match number % 7 {
        0 => Fill::Put(count),
        1 => Fill::PutBuf(count, usize::from(bytes.arbitrary::<u8>()? % 32)),
        2 => Fill::Write(count),
        3 => Fill::Chunk(count),
        4 => Fill::Bytes(count),
        5 => Fill::Overwrite,
        _ => Fill::Grow(count),
    })
}

fn read(bytes: &mut Unstructured<'_>) -> Result<(usize, Read)> {
    let which = bytes.arbitrary::<u8>()?.into();
    let number: u8 = bytes.arbitrary()?;
    let count = usize::from(bytes.arbitrary::<u8>()? % 80);
    let read = match number % 10 {
        0 => Read::Advance(count),
        1 => Read::SplitTo(count),
        2 => Read::Truncate(count),
        3 => Read::CopyToBytes(count),
        4 => Read::CopyToSlice(count),
        5 => Read::Vectored(count % 10),
        6 => Read::Clone,
        7 => Read::Rebuild,
        8 => Read::Push(count),
        _ => Read::Drop,
    };
    Ok((which, read))
}

/// Makes the steps of the fuzzer's bytes, until those end.
fn sequence(bytes: &[u8]) -> Result<(usize, Vec<Fill>, Vec<(usize, Read)>)> {
    let mut bytes = Unstructured::new(bytes);
    let len = usize::from(bytes.arbitrary::<u8>()?) % (BUFFERS * SIZE + 1);
    let fills = bytes.int_in_range(0..=20)?;
    let fills = (0..fills)
        .map(|_| fill(&mut bytes))
        .collect::<Result<_>>()?;
    let mut reads = Vec::new();
    while !bytes.is_empty() && reads.len() < MOST_STEPS {
        reads.push(read(&mut bytes)?);
    }
    Ok((len, fills, reads))
}

fuzz_target!(|bytes: &[u8]| {
    let (len, fills, reads) = sequence(bytes).expect("missing bytes are read as zeroes");
    if let Err(error) = steps::run(len, &fills, &reads) {
        panic!("{error}");
    }
});
