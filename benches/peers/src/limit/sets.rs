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

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 200;

    /// A run could not be repeated, or compared with an earlier one.
    #[test]
    fn a_seed_draws_the_same_patterns_again_and_another_seed_others() {
        assert_eq!(Pattern::drawn(7, 40), Pattern::drawn(7, 40));
        assert_ne!(Pattern::drawn(7, 40), Pattern::drawn(8, 40));
    }

    /// Consumers that could hold all buffers and wait for more would wait for ever.
    #[test]
    fn consumers_of_a_pipe_cannot_hold_all_buffers_and_wait() {
        for pattern in (0..SEEDS).flat_map(|seed| Pattern::drawn(seed, 8)) {
            if let Pattern::Pipe {
                producers,
                consumers,
                buffers,
                burst,
                ..
            } = pattern
            {
                assert!(burst >= 1 && consumers * (burst - 1) < buffers, "{pattern}");
                assert!(producers >= consumers, "{pattern}");
            }
        }
    }

    /// A figure is found by the name of its pattern.
    #[test]
    fn no_two_patterns_of_a_run_have_the_same_name() {
        for seed in 0..SEEDS {
            let all = Pattern::fixed().into_iter().chain(Pattern::drawn(seed, 40));
            let mut names: Vec<_> = all.map(|pattern| pattern.to_string()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), Pattern::fixed().len() + 40, "seed {seed}");
        }
    }

    /// Below the limit nothing is exhausted, and above it nothing is free: both belong to what is drawn, and so do
    /// the sizes between 1 and 1,024.
    #[test]
    fn seeds_draw_below_at_and_above_the_limit() {
        let drawn: Vec<_> = (0..SEEDS)
            .flat_map(|seed| Pattern::drawn(seed, 4))
            .collect();
        let saws = drawn.iter().filter_map(|pattern| match *pattern {
            Pattern::ThreadSaw { buffers, take, .. } => Some((buffers, take)),
            _ => None,
        });
        let saws: Vec<_> = saws.collect();
        assert!(saws.iter().any(|(buffers, take)| take < buffers));
        assert!(saws.iter().any(|(buffers, take)| take == buffers));
        assert!(saws.iter().any(|(buffers, take)| *take == buffers + 1));
        assert!(saws.iter().any(|(buffers, _)| *buffers == 1));
        assert!(saws.iter().any(|(buffers, _)| *buffers > 512));
        assert!(saws.iter().all(|(buffers, _)| *buffers <= MOST_BUFFERS));
    }
}
