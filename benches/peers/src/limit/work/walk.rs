//! *Walk*: each task holds 1 to 4 buffers, takes and drops at random, and waits when the pool is exhausted.

use super::{Taken, on_tasks};
use crate::{contenders::Limited, limit::random::Random};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Runtime;

pub(in crate::limit) const MOST: usize = 4;

pub(in crate::limit) fn by_tasks<C: Limited>(
    pool: &Arc<C>,
    runtime: &Runtime,
    tasks: usize,
    gets: u64,
) -> (Taken, Duration) {
    let each = gets.div_ceil(tasks as u64);
    // The same walks for every contender, in every round.
    let tasks = (0..tasks).map(|number| walk(Arc::clone(pool), Random::new(number as u64), each));
    on_tasks(runtime, tasks)
}

async fn walk<C: Limited>(pool: Arc<C>, mut random: Random, gets: u64) -> Taken {
    let mut taken = Taken::default();
    let mut held = Vec::with_capacity(MOST);
    while taken.taken < gets {
        if held.is_empty() {
            // A task that waits holds nothing, or all could wait for each other.
            held.push(pool.get().await);
            taken.taken += 1;
        } else if held.len() < MOST && random.below(2) == 0 {
            if let Some(buffer) = pool.try_get() {
                held.push(buffer);
                taken.taken += 1;
            } else {
                taken.missed += 1;
                drop_one(&*pool, &mut held, &mut random);
            }
        } else {
            drop_one(&*pool, &mut held, &mut random);
        }
        // The others run while this one holds what it holds; with one worker, only now.
        if random.below(4) == 0 {
            tokio::task::yield_now().await;
        }
    }
    pool.give_back_all(&mut held);
    taken
}

#[inline]
fn drop_one<'a, C: Limited>(pool: &'a C, held: &mut Vec<C::Buffer<'a>>, random: &mut Random) {
    let dropped = held.swap_remove(random.below(held.len()));
    pool.give_back(dropped);
}
