//! The wait queue: which waiters are served, in what order, and where the samples of cancelled waiters go.
//!
//! Guarantees: 1, 2, 3

use super::*;
use crate::{GetBuffer, sync::Lock};

/// The last waiter to queue is polled first: if it has its sample, all before it must have theirs. Later
/// requests find no free sample while a waiter is queued.
#[test]
fn no_get_overtakes_another() {
    play(|| {
        let stage = Stage::new(2);
        let samples = stage.take_all();
        let mut line: Vec<GetBuffer<'_>> = (0..4).map(|_| stage.pool.get_buffer()).collect();
        for get in &mut line {
            assert!(poll_once(get).is_pending());
        }
        let served = Arc::new(StatisticBool::new(false));
        let mut threads: Vec<_> = samples
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        threads.extend((0..2).map(|number| {
            let (stage, served) = (stage.clone(), served.clone());
            start(move || {
                for _ in 0..2 {
                    let found = match number {
                        0 => stage.pool.try_get_buffer().map(|sample| vec![sample]),
                        _ => stage.pool.try_get_buffers(1),
                    };
                    let over = served.load(Ordering::Relaxed);
                    assert!(found.is_err() || over, "a later request overtook the queue");
                }
            })
        }));
        let mut line: Vec<_> = line.into_iter().map(Some).collect();
        let (mut passed_on, mut kept) = (0, Vec::new());
        while kept.len() < 2 {
            let ready = block_on(poll_fn(|cx| poll_from_the_back(&mut line, cx)));
            for sample in ready {
                // The last two waiters wait for the samples of the first two.
                if passed_on < 2 {
                    passed_on += 1;
                    stage.use_up(sample);
                } else {
                    kept.push(sample);
                }
            }
        }
        served.store(true, Ordering::Relaxed);
        drop((kept, line));
        join_all(threads);
        stage.assert_all_free();
    });
}

/// Returns the waiters that are served by now. The order of polls shows whether all waiters before them were
/// served.
fn poll_from_the_back(
    line: &mut [Option<GetBuffer<'_>>],
    cx: &mut Context<'_>,
) -> Poll<Vec<Sample>> {
    let mut ready = Vec::new();
    for place in line.iter_mut().rev() {
        let Some(get) = place else {
            continue;
        };
        match Pin::new(get).poll(cx) {
            Poll::Ready(result) => {
                *place = None;
                ready.push(result.expect("it is committed"));
            }
            Poll::Pending => assert!(ready.is_empty(), "a waiter behind it was served"),
        }
    }
    if ready.is_empty() {
        return Poll::Pending;
    }
    Poll::Ready(ready)
}

/// A waiter queues and adds its name to a list in one step, and must be served in the order of the list. Some
/// waiters are cancelled, and what they were handed goes to the next.
#[test]
fn waiters_are_served_in_the_order_in_which_they_queued() {
    play(|| {
        let stage = Stage::new(1);
        let sample = stage.take_all();
        let (joined, served) = (Arc::new(Lock::new(vec![])), Arc::new(Lock::new(vec![])));
        let threads: Vec<_> = (0..5)
            .map(|name| {
                let (stage, joined, served) = (stage.clone(), joined.clone(), served.clone());
                start(move || {
                    let mut get = stage.pool.get_buffer();
                    let mut names = joined.lock();
                    let first = poll_once(&mut get);
                    names.push(name);
                    drop(names);
                    if name % 3 == 2 {
                        return drop((first, get));
                    }
                    let sample = match first {
                        Poll::Ready(sample) => sample,
                        Poll::Pending => block_on(get),
                    };
                    served.lock().push(name);
                    stage.use_up(sample.expect("it is committed"));
                })
            })
            .collect();
        drop(sample);
        join_all(threads);
        joined.lock().retain(|name| name % 3 != 2);
        assert_eq!(*joined.lock(), *served.lock());
        stage.assert_all_free();
    });
}

/// Two large requests must not hold half of the samples each, and neither large nor small requests starve.
#[test]
fn requests_for_many_meet_single_ones() {
    play(|| {
        let stage = Stage::new(3);
        let threads: Vec<_> = [3, 1, 2, 1, 2]
            .into_iter()
            .map(|count| {
                let stage = stage.clone();
                start(move || {
                    for _ in 0..2 {
                        match count {
                            1 => stage.get().expect("it is committed"),
                            _ => stage.get_many(count).expect("it is committed"),
                        }
                    }
                })
            })
            .collect();
        join_all(threads);
        stage.assert_all_free();
    });
}

/// A request for many that is dropped has gathered some samples, and the waiters behind it must get them.
#[test]
fn a_storm_of_cancellations_loses_nothing() {
    play(|| {
        let stage = Stage::new(2);
        let samples = stage.take_all();
        let mut threads: Vec<_> = samples
            .into_iter()
            .map(|sample| start(move || drop(sample)))
            .collect();
        threads.extend((0..4).map(|name| {
            let stage = stage.clone();
            start(move || {
                let mut one = stage.pool.get_buffer();
                let mut owned = stage.pool.get_buffer_owned();
                let mut two = stage.pool.get_buffers(2);
                if name % 2 == 0 {
                    drop(poll_once(&mut two));
                    drop(poll_once(&mut one));
                } else {
                    drop(poll_once(&mut owned));
                    drop(poll_once(&mut two));
                }
                drop(two);
                drop((one, owned));
                stage.get().expect("it is committed");
            })
        }));
        join_all(threads);
        stage.assert_all_free();
    });
}

/// Four threads share two samples, with and without waiting: words are parked and opened all the time.
#[test]
fn no_slot_is_free_while_a_waiter_is_queued() {
    play(|| {
        let stage = Stage::new(2);
        let threads: Vec<_> = (0..5)
            .map(|name| {
                let stage = stage.clone();
                start(move || {
                    for turn in 0..3 {
                        if (name + turn) % 3 == 0 {
                            if let Ok(sample) = stage.pool.try_get_buffer() {
                                stage.use_up(sample);
                            }
                        } else {
                            stage.get().expect("it is committed");
                        }
                    }
                })
            })
            .collect();
        join_all(threads);
        stage.assert_all_free();
    });
}
