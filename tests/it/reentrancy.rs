//! No user code runs under a lock: every method that does not wait may be called from a waker's wake, clone or
//! drop, from a callback, and from a callback's drop.
//!
//! Guarantees: 8

#![deny(unsafe_code)]

use crate::entry_points::{BUFFERS, ENTRIES, Scene};
use crate::polling::{Polled, poll_once};
use crate::wakers::{Moment, hooked_at};
use sample_pool::{PollPool, Pool};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

/// Runs `act` at one place, once, while the pool is in the middle of an operation.
type Place = fn(&Scene, Act);

type Act = Box<dyn Fn() + Send + Sync>;

fn poll_with<F: Future + Unpin>(
    future: &mut F,
    moment: Moment,
    act: impl Fn() + Send + Sync + 'static,
) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&hooked_at(moment, act)))
}

const PLACES: &[(&str, Place)] = &[
    ("the wake of a waiter that is served", |s, act| {
        let held = s.exhaust();
        let mut get = s.pool.get_buffer();
        assert!(poll_with(&mut get, Moment::Wake, act).is_pending());
        s.line_up();
        drop(held);
        assert!(poll_once(&mut get).is_ready());
    }),
    (
        "the wake of a waiter that another one's cancellation serves",
        |s, act| {
            let held = s.exhaust();
            let handed = Polled::waiting(s.pool.get_buffer());
            let mut get = s.pool.get_buffer();
            assert!(poll_with(&mut get, Moment::Wake, act).is_pending());
            s.line_up();
            drop(held);
            drop(handed);
            assert!(poll_once(&mut get).is_ready());
        },
    ),
    ("the wake of a waiter that a decommit fails", |s, act| {
        let _held = s.exhaust();
        let mut get = s.pool.get_buffer();
        assert!(poll_with(&mut get, Moment::Wake, act).is_pending());
        s.line_up();
        s.pool.decommit();
        assert!(matches!(poll_once(&mut get), Poll::Ready(Err(_))));
    }),
    ("the wake of a waiter that a flush fails", |s, act| {
        let _held = s.exhaust();
        let mut get = s.pool.get_buffer();
        assert!(poll_with(&mut get, Moment::Wake, act).is_pending());
        s.line_up();
        s.pool.set_flushing(true);
        assert!(matches!(poll_once(&mut get), Poll::Ready(Err(_))));
    }),
    ("the wake of released()", |s, act| {
        let held = s.exhaust();
        let mut released = s.pool.released();
        assert!(poll_with(&mut released, Moment::Wake, act).is_pending());
        drop(held);
        assert!(poll_once(&mut released).is_ready());
    }),
    ("the wake of drained(), at the end of a drain", |s, act| {
        let held = s.exhaust();
        let mut drained = s.pool.drained();
        assert!(poll_with(&mut drained, Moment::Wake, act).is_pending());
        s.pool.decommit();
        s.samples.lock().expect("whole").clear();
        drop(held);
        assert!(poll_once(&mut drained).is_ready());
    }),
    ("the clone of a waker that queues", |s, act| {
        let _held = s.exhaust();
        s.line_up();
        drop(poll_with(&mut s.pool.get_buffer(), Moment::Clone, act));
    }),
    ("the clone of a waker of a request for several", |s, act| {
        drop(s.exhaust());
        drop(poll_with(&mut s.pool.get_buffers(2), Moment::Clone, act));
    }),
    ("the clone of a waker of released()", |s, act| {
        let _held = s.exhaust();
        let _either = poll_with(&mut s.pool.released(), Moment::Clone, act);
    }),
    ("the clone of a waker of drained()", |s, act| {
        let _held = s.exhaust();
        let _either = poll_with(&mut s.pool.drained(), Moment::Clone, act);
    }),
    ("the drop of a waker whose get is cancelled", |s, act| {
        let _held = s.exhaust();
        let mut get = s.pool.get_buffer();
        assert!(poll_armed(&mut get, act).is_pending());
        s.line_up();
        drop(get);
    }),
    ("the drop of a waker that another one replaces", |s, act| {
        let _held = s.exhaust();
        let mut get = s.pool.get_buffer();
        assert!(poll_armed(&mut get, act).is_pending());
        drop(poll_once(&mut get));
    }),
    ("the drop of a waker of released()", |s, act| {
        let _held = s.exhaust();
        let mut released = s.pool.released();
        assert!(poll_armed(&mut released, act).is_pending());
        drop(released);
    }),
    ("the drop of a waker of drained()", |s, act| {
        let _held = s.exhaust();
        let mut drained = s.pool.drained();
        assert!(poll_armed(&mut drained, act).is_pending());
        drop(drained);
    }),
    (
        "the wake of a task that a get asks for its sample",
        |s, act| {
            let _held = s.exhaust();
            let mut polled = PollPool::new(&s.pool);
            assert!(poll_with(&mut wanted(&mut polled), Moment::Wake, act).is_pending());
            drop(poll_once(&mut s.pool.get_buffer()));
        },
    ),
    (
        "the wake of a task that a drain asks for its sample",
        |s, act| {
            let _held = s.exhaust();
            let mut polled = PollPool::new(&s.pool);
            assert!(poll_with(&mut wanted(&mut polled), Moment::Wake, act).is_pending());
            s.pool.decommit();
        },
    ),
    (
        "the clone of a waker that is woken for a queued get",
        |s, act| {
            let _held = s.exhaust();
            let mut polled = PollPool::new(&s.pool);
            let _either = poll_with(&mut wanted(&mut polled), Moment::Clone, act);
        },
    ),
    ("the drop of a waker that finds a get queued", |s, act| {
        let _held = s.exhaust();
        s.line_up();
        let mut polled = PollPool::new(&s.pool);
        let drops = AtomicUsize::new(0);
        let act = move || {
            if drops.fetch_add(1, Ordering::SeqCst) == 0 {
                act();
            }
        };
        assert!(poll_with(&mut wanted(&mut polled), Moment::Drop, act).is_ready());
    }),
    (
        "the drop of such a waker that another one replaces",
        |s, act| {
            let _held = s.exhaust();
            let mut polled = PollPool::new(&s.pool);
            assert!(poll_armed(&mut wanted(&mut polled), act).is_pending());
            let _either = poll_once(&mut wanted(&mut polled));
        },
    ),
    ("the drop of such a waker with its polled pool", |s, act| {
        let _held = s.exhaust();
        let mut polled = PollPool::new(&s.pool);
        assert!(poll_armed(&mut wanted(&mut polled), act).is_pending());
        drop(polled);
    }),
    ("the callback", |s, act| {
        let held = s.exhaust();
        *s.guard.lock().expect("whole") = Some(s.pool.on_release(once(act)));
        drop(held);
    }),
    ("the callback, with others queued", |s, act| {
        let held = s.exhaust();
        s.line_up();
        *s.guard.lock().expect("whole") = Some(s.pool.on_release(once(act)));
        drop(held);
    }),
    ("the callback at the end of a drain", |s, act| {
        let held = s.exhaust();
        s.samples.lock().expect("whole").clear();
        *s.guard.lock().expect("whole") = Some(s.pool.on_release(once(act)));
        s.pool.decommit();
        drop(held);
    }),
    ("the drop of a replaced callback", |s, act| {
        let _held = s.exhaust();
        drop(s.pool.set_notify(Some(Arc::new(when_dropped(act)))));
        drop(s.pool.set_notify(None));
    }),
    ("the drop of a callback that its guard removes", |s, act| {
        let _held = s.exhaust();
        drop(s.pool.on_release(when_dropped(act)));
    }),
    (
        "the drop of a callback after the call that removed it",
        |s, act| {
            let held = s.exhaust();
            drop(s.pool.set_notify(Some(Arc::new(when_dropped(act)))));
            drop(held);
        },
    ),
    ("the same, with others queued", |s, act| {
        let held = s.exhaust();
        s.line_up();
        drop(s.pool.set_notify(Some(Arc::new(when_dropped(act)))));
        drop(held);
    }),
];

