//! Memory: the system provides a page only when it is used, a decommit returns all of it, and a pool with few
//! samples checked out uses little of it.
//!
//! Guarantees: 10, 14

#![forbid(unsafe_code)]

use bytes::BufMut;
use sample_pool::{Builder, Pool, Sample};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{Barrier, mpsc},
    thread,
};

const MIB: usize = 1 << 20;

/// A flag of the kernel's page map: the page is in memory.
const PRESENT: u64 = 1 << 63;

fn page_size() -> usize {
    // Asking the kernel takes unsafe code, but its report on any mapping says it too.
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
    let line = smaps
        .lines()
        .find(|line| line.starts_with("KernelPageSize:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    1024 * kilobytes
        .and_then(|n| n.parse::<usize>().ok())
        .expect("a number")
}

/// How many bytes of the pool's memory are in RAM, by the kernel's page map. Other tests of the process do not
/// change this, as they would change the total of the process.
fn resident(pool: &Pool) -> usize {
    let region = pool.region().expect("committed");
    let page = page_size();
    let first = region.base().addr() / page;
    let last = (region.base().addr() + region.len() - 1) / page;
    let mut entries = vec![0; 8 * (last - first + 1)];
    let map = File::open("/proc/self/pagemap").expect("a process reads its own");
    map.read_exact_at(&mut entries, 8 * first as u64)
        .expect("mapped");
    let present = entries.chunks_exact(8).filter(|entry| {
        let entry = u64::from_ne_bytes((*entry).try_into().expect("eight"));
        entry & PRESENT != 0
    });
    page * present.count()
}

fn of_a_mib(buffers: usize) -> Builder {
    Pool::builder().buffers(buffers).size(MIB).align(4096)
}

fn take_full(pool: &Pool) -> Sample {
    let mut sample = pool.try_get_buffer().expect("free");
    sample.put_bytes(7, MIB);
    sample
}

/// Many users size a pool for the highest load, and it must not use that much memory at all other times.
#[test]
fn gibibytes_of_buffers_cost_nothing_until_they_are_used() {
    // A quarter of the address space with 32 bits.
    let buffers = if usize::BITS == 32 { 1024 } else { 4096 };
    let pool = of_a_mib(buffers).build().expect("address space");
    assert_eq!(resident(&pool), 0);
    let held: Vec<_> = (0..buffers).map(|_| pool.try_get_buffer()).collect();
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(resident(&pool), 0, "taking one writes nothing into it");
    drop(held);
    assert_eq!(resident(&pool), 0, "and neither does releasing it");
    drop(take_full(&pool));
    let used = resident(&pool);
    assert!((MIB..=2 * MIB).contains(&used), "{used}");
}

/// An idle channel is decommitted so that it uses no memory.
#[test]
fn a_decommit_gives_the_memory_back() {
    let pool = of_a_mib(64).build().expect("address space");
    for _ in 0..2 {
        let mut held: Vec<_> = (0..64).map(|_| take_full(&pool)).collect();
        assert_eq!(resident(&pool), 64 * MIB);
        let last = held.pop();
        drop(held);
        assert_eq!(resident(&pool), 64 * MIB, "it is kept for the next get");
        pool.decommit();
        drop(last);
        pool.commit().expect("the same memory");
        assert_eq!(resident(&pool), 0);
    }
}

/// The process as a whole, as its operator sees it: the page map above could be misread.
#[test]
fn a_decommit_makes_the_process_smaller() {
    fn process() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages = statm.split_whitespace().nth(1);
        page_size()
            * pages
                .and_then(|n| n.parse::<usize>().ok())
                .expect("a number")
    }
    // Large compared with the other tests that run at the same time.
    let pool = of_a_mib(512).build().expect("address space");
    let before = process();
    let held: Vec<_> = (0..512).map(|_| take_full(&pool)).collect();
    let full = process();
    assert!(full > before + 400 * MIB, "{before} {full}");
    drop(held);
    pool.decommit();
    let after = process();
    assert!(after + 400 * MIB < full, "{full} {after}");
}

/// A cancelled decommit must not touch samples that are checked out, and so none of the memory.
#[test]
fn a_cancelled_decommit_gives_nothing_back() {
    let pool = of_a_mib(4).build().expect("address space");
    let held = take_full(&pool);
    pool.decommit();
    pool.commit().expect("cancels it");
    assert_eq!(resident(&pool), MIB);
    assert!(held.iter().all(|&byte| byte == 7));
}

/// Prefaulting exists to avoid a page fault in the middle of a frame.
#[test]
fn prefault_backs_every_byte_at_each_commit() {
    let pool = of_a_mib(16).prefault(true).build().expect("16 MiB");
    for _ in 0..2 {
        assert_eq!(resident(&pool), 16 * MIB);
        pool.decommit();
        pool.commit().expect("16 MiB");
    }
    // An odd stride, whose last page is not full.
    let odd = Pool::builder()
        .buffers(7)
        .size(5001)
        .align(3)
        .prefault(true);
    let odd = odd.build().expect("small");
    assert!(resident(&odd) >= 7 * 5001);
}

/// The kernel decides whether it uses them.
#[test]
fn huge_pages_are_asked_for_if_the_kernel_knows_them() {
    let flags = |huge_pages: bool| {
        let pool = of_a_mib(8).huge_pages(huge_pages).build().expect("8 MiB");
        drop(take_full(&pool));
        let base = pool.region().expect("it is committed").base().addr();
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
        let lines = smaps.lines();
        let mut mapping = lines.skip_while(|line| !begins_a_mapping_with(line, base));
        let flags = mapping.find_map(|line| line.strip_prefix("VmFlags:"));
        let flags = flags.expect("each mapping has a line for them");
        flags.split_whitespace().any(|flag| flag == "hg")
    };
    let known = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists();
    assert!(!flags(false), "it was not requested");
    assert_eq!(flags(true), known);
}

/// Whether it is the first line of the mapping that contains `address`.
fn begins_a_mapping_with(line: &str, address: usize) -> bool {
    let Some((from, to)) = line
        .split(' ')
        .next()
        .and_then(|range| range.split_once('-'))
    else {
        return false;
    };
    let number = |hexadecimal| usize::from_str_radix(hexadecimal, 16);
    match (number(from), number(to)) {
        (Ok(from), Ok(to)) => (from..to).contains(&address),
        _ => false,
    }
}

/// Memory that was used once stays in use until a decommit, so a get must not take an unused slot while a lower
/// one is free.
#[test]
fn a_get_takes_the_lowest_free_slot() {
    let pool = of_a_mib(100).build().expect("address space");
    let index = || pool.try_get_buffer().expect("free").index();
    assert_eq!((index(), index()), (0, 0));
    let mut held: Vec<_> = (0..10).map(|_| pool.try_get_buffer()).collect();
    let indexes = held.iter().flatten().map(Sample::index);
    assert!(indexes.eq(0..10));
    drop(held.drain(3..5));
    assert_eq!((index(), index()), (3, 3));
    drop(held);
    assert_eq!(index(), 0);
}

/// A stack of free buffers returns the one that is in the cache. A queue of them would walk through all.
#[test]
fn one_thread_uses_no_more_memory_than_its_outstanding_samples() {
    let pool = of_a_mib(256).build().expect("address space");
    for round in 0..2_000 {
        let held: Vec<_> = (0..round % 16).map(|_| pool.try_get_buffer()).collect();
        for mut sample in held.into_iter().flatten() {
            sample.put_bytes(1, MIB / 64);
        }
    }
    // A sixty-fourth of each sample was written.
    let used = resident(&pool);
    assert!(used <= 16 * MIB / 64, "{used}");
}

/// Samples are released on another thread than they were taken on. With a list for each thread, buffers would
/// pile up on the consumer's side while the producer takes new ones.
#[test]
fn a_producer_and_a_consumer_in_turn_use_no_more_than_one_of_them() {
    let pool = of_a_mib(256).build().expect("address space");
    let (send, frames) = mpsc::channel::<Vec<Sample>>();
    let (done, is_done) = mpsc::channel();
    let consumer = thread::spawn(move || {
        for frames in frames {
            drop(frames);
            done.send(()).expect("the producer waits");
        }
    });
    for _ in 0..200 {
        send.send((0..8).map(|_| take_full(&pool)).collect())
            .expect("it listens");
        is_done.recv().expect("it runs");
        // And the other way around: this thread next takes where the consumer's thread released.
        drop(take_full(&pool));
    }
    drop(send);
    consumer.join().expect("no panic");
    let used = resident(&pool);
    assert!(used <= 8 * MIB, "{used}");
}

/// A new thread does not know which buffers were used before.
#[test]
fn short_lived_threads_use_little_more_than_their_outstanding_samples() {
    const THREADS: usize = 16;
    let pool = of_a_mib(256).build().expect("address space");
    for _ in 0..50 {
        let (full, gone) = (Barrier::new(THREADS), Barrier::new(THREADS));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let sample = take_full(&pool);
                    full.wait();
                    drop(sample);
                    gone.wait();
                });
            }
        });
    }
    let used = resident(&pool);
    assert!(used >= THREADS * MIB, "{used}");
    assert!(used <= THREADS * MIB / 4 * 5, "{} MiB for 16", used / MIB);
}
