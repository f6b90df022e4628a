//! Callbacks that misbehave: one that blocks delays its own release and nothing else, and one that replaces
//! itself is called once.
//!
//! Guarantees: 8

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once, poll_once};
use sample_pool::{Pool, Sample, State};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

fn pool(buffers: usize) -> Pool {
    let built = Pool::builder().buffers(buffers).size(64).build();
    built.expect("small")
}

fn take(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("one is free")
}

/// A callback that has been called on a thread of its own, and blocks until the test releases it.
struct Blocked {
    release: thread::JoinHandle<()>,
    unblock: mpsc::Sender<()>,
}

impl Blocked {
    /// Releases `sample` on another thread, in whose call the callback blocks. Later calls do not block.
    fn by(pool: &Pool, sample: Sample) -> Self {
        let (is_inside, inside) = mpsc::channel();
        let (unblock, may_go) = mpsc::channel();
        let once = Mutex::new(Some((is_inside, may_go)));
        let blocks = move |_: &Pool| {
            let once = once.lock().expect("nothing panics under it").take();
            if let Some((is_inside, may_go)) = once {
                is_inside.send(()).expect("the test waits");
                may_go.recv().expect("the test unblocks it");
            }
        };
        drop(pool.set_notify(Some(Arc::new(blocks))));
        let release = thread::spawn(move || drop(sample));
        inside.recv().expect("the callback is called");
        Blocked { release, unblock }
    }

    fn end(self) {
        self.unblock.send(()).expect("it waits");
        self.release.join().expect("no panic");
    }
}

/// Runs `scene` on a thread of its own, and fails instead of hanging.
fn within_bounds(scene: impl FnOnce() + Send + 'static) {
    let (done, over) = mpsc::channel();
    let thread = thread::spawn(move || {
        scene();
        done.send(()).expect("the test waits");
    });
    let in_time = over.recv_timeout(Duration::from_secs(20));
    assert!(
        in_time.is_ok() || thread.is_finished(),
        "a thread waits for a callback that blocks"
    );
    thread.join().expect("the scene's own assertions");
}

/// The callback is the last step: a waiter has the sample by then, and needs nothing more of the releasing
/// thread.
#[test]
fn while_a_callback_blocks_its_sample_is_free_and_other_tasks_go_on() {
    within_bounds(|| {
        let pool = pool(2);
        let (sample, other) = (take(&pool), take(&pool));
        let mut released = Polled::waiting(pool.released());
        let blocked = Blocked::by(&pool, sample);
        assert_eq!(pool.free_count(), 1);
        released.expect_ready();
        assert_eq!(pool.status().outstanding, 1);
        let again = take(&pool);
        let mut waiting = Polled::waiting(pool.get_buffer());
        drop(again);
        let mut served = waiting.expect_ready().expect("handed off");
        for _ in 0..100 {
            drop(served);
            served = at_once(pool.get_buffer()).expect("free again");
        }
        drop((served, other));
        assert_eq!(pool.free_count(), 2);
        blocked.end();
    });
}

/// Operations that change the pool do not wait either, though the call in flight holds the old callback.
#[test]
fn while_a_callback_blocks_the_pool_is_decommitted_changed_and_committed() {
    within_bounds(|| {
        let pool = pool(2);
        let sample = take(&pool);
        let blocked = Blocked::by(&pool, sample);
        let replaced = pool.set_notify(None);
        assert!(replaced.is_some(), "given back while it runs");
        let mut drained = pool.drained();
        pool.decommit();
        assert!(poll_once(&mut drained).is_ready());
        let mut properties = pool.properties();
        properties.buffers = 3;
        pool.set_properties(properties).expect("drained");
        pool.commit().expect("small");
        assert_eq!((pool.state(), pool.free_count()), (State::Committed, 3));
        let all = pool.try_get_buffers(3).expect("free");
        blocked.end();
        drop(all);
        assert_eq!(pool.free_count(), 3);
    });
}

/// The callback may use the pool that it is given until it returns, even if all handles are dropped before
/// that.
#[test]
fn a_pool_whose_last_handle_goes_while_a_callback_blocks_is_freed_after_it() {
    within_bounds(|| {
        let pool = pool(2);
        let token = Arc::new(());
        let captured = token.clone();
        let (is_inside, inside) = mpsc::channel();
        let (unblock, may_go) = mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let blocks = move |pool: &Pool| {
            is_inside.send(()).expect("the test waits");
            may_go
                .lock()
                .expect("whole")
                .recv()
                .expect("it is unblocked");
            assert_eq!((pool.free_count(), Arc::strong_count(&captured)), (2, 2));
        };
        pool.on_release(blocks).detach();
        let sample = take(&pool);
        let release = thread::spawn(move || drop(sample));
        inside.recv().expect("the callback is called");
        let weak = pool.downgrade();
        drop(pool);
        assert_eq!(Arc::strong_count(&token), 2, "it still runs");
        unblock.send(()).expect("it waits");
        release.join().expect("no panic");
        assert!(weak.upgrade().is_none());
        assert_eq!(Arc::strong_count(&token), 1, "freed with the call");
    });
}

/// Callbacks each of which sets the next: none may run twice, or be dropped while it runs.
#[test]
fn a_callback_that_replaces_itself_is_called_once_and_its_successor_next() {
    struct Once(Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl Drop for Once {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn generation(
        number: usize,
        calls: &Arc<AtomicUsize>,
        dropped: &Arc<AtomicUsize>,
        pool: &Pool,
    ) {
        let once = Once(calls.clone(), dropped.clone());
        let replaces = move |pool: &Pool| {
            let Once(calls, dropped) = &once;
            let earlier = calls.fetch_add(1, Ordering::SeqCst);
            assert_eq!(earlier, number, "each in its turn");
            generation(number + 1, calls, dropped, pool);
            // The values that it captured still exist, though it is no longer the callback that is set.
            assert_eq!(dropped.load(Ordering::SeqCst), number);
            if number % 2 == 1 {
                panic!("after it has set its successor");
            }
        };
        drop(pool.set_notify(Some(Arc::new(replaces))));
    }

    for with_waiter in [false, true] {
        let pool = pool(1);
        let (calls, dropped) = (Arc::default(), Arc::default());
        generation(0, &calls, &dropped, &pool);
        for round in 1..=10 {
            let held = take(&pool);
            let waiting = with_waiter.then(|| Polled::waiting(pool.get_buffer()));
            drop(held);
            drop(waiting);
            assert_eq!(calls.load(Ordering::SeqCst), round);
            assert_eq!(dropped.load(Ordering::SeqCst), round);
            assert_eq!(pool.free_count(), 1);
        }
        assert_eq!(pool.status().callback_panics, 5);
        drop(pool.set_notify(None));
        assert_eq!(dropped.load(Ordering::SeqCst), 11);
    }
}
