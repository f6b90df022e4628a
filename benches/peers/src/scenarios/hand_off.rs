//! *Hand-off*: more tasks than buffers; each takes one, lets the others run, and gives it back.

use crate::{
    contenders::*,
    table::{OURS, Outcome, Table},
};
use std::{sync::Arc, time::Instant};
use tokio::runtime::Runtime;

const SIZE: usize = 4096;
const BARE: &str = "bare Semaphore, no buffer";

pub(crate) fn tables() -> Vec<Table> {
    let mut tables = Vec::new();
    for (tasks, buffers) in [(8, 2), (64, 8)] {
        for workers in [1, 2] {
            let case = format!(
                "{tasks} tasks on {buffers} buffers, {}",
                count(workers, "worker")
            );
            tables.push(
                table("hand-off", case, tasks, buffers, workers)
                    .row("flume", hand_off::<Flume>(tasks, buffers, workers))
                    .row(
                        "async-channel",
                        hand_off::<AsyncChannel>(tasks, buffers, workers),
                    )
                    .at_most(1.1, BARE),
            );
        }
    }
    for (scenario, workers) in [
        ("hand-off by waiters, one worker", 1),
        ("hand-off by waiters, two workers", 2),
    ] {
        for waiters in [1, 10, 100, 1000] {
            let case = format!("{} for one buffer", count(waiters, "waiter"));
            tables.push(table(scenario, case, waiters + 1, 1, workers).along(waiters));
        }
    }
    tables
}

fn count(number: usize, of: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {of}{s}")
}

fn table(
    scenario: &'static str,
    case: String,
    tasks: usize,
    buffers: usize,
    workers: usize,
) -> Table {
    Table::new(scenario, case)
        .row(BARE, hand_off::<BareSemaphore>(tasks, buffers, workers))
        .row(OURS, hand_off::<SamplePool>(tasks, buffers, workers))
        .row("deadpool", hand_off::<Deadpool>(tasks, buffers, workers))
        .row("kanal", hand_off::<Kanal>(tasks, buffers, workers))
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .build();
    runtime.expect("a runtime")
}

fn hand_off<C: Contender>(
    tasks: usize,
    buffers: usize,
    workers: usize,
) -> impl Fn() -> Box<dyn FnMut(u64) -> Outcome> {
    move || {
        let runtime = runtime(workers);
        let pool = Arc::new(C::with_buffers(buffers, SIZE));
        Box::new(move |operations| {
            let each = operations.div_ceil(tasks as u64);
            let begin = Instant::now();
            let done = runtime.block_on(async {
                let running: Vec<_> = (0..tasks)
                    .map(|_| tokio::spawn(take_turns(Arc::clone(&pool), each)))
                    .collect();
                let mut done = 0;
                for task in running {
                    done += task.await.expect("a task that takes turns");
                }
                done
            });
            let elapsed = begin.elapsed();
            assert_eq!(done, each * tasks as u64);
            pool.assert_all_free();
            Outcome::per_operation(elapsed, done)
        })
    }
}

async fn take_turns<C: Contender>(pool: Arc<C>, turns: u64) -> u64 {
    let mut done = 0;
    while done < turns {
        let buffer = pool.get().await;
        tokio::task::yield_now().await;
        pool.give_back(buffer);
        done += 1;
    }
    done
}
