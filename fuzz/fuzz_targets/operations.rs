//! Any sequence of operations on a pool does what the model of `tests/it/model` does, and shows no owner a
//! byte of somebody else.

#![no_main]

#[path = "../../tests/it/model/accounts.rs"]
mod accounts;
#[path = "../../tests/it/model/asked.rs"]
mod asked;
#[path = "../../tests/it/model/expected.rs"]
mod expected;
#[path = "../../tests/it/model/held.rs"]
mod held;
#[path = "../../tests/it/model/operations.rs"]
mod operations;
#[path = "../../tests/it/polling.rs"]
mod polling;
#[path = "../../tests/it/model/world.rs"]
mod world;

use arbitrary::{Result, Unstructured};
use held::Edit;
use libfuzzer_sys::fuzz_target;
use operations::{Ask, Happening, Operation, Payer, Settings};
use sample_pool::Properties;

/// More than this find nothing new, and take their time.
const MOST_OPERATIONS: usize = 200;

fn settings(bytes: &mut Unstructured<'_>) -> Result<Settings> {
    let flags: u8 = bytes.arbitrary()?;
    Ok(Settings {
        max_waiters: match flags & 7 {
            limit @ 0..4 => limit.into(),
            _ => usize::MAX,
        },
        priority_buffers: (flags >> 6).into(),
        limit: bytes.int_in_range(0..=5)?,
        track_holders: flags & 8 != 0,
        zero_on_release: flags & 16 != 0,
        measure_waits: flags & 32 != 0,
    })
}

fn properties(bytes: &mut Unstructured<'_>) -> Result<Properties> {
    Ok(Properties {
        buffers: match bytes.int_in_range(0..=12)? {
            10 => 60,
            11 => 200,
            12 => usize::MAX,
            few => few,
        },
        size: bytes.int_in_range(0..=70)?,
        align: bytes.int_in_range(0..=32)?,
        prefix: bytes.int_in_range(0..=16)?,
    })
}

fn payer(bytes: &mut Unstructured<'_>) -> Result<Payer> {
    Ok(match bytes.int_in_range(0..=3)? {
        0 => Payer::Quota,
        1 => Payer::HighPriority,
        _ => Payer::Pool,
    })
}

fn ask(bytes: &mut Unstructured<'_>) -> Result<Ask> {
    Ok(match bytes.int_in_range(0..=11)? {
        10 => Ask::One,
        11 => Ask::Owned,
        many => Ask::Many(many),
    })
}

fn edit(bytes: &mut Unstructured<'_>) -> Result<Edit> {
    let length = usize::from(bytes.arbitrary::<u8>()? % 96);
    Ok(match bytes.int_in_range(0..=3)? {
        0 => Edit::Append(length),
        1 => Edit::SetLen(length),
        2 => Edit::Prepend(length),
        _ => Edit::Clear,
    })
}

fn operation(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    fn choice(bytes: &mut Unstructured<'_>) -> Result<usize> {
        Ok(bytes.arbitrary::<u8>()?.into())
    }
    fn happening(bytes: &mut Unstructured<'_>) -> Result<Happening> {
        Ok(match bytes.arbitrary()? {
            true => Happening::Release,
            false => Happening::Drain,
        })
    }
    // The highest values choose the operations that came last, so that the inputs of the corpus mean what they meant.
    let number: u8 = bytes.arbitrary()?;
    if number >= 250 {
        let most = bytes.int_in_range(1..=9)?;
        return Ok(Operation::ReleaseAll(choice(bytes)?, most));
    }
    if number >= 210 {
        return Ok(match number % 3 {
            0 => Operation::Divide(choice(bytes)?),
            1 => Operation::Split(choice(bytes)?, choice(bytes)?, choice(bytes)?),
            _ => Operation::Join(choice(bytes)?, choice(bytes)?),
        });
    }
    Ok(match number % 21 {
        0 => Operation::Begin(payer(bytes)?, ask(bytes)?),
        1 => Operation::Poll(choice(bytes)?),
        2 => Operation::Abandon(choice(bytes)?),
        3 => Operation::Try(payer(bytes)?),
        4 => {
            let (payer, number) = (payer(bytes)?, bytes.int_in_range(0..=19)?);
            match number {
                0..=9 => Operation::TryMany(payer, number),
                _ => Operation::TryUpTo(payer, number - 10),
            }
        }
        5 => Operation::Edit(choice(bytes)?, edit(bytes)?),
        6 => Operation::Share(choice(bytes)?),
        7 => Operation::Duplicate(choice(bytes)?, choice(bytes)?, choice(bytes)?),
        8 => Operation::Unshare(choice(bytes)?),
        9 => Operation::IntoBytes(choice(bytes)?),
        10 => Operation::Release(choice(bytes)?),
        11 => Operation::Notify(bytes.arbitrary()?),
        12 => Operation::Listen(happening(bytes)?),
        13 => Operation::PollEvent(choice(bytes)?),
        14 => Operation::ForgetEvent(choice(bytes)?),
        15 => Operation::Decommit,
        16 => Operation::Commit,
        17 => Operation::Flush(bytes.arbitrary()?),
        18 => Operation::SetProperties(properties(bytes)?),
        19 => Operation::CloneHandle,
        _ => Operation::DropHandle,
    })
}

fn sequence(bytes: &mut Unstructured<'_>) -> Result<(Settings, Vec<Operation>)> {
    let settings = settings(bytes)?;
    let mut operations = vec![
        Operation::SetProperties(properties(bytes)?),
        Operation::Commit,
    ];
    while !bytes.is_empty() && operations.len() < MOST_OPERATIONS {
        operations.push(operation(bytes)?);
    }
    Ok((settings, operations))
}

fuzz_target!(|bytes: &[u8]| {
    let sequence = sequence(&mut Unstructured::new(bytes));
    let (settings, operations) = sequence.expect("missing bytes are read as zeroes");
    if let Err(failure) = world::run(&settings, &operations) {
        panic!("{failure}\n{settings:?}\n{operations:#?}");
    }
});
