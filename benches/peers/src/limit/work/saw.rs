//! *Saw*: takes some buffers, one after the other, and drops them all; then from the start.
//!
//! Only the first get of a tooth may wait: who holds buffers and waits for more can wait for ever. A miss ends the tooth.

use super::{Taken, on_tasks};
use crate::contenders::Limited;
use crossbeam_utils::Backoff;
use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// How a thread gets the first buffer of a tooth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::limit) enum First {
    /// It tries again and again, and pauses for longer and longer after a tooth without a buffer.
    Tries,
    /// It blocks.
    Blocks,
}

/// The time from the start of the first of `threads` threads to the end of the last.
pub(in crate::limit) fn on_threads<C: Limited>(
    pool: &C,
    threads: usize,
    take: usize,
    first: First,
    gets: u64,
) -> (Taken, Duration) {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let each = gets.div_ceil(threads as u64);
    let ready = Barrier::new(threads);
    let ended: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (cores, ready) = (&cores, &ready);
                scope.spawn(move || {
                    if threads <= cores.len() {
                        core_affinity::set_for_current(cores[number]);
                    }
                    ready.wait();
                    let begin = Instant::now();
                    let taken = teeth(pool, take, first, each);
                    (begin, Instant::now(), taken)
                })
            })
            .collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.collect::<Result<_, _>>().expect("no thread panics")
    });
    let mut all = Taken::default();
    ended.iter().for_each(|(_, _, taken)| all += *taken);
    let begin = ended.iter().map(|(begin, ..)| *begin).min();
    let end = ended.iter().map(|(_, end, _)| *end).max();
    (all, end.expect("a thread") - begin.expect("a thread"))
}

fn teeth<C: Limited>(pool: &C, take: usize, first: First, gets: u64) -> Taken {
    let mut taken = Taken::default();
    let mut held = Vec::with_capacity(take);
    let backoff = Backoff::new();
    while taken.taken < gets {
        if first == First::Blocks {
            held.push(pool.blocking_get());
        }
        rest_of_tooth(pool, take, &mut held, &mut taken);
        if held.is_empty() {
            // The holder may wait for this core, and more misses would only disturb it.
            backoff.snooze();
        } else {
            backoff.reset();
        }
        pool.give_back_all(&mut held);
    }
    taken
}

/// Tasks: each holds its buffers while it lets the others run once.
pub(in crate::limit) fn by_tasks<C: Limited>(
    pool: &Arc<C>,
    runtime: &Runtime,
    tasks: usize,
    take: usize,
    gets: u64,
) -> (Taken, Duration) {
    let each = gets.div_ceil(tasks as u64);
    let tasks = (0..tasks).map(|_| teeth_of_task(Arc::clone(pool), take, each));
    on_tasks(runtime, tasks)
}

async fn teeth_of_task<C: Limited>(pool: Arc<C>, take: usize, gets: u64) -> Taken {
    let mut taken = Taken::default();
    let mut held = Vec::with_capacity(take);
    while taken.taken < gets {
        held.push(pool.get().await);
        rest_of_tooth(&*pool, take, &mut held, &mut taken);
        tokio::task::yield_now().await;
        pool.give_back_all(&mut held);
    }
    taken
}

/// Takes up to `take` buffers, together with those that are held, without waiting.
#[inline]
fn rest_of_tooth<'a, C: Limited>(
    pool: &'a C,
    take: usize,
    held: &mut Vec<C::Buffer<'a>>,
    taken: &mut Taken,
) {
    while held.len() < take {
        match pool.try_get() {
            Some(buffer) => held.push(buffer),
            None => {
                taken.missed += 1;
                break;
            }
        }
    }
    taken.taken += held.len() as u64;
}
