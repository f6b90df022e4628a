//! Which patterns are measured: a fixed set, and others that are drawn from a seed.

use super::{
    pattern::Pattern,
    random::Random,
    work::{saw::First, walk},
};

/// So many buffers are dropped at once in a burst, if the pool has them.
const BURST: usize = 64;
const MOST_BUFFERS: usize = 1024;

impl Pattern {
    /// Those that are always measured.
    pub(crate) fn fixed() -> Vec<Pattern> {
        let thread_saw = |threads, take| Pattern::ThreadSaw {
            threads,
            buffers: 8,
            take,
            first: First::Tries,
        };
        let walk = |tasks, buffers, workers| Pattern::Walk {
            tasks,
            workers,
            buffers,
        };
        vec![
            thread_saw(1, 8),
            thread_saw(2, 8),
            thread_saw(2, 9),
            walk(8, 12, 2),
            walk(8, 9, 2),
            walk(8, 8, 2),
            walk(4, 8, 2),
            walk(8, 8, 1),
            Pattern::Pipe {
                producers: 4,
                consumers: 1,
                workers: 2,
                buffers: 64,
                burst: 64,
            },
        ]
    }

    /// Draws `number` of them. The kinds take turns, so that each is drawn.
    pub(crate) fn drawn(seed: u64, number: usize) -> Vec<Pattern> {
        let mut random = Random::new(seed);
        let mut drawn = Vec::new();
        while drawn.len() < number {
            let pattern = match drawn.len() % 4 {
                0 => Self::draw_thread_saw(&mut random),
                1 => Self::draw_walk(&mut random),
                2 => Self::draw_pipe(&mut random),
                _ => Self::draw_task_saw(&mut random),
            };
            if !drawn.contains(&pattern) && !Self::fixed().contains(&pattern) {
                drawn.push(pattern);
            }
        }
        drawn
    }

    fn draw_thread_saw(random: &mut Random) -> Self {
        let buffers = draw_buffers(random);
        Pattern::ThreadSaw {
            threads: random.one_of(&[1, 2, 2, 4, 8, 16]),
            buffers,
            take: draw_take(random, buffers),
            first: random.one_of(&[First::Tries, First::Blocks]),
        }
    }

    fn draw_task_saw(random: &mut Random) -> Self {
        let buffers = draw_buffers(random);
        Pattern::TaskSaw {
            tasks: random.one_of(&[1, 2, 4, 8, 16, 64]),
            workers: random.one_of(&[1, 2]),
            buffers,
            take: draw_take(random, buffers),
        }
    }

    fn draw_walk(random: &mut Random) -> Self {
        let tasks = random.one_of(&[1, 2, 3, 4, 8, 16, 64, 256]);
        let most = tasks * walk::MOST;
        // Too few for all, just enough, and more than that.
        let buffers = match random.below(4) {
            0 | 1 => random.between(tasks.div_ceil(2), most - 1),
            2 => most,
            _ => random.between(most + 1, most + most / 2),
        };
        Pattern::Walk {
            tasks,
            workers: random.one_of(&[1, 2]),
            buffers: buffers.min(MOST_BUFFERS),
        }
    }

    fn draw_pipe(random: &mut Random) -> Self {
        let buffers = draw_buffers(random);
        let consumers = random.one_of(&[1, 1, 2]).min(buffers);
        let burst = random.one_of(&[1, BURST]).min(buffers / consumers);
        Pattern::Pipe {
            producers: random.between(consumers, 16),
            consumers,
            workers: random.one_of(&[1, 2]),
            buffers,
            burst,
        }
    }
}

/// From 1 to 64, and at times to 1,024; each power of two as likely as the next.
fn draw_buffers(random: &mut Random) -> usize {
    let power = random.one_of(&[0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9]);
    random.between(1 << power, 2 << power)
}

/// Below the number of buffers, at it, or one above it.
fn draw_take(random: &mut Random, buffers: usize) -> usize {
    match random.below(3) {
        0 => random.between(1, buffers.max(2) - 1),
        1 => buffers,
        _ => buffers + 1,
    }
}
