//! The patterns: what is done with how many buffers, by how many threads or tasks.

use super::work::{
    Clock, Travelling, measurement, pipe,
    saw::{self, First},
    walk,
};
use crate::{
    contenders::{Counters, Deadpool, Kanal, SamplePool, SemaphoreAndQueue},
    scenarios::runtime,
    table::{Measurement, OURS, Table},
};
use std::{cell::Cell, fmt, rc::Rc};

pub(crate) const SCENARIO: &str = "at the limit";
pub(crate) const SEMAPHORE: &str = "Semaphore + ArrayQueue";
pub(crate) const DEADPOOL: &str = "deadpool";
pub(crate) const KANAL: &str = "kanal";

const SIZE: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pattern {
    ThreadSaw {
        threads: usize,
        buffers: usize,
        take: usize,
        first: First,
    },
    TaskSaw {
        tasks: usize,
        workers: usize,
        buffers: usize,
        take: usize,
    },
    Walk {
        tasks: usize,
        workers: usize,
        buffers: usize,
    },
    Pipe {
        producers: usize,
        consumers: usize,
        workers: usize,
        buffers: usize,
        burst: usize,
    },
}

/// What our pool counted while a pattern was measured.
pub(crate) type Counted = Rc<Cell<Counters>>;

impl Pattern {
    /// The table of all contenders; what ours counts is added to `counted`.
    pub(crate) fn table(self, clock: Clock, counted: &Counted) -> Table {
        let counted = Rc::clone(counted);
        Table::new(SCENARIO, self.to_string())
            .row(OURS, move || {
                let counted = Rc::clone(&counted);
                self.measured::<SamplePool, _>(clock, move |new| {
                    let old = counted.get();
                    counted.set(Counters {
                        taken: old.taken + new.taken,
                        waited: old.waited + new.waited,
                        missed: old.missed + new.missed,
                    });
                })
            })
            .row(SEMAPHORE, move || {
                self.measured::<SemaphoreAndQueue, _>(clock, |_| {})
            })
            .row(DEADPOOL, move || {
                self.measured::<Deadpool, _>(clock, |_| {})
            })
            .row(KANAL, move || self.measured::<Kanal, _>(clock, |_| {}))
    }

    fn measured<C: Travelling<B>, B: Send + 'static>(
        self,
        clock: Clock,
        counted: impl Fn(Counters) + 'static,
    ) -> Measurement {
        match self {
            Pattern::ThreadSaw {
                threads,
                buffers,
                take,
                first,
            } => Box::new(measurement(
                C::with_buffers(buffers, SIZE),
                clock,
                counted,
                move |pool, gets| saw::on_threads(&**pool, threads, take, first, gets),
            )),
            Pattern::TaskSaw {
                tasks,
                workers,
                buffers,
                take,
            } => Box::new(measurement(
                C::with_buffers(buffers, SIZE),
                clock,
                counted,
                move |pool, gets| saw::by_tasks(pool, &runtime(workers), tasks, take, gets),
            )),
            Pattern::Walk {
                tasks,
                workers,
                buffers,
            } => Box::new(measurement(
                C::with_buffers(buffers, SIZE),
                clock,
                counted,
                move |pool, gets| walk::by_tasks(pool, &runtime(workers), tasks, gets),
            )),
            Pattern::Pipe {
                producers,
                consumers,
                workers,
                buffers,
                burst,
            } => Box::new(measurement(
                C::with_buffers(buffers, SIZE),
                clock,
                counted,
                move |pool, gets| {
                    pipe::by_tasks(pool, &runtime(workers), producers, consumers, burst, gets)
                },
            )),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Pattern::ThreadSaw {
                threads,
                buffers,
                take,
                first,
            } => {
                let how = match (first, threads) {
                    (First::Tries, 1) => "takes",
                    (First::Tries, _) => "take",
                    (First::Blocks, 1) => "blocks and takes",
                    (First::Blocks, _) => "block and take",
                };
                let threads = count(threads, "thread");
                write!(f, "saw: {threads} {how} {take} of {buffers}")
            }
            Pattern::TaskSaw {
                tasks,
                workers,
                buffers,
                take,
            } => {
                let how = if tasks == 1 { "takes" } else { "take" };
                let (tasks, workers) = (count(tasks, "task"), count(workers, "worker"));
                write!(f, "saw: {tasks} {how} {take} of {buffers}, {workers}")
            }
            Pattern::Walk {
                tasks,
                workers,
                buffers,
            } => {
                let (tasks, workers) = (count(tasks, "task"), count(workers, "worker"));
                write!(
                    f,
                    "walk: {tasks} on {}, {workers}",
                    count(buffers, "buffer")
                )
            }
            Pattern::Pipe {
                producers,
                consumers,
                workers,
                buffers,
                burst,
            } => {
                let how = if burst == 1 {
                    "one by one".to_owned()
                } else {
                    format!("bursts of {burst}")
                };
                let (producers, consumers) =
                    (count(producers, "producer"), count(consumers, "consumer"));
                let (buffers, workers) = (count(buffers, "buffer"), count(workers, "worker"));
                write!(
                    f,
                    "pipe: {producers}, {consumers}, {buffers}, {how}, {workers}"
                )
            }
        }
    }
}

fn count(number: usize, of: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {of}{s}")
}