/// Polls with a waker whose clone runs the action when it is dropped. The waker itself is dropped at the end of
/// this function, and does not count.
fn poll_armed<F: Future + Unpin>(future: &mut F, act: Act) -> Poll<F::Output> {
    let drops = AtomicUsize::new(0);
    poll_with(future, Moment::Drop, move || {
        if drops.fetch_add(1, Ordering::SeqCst) == 1 {
            act();
        }
    })
}

fn wanted(polled: &mut PollPool) -> impl Future<Output = ()> + Unpin {
    poll_fn(|cx| polled.poll_reclaim_requested(cx))
}

/// A callback that runs the action only at its first call, since the action may release samples.
fn once(act: Act) -> impl Fn(&Pool) + Send + Sync + 'static {
    let calls = AtomicUsize::new(0);
    move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            act();
        }
    }
}

/// A callback that removes itself when it is called, and runs the action when it is dropped.
fn when_dropped(act: Act) -> impl Fn(&Pool) + Send + Sync + 'static {
    struct Acts(Act);
    impl Drop for Acts {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    let acts = Acts(act);
    move |pool| {
        let _keep = &acts;
        drop(pool.set_notify(None));
    }
}

/// Aborts the process, with the name of the operation that hangs, if nothing progresses for 20 seconds.
fn watch() -> mpsc::Sender<String> {
    let (moved, moves) = mpsc::channel::<String>();
    thread::spawn(move || {
        let mut last = String::new();
        loop {
            match moves.recv_timeout(Duration::from_secs(20)) {
                Ok(now) => last = now,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("deadlock: {last}");
                    process::abort();
                }
            }
        }
    });
    moved
}

/// A lock that is held around user code deadlocks only when that code calls the pool, so each call is tried at
/// each place.
#[test]
fn every_entry_point_can_be_called_from_every_place_where_user_code_runs() {
    let moved = watch();
    for &(place_name, place) in PLACES {
        for &(entry_name, entry) in ENTRIES {
            let here = format!("{entry_name}, called from {place_name}");
            moved.send(here.clone()).expect("the watch runs");
            let scene = Scene::new();
            let inner = Arc::downgrade(&scene);
            let act = move || {
                if let Some(scene) = inner.upgrade() {
                    entry(&scene);
                    scene.ran.fetch_add(1, Ordering::SeqCst);
                }
            };
            place(&scene, Box::new(act));
            assert!(
                scene.ran.load(Ordering::SeqCst) > 0,
                "it panicked or never ran: {here}"
            );
            assert_whole(&scene, &here);
        }
    }
}

/// Whatever ran in the middle of an operation, every sample is returned and can be taken again.
fn assert_whole(scene: &Scene, here: &str) {
    scene.waiting.lock().expect("whole").clear();
    scene.samples.lock().expect("whole").clear();
    drop(scene.guard.lock().expect("whole").take());
    scene.pool.set_flushing(false);
    scene.pool.commit().expect("small");
    let status = scene.pool.status();
    assert_eq!(status.waiting, 0, "{here}");
    assert_eq!(status.callback_panics, 0, "{here}");
    let all = scene.pool.try_get_buffers(BUFFERS);
    assert!(all.is_ok_and(|all| all.len() == BUFFERS), "{here}");
}
