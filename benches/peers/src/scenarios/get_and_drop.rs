//! *Get and drop*: a buffer is taken and given back at once, by one thread.

#[cfg(feature = "commonware")]
use crate::contenders::Commonware;
use crate::{
    contenders::{
        ArrayQueuePool, AsyncChannel, Contender, Deadpool, Flume, FreshBytesMut, Kanal, ObjectPool,
        Opool, SamplePool, SemaphoreAndQueue, ZeroPool,
    },
    table::{OURS, Outcome, Table},
    threads::{repeat, repeat_in_task, time_on_threads},
};
use crossbeam_utils::CachePadded;
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub(crate) const BUFFERS: usize = 64;
pub(crate) const SIZE: usize = 4096;
pub(crate) const FLOOR: &str = "floor: two atomic read-modify-writes";
const SECOND_FLOOR: &str = "floor: load and compare-exchange, twice";

pub(crate) fn tables() -> Vec<Table> {
    let growth = [1, 64, 4096, 65_536]
        .map(|buffers| few_contenders("get and drop by buffers", buffers).along(buffers));
    let mut tables = vec![all_contenders(), in_a_task()];
    tables.extend(growth);
    tables
}

fn few_contenders(scenario: &'static str, buffers: usize) -> Table {
    let s = if buffers == 1 { "" } else { "s" };
    Table::new(scenario, format!("{buffers} buffer{s} of {SIZE} bytes"))
        .reference(FLOOR, || floor(1))
        .reference(SECOND_FLOOR, second_floor)
        .row(OURS, move || get_and_drop::<SamplePool>(1, buffers))
        .row("ArrayQueue", move || {
            get_and_drop::<ArrayQueuePool>(1, buffers)
        })
        .row("Semaphore + ArrayQueue", move || {
            get_and_drop::<SemaphoreAndQueue>(1, buffers)
        })
        .row("deadpool", move || get_and_drop::<Deadpool>(1, buffers))
        .row("kanal", move || get_and_drop::<Kanal>(1, buffers))
}

fn all_contenders() -> Table {
    let table = few_contenders("get and drop", BUFFERS)
        .row("flume", || get_and_drop::<Flume>(1, BUFFERS))
        .row("async-channel", || get_and_drop::<AsyncChannel>(1, BUFFERS))
        .row("object-pool", || get_and_drop::<ObjectPool>(1, BUFFERS))
        .row("opool", || get_and_drop::<Opool>(1, BUFFERS))
        .row("zeropool", || get_and_drop::<ZeroPool>(1, BUFFERS));
    #[cfg(feature = "commonware")]
    let table = table.row("commonware-runtime", || {
        get_and_drop::<Commonware>(1, BUFFERS)
    });
    table
        .row_for_each_allocator("BytesMut", || get_and_drop::<FreshBytesMut>(1, BUFFERS))
        .at_most(0.6, "Semaphore + ArrayQueue")
        .at_most(0.3, "deadpool")
}

fn in_a_task() -> Table {
    Table::new(
        "get and drop in a task",
        format!("{BUFFERS} buffers of {SIZE} bytes"),
    )
    .reference(FLOOR, || floor(1))
    .reference(SECOND_FLOOR, second_floor)
    .row(OURS, get_and_drop_in_task::<SamplePool>)
    .row(
        "Semaphore + ArrayQueue",
        get_and_drop_in_task::<SemaphoreAndQueue>,
    )
    .row("deadpool", get_and_drop_in_task::<Deadpool>)
    .row("kanal", get_and_drop_in_task::<Kanal>)
    .at_most_thin(1.35, FLOOR)
    .at_most_thin(0.6, "Semaphore + ArrayQueue")
    .at_most_thin(0.3, "deadpool")
}

fn get_and_drop_in_task<C: Contender>() -> impl FnMut(u64) -> Outcome {
    let pool = C::with_buffers(BUFFERS, SIZE);
    repeat_in_task(pool, |pool: Arc<C>, operations| async move {
        for _ in 0..operations {
            let buffer = pool.get().await;
            black_box(&buffer);
            pool.give_back(buffer);
        }
    })
}

/// What a pool must at least do: it has to know which buffer it takes, so it loads before it exchanges.
fn second_floor() -> impl FnMut(u64) -> Outcome {
    |operations| {
        let elapsed = time_on_threads(1, operations, |operations| {
            let own = CachePadded::new(AtomicU64::new(0));
            let exchange = |change: fn(u64) -> u64| {
                let word = black_box(&own);
                let old = word.load(Ordering::Acquire);
                let done =
                    word.compare_exchange(old, change(old), Ordering::AcqRel, Ordering::Relaxed);
                assert!(done.is_ok(), "the line is its own");
            };
            for _ in 0..operations {
                exchange(|word| word + 1);
                exchange(|word| word - 1);
            }
            assert_eq!(own.load(Ordering::Relaxed), 0);
        });
        Outcome::per_operation(elapsed, operations)
    }
}

/// Two atomic read-modify-writes of a cache line that no other thread touches.
pub(crate) fn floor(threads: usize) -> impl FnMut(u64) -> Outcome {
    move |operations| {
        let elapsed = time_on_threads(threads, operations, |operations| {
            let own = CachePadded::new(AtomicU64::new(0));
            for _ in 0..operations {
                black_box(&own).fetch_add(1, Ordering::AcqRel);
                black_box(&own).fetch_sub(1, Ordering::AcqRel);
            }
            assert_eq!(own.load(Ordering::Relaxed), 0);
        });
        Outcome::per_operation(elapsed, operations)
    }
}

/// Gets and drops on each of `threads` threads, from one pool of `buffers` buffers.
pub(crate) fn get_and_drop<C: Contender>(
    threads: usize,
    buffers: usize,
) -> impl FnMut(u64) -> Outcome {
    get_and_drop_from(threads, C::with_buffers(buffers, SIZE))
}

/// Gets and drops on each of `threads` threads, from this pool.
pub(crate) fn get_and_drop_from<C: Contender>(
    threads: usize,
    pool: C,
) -> impl FnMut(u64) -> Outcome {
    repeat(threads, pool, async |pool: &C| {
        let buffer = pool.get().await;
        black_box(&buffer);
        pool.give_back(buffer);
    })
}
