//! Quotas and priority buffers: more threads than loom can explore, some of which cancel.

use super::*;
use crate::Quota;

impl Stage {
    /// A stage with `priority_buffers` priority buffers.
    fn with_priority_buffers(buffers: usize, priority_buffers: usize) -> Self {
        let pool = crate::Builder::default().buffers(buffers).size(64);
        let pool = pool.priority_buffers(priority_buffers).build();
        Stage {
            pool: pool.expect("a page of memory"),
            ..Stage::new(buffers)
        }
    }

    /// Waits for samples of a quota, checks that no more than its limit is in use, uses the samples and
    /// releases them.
    fn get_charged(&self, quota: &Quota, count: usize) {
        let samples = block_on(quota.get_buffers(count)).expect("it is committed");
        assert_eq!(samples.len(), count);
        let status = quota.status();
        assert!(status.in_use >= count && status.in_use <= status.limit);
        samples.into_iter().for_each(|sample| self.use_up(sample));
    }

    /// What must hold of a quota after all threads have ended.
    fn assert_given_back(&self, quota: &Quota) {
        let status = quota.status();
        assert_eq!((status.in_use, status.waiting), (0, 0));
        let limit = status.limit.min(self.taken.len());
        drop(quota.try_get_buffers(limit).expect("all of it"));
    }
}

/// Waits for room or for a sample, and is cancelled at some moment.
fn give_up(quota: &Quota, count: usize) {
    let mut get = Box::pin(quota.get_buffers(count));
    let _ready = poll_once(&mut get);
    thread::yield_now();
    drop(get);
}

/// Two quotas of one pool, and users of the pool itself: all are served, and nothing stays in use.
#[test]
fn quotas_share_a_pool() {
    play(|| {
        let stage = Stage::new(3);
        let (camera, screen) = (stage.pool.quota("camera", 2), stage.pool.quota("screen", 1));
        let threads = (0..5).map(|number| {
            let (stage, camera, screen) = (stage.clone(), camera.clone(), screen.clone());
            start(move || match number {
                0 => stage.get_charged(&camera, 2),
                1 => stage.get_charged(&camera, 1),
                2 => stage.get_charged(&screen, 1),
                3 => give_up(&screen, 1),
                _ => stage.get_many(2).expect("it is committed"),
            })
        });
        join_all(threads.collect::<Vec<_>>());
        stage.assert_given_back(&camera);
        stage.assert_given_back(&screen);
        stage.assert_all_free();
    });
}

/// Waiters of one quota request different numbers, and some are cancelled at any moment.
#[test]
fn a_storm_of_cancelled_waits_leaves_no_room_in_use() {
    play(|| {
        let stage = Stage::new(3);
        let quota = stage.pool.quota("camera", 2);
        let held = quota.try_get_buffers(2).expect("all of it");
        let mut threads: Vec<_> = (0..4)
            .map(|number| {
                let (stage, quota) = (stage.clone(), quota.clone());
                start(move || match number {
                    0 => give_up(&quota, 2),
                    1 => give_up(&quota, 1),
                    2 => stage.get_charged(&quota, 1),
                    _ => stage.get_charged(&quota, 2),
                })
            })
            .collect();
        threads.extend(held.into_iter().map(|sample| start(move || drop(sample))));
        join_all(threads);
        stage.assert_given_back(&quota);
        stage.assert_all_free();
    });
}

/// Users with and without high priority share a pool that is too small for them: all are served, and all
/// priority buffers are free at the end.
#[test]
fn priority_buffers_are_full_when_all_samples_are_released() {
    play(|| {
        let stage = Stage::with_priority_buffers(3, 1);
        let control = stage.pool.priority_quota("control", 3);
        let threads = (0..5).map(|number| {
            let (stage, control) = (stage.clone(), control.clone());
            start(move || match number {
                0 => stage.get_charged(&control, 1),
                1 => stage.get_charged(&control, 2),
                2 => {
                    // All or nothing, while other gets wait.
                    drop(control.try_get_buffers(2));
                    give_up(&control, 1);
                }
                3 => stage.get().expect("it is committed"),
                _ => stage.get_many(2).expect("it is committed"),
            })
        });
        join_all(threads.collect::<Vec<_>>());
        assert_eq!(stage.pool.status().priority_free, 1);
        stage.assert_given_back(&control);
        let status = stage.pool.status();
        assert_eq!((status.free, status.waiting), (3, 0));
        drop(control.try_get_buffers(3).expect("all are free"));
    });
}

/// A decommit and a commit at any moment: every waiter for room gets an error or is served, and the priority
/// buffers are filled again.
#[test]
fn a_decommit_meets_quotas_and_priority_buffers() {
    play(|| {
        let stage = Stage::with_priority_buffers(3, 1);
        let quota = stage.pool.quota("camera", 1);
        let control = stage.pool.priority_quota("control", 3);
        let threads = (0..5).map(|number| {
            let (stage, quota, control) = (stage.clone(), quota.clone(), control.clone());
            start(move || {
                let got = match number {
                    0 | 1 => block_on(quota.get_buffer()),
                    2 => block_on(control.get_buffer()),
                    3 => block_on(stage.pool.get_buffer()),
                    _ => {
                        stage.pool.decommit();
                        return stage.pool.commit().expect("the memory is there");
                    }
                };
                match got {
                    Ok(sample) => stage.use_up(sample),
                    Err(error) => assert_eq!(error, GetBufferError::NotCommitted),
                }
            })
        });
        join_all(threads.collect::<Vec<_>>());
        assert_eq!(stage.pool.status().priority_free, 1);
        stage.assert_given_back(&quota);
        stage.assert_given_back(&control);
    });
}

/// A priority try takes the free samples, finds too few, and returns them while waiters are queued.
#[test]
fn a_priority_try_meets_waiters() {
    play(|| {
        let stage = Stage::new(3);
        let control = stage.pool.priority_quota("control", 3);
        // Every word is open from now on.
        drop(stage.take_all());
        let threads = (0..5).map(|number| {
            let (stage, control) = (stage.clone(), control.clone());
            start(move || match number {
                0 => (0..4).for_each(|_| {
                    let all = control.try_get_buffers(3);
                    let all = all.into_iter().flatten();
                    all.for_each(|sample| stage.use_up(sample));
                }),
                _ => (0..3).for_each(|_| stage.get().expect("it is committed")),
            })
        });
        join_all(threads.collect::<Vec<_>>());
        stage.assert_given_back(&control);
        stage.assert_all_free();
    });
}
