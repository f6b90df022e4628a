//! *Memory*: what of a pool of 4,096 buffers of 1 MiB is in RAM when 16 of them are ever in use at a time.
//!
//! Each figure is from a process of its own: how much its resident set grew.

use crate::{
    contenders::{Contender, SamplePool},
    table::{Base, Bound, OURS, Outcome, Table, Unit},
};
use bytes::BufMut;
use std::{env, error::Error, process::Command, sync::Barrier, thread};

const BUFFERS: usize = 4096;
const MIB: usize = 1 << 20;
const IN_USE: usize = 16;
const TURNS: usize = 16;
const NEEDED: &str = "the 16 MiB in use";
const DECOMMITTED: &str = "sample-pool, decommitted";

/// The argument with which the command measures one case, and nothing else.
pub(crate) const ARGUMENT: &str = "measure-memory";

/// Who uses the buffers of a pool.
type Work = fn(&SamplePool);

const CASES: [(&str, Work); 3] = [
    ("one thread", one_thread),
    ("two threads in turn", two_in_turn),
    ("16 short-lived threads", short_lived_threads),
];

pub(crate) fn tables() -> Vec<Table> {
    CASES
        .map(|(case, _)| {
            Table::new("memory", case)
                .unit(Unit::Mebibytes)
                .reference(NEEDED, || |_| Outcome::constant(IN_USE as f64))
                .row(OURS, move || {
                    move |_| Outcome::constant(in_another_process(case).0)
                })
                .row(DECOMMITTED, move || {
                    move |_| Outcome::constant(in_another_process(case).1)
                })
                .target(OURS, Base::Row(NEEDED), Bound::AtMost(1.25))
                .target(DECOMMITTED, Base::Row(NEEDED), Bound::AtMost(1.25))
        })
        .into()
}

/// Mebibytes in use after the case, and after a decommit.
fn in_another_process(case: &str) -> (f64, f64) {
    let program = env::current_exe().expect("this program");
    let output = Command::new(program)
        .args([ARGUMENT, case])
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("figures");
    let (used, decommitted) = text.trim().split_once('\t').expect("two figures");
    (
        used.parse().expect("a figure"),
        decommitted.parse().expect("a figure"),
    )
}

/// What the other process does.
pub(crate) fn measure(case: &str) -> Result<(), Box<dyn Error>> {
    let (_, work) = CASES
        .into_iter()
        .find(|(name, _)| *name == case)
        .ok_or("no such case")?;
    let before = resident_mebibytes()?;
    let pool = SamplePool::with_buffers(BUFFERS, MIB);
    work(&pool);
    pool.assert_all_free();
    let used = resident_mebibytes()? - before;
    pool.0.decommit();
    println!("{used}\t{}", resident_mebibytes()? - before);
    Ok(())
}

fn one_thread(pool: &SamplePool) {
    for _ in 0..TURNS {
        use_them(pool);
    }
}

fn two_in_turn(pool: &SamplePool) {
    let turn = Barrier::new(2);
    thread::scope(|scope| {
        for number in 0..2 {
            let turn = &turn;
            scope.spawn(move || {
                for round in 0..TURNS {
                    if round % 2 == number {
                        use_them(pool);
                    }
                    turn.wait();
                }
            });
        }
    });
}

fn short_lived_threads(pool: &SamplePool) {
    for _ in 0..16 {
        thread::scope(|scope| {
            scope.spawn(|| use_them(pool));
        });
    }
}

fn use_them(pool: &SamplePool) {
    let held: Vec<_> = (0..IN_USE)
        .map(|_| {
            let mut sample = pool.0.try_get_buffer().expect("free");
            sample.put_bytes(1, MIB);
            sample
        })
        .collect();
    assert!(held.iter().all(|sample| sample.len() == MIB));
}

fn resident_mebibytes() -> Result<f64, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm
        .split_whitespace()
        .nth(1)
        .ok_or("no resident pages")?
        .parse()?;
    let smaps = std::fs::read_to_string("/proc/self/smaps")?;
    let line = smaps
        .lines()
        .find_map(|line| line.strip_prefix("KernelPageSize:"));
    let kibibytes: f64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("no page size")?
        .parse()?;
    Ok(pages * kibibytes / 1024.0)
}
