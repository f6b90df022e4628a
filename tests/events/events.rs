//! Events: which are emitted and which are not; a subscriber may call the pool; a subscriber that panics loses
//! nothing.

#![forbid(unsafe_code)]

use crate::entry_points::{BUFFERS, ENTRIES, Scene};
use crate::polling::{Polled, at_once, poll_once};
use crate::recorder::{Recorded, Recorder};
use sample_pool::{GetBufferError, Pool};
use std::{
    panic::{self, AssertUnwindSafe},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tracing::{Level, subscriber::with_default};

/// An operation that emits events, in a pool that is intact before and after.
type Happening = fn(&Scene);

/// The operation, and the events that it must emit: the level, the message, and a field with its value.
type Row = (
    &'static str,
    Happening,
    &'static [(Level, &'static str, &'static str)],
);

const WAITS: (Level, &str, &str) = (Level::TRACE, "a get waits", "wanted=1");
const BEGAN: (Level, &str, &str) = (Level::DEBUG, "a drain began", "");
const ENDED: (Level, &str, &str) = (Level::DEBUG, "a drain ended", "");

const fn ended(how: &'static str) -> (Level, &'static str, &'static str) {
    (Level::TRACE, "a get stopped waiting", how)
}

const fn exhausted(wanted: &'static str) -> (Level, &'static str, &'static str) {
    (Level::DEBUG, "a get failed: the pool is exhausted", wanted)
}

const HAPPENINGS: &[Row] = &[
    (
        "a wait that is served",
        |s| {
            let held = s.exhaust();
            let mut get = Box::pin(s.pool.get_buffer());
            assert!(poll_once(&mut get).is_pending());
            drop(held);
            drop(poll_once(&mut get));
        },
        &[WAITS, ended("how=\"served\"")],
    ),
    (
        "a wait for several that is cancelled",
        |s| {
            let _held = s.exhaust();
            let mut get = Box::pin(s.pool.get_buffers(2));
            assert!(poll_once(&mut get).is_pending());
            drop(get);
        },
        &[
            (Level::TRACE, "a get waits", "wanted=2"),
            ended("how=\"cancelled\""),
        ],
    ),
    (
        "a wait that is cancelled after it was served",
        |s| {
            let held = s.exhaust();
            let mut get = Box::pin(s.pool.get_buffer());
            assert!(poll_once(&mut get).is_pending());
            drop(held);
            drop(get);
        },
        &[WAITS, ended("how=\"served\"")],
    ),
    (
        "a wait that a flush fails",
        |s| {
            let _held = s.exhaust();
            let mut get = Box::pin(s.pool.get_buffer());
            assert!(poll_once(&mut get).is_pending());
            s.pool.set_flushing(true);
            s.pool.set_flushing(false);
            drop(poll_once(&mut get));
        },
        &[WAITS, ended("how=\"failed\"")],
    ),
    (
        "tries that find nothing",
        |s| {
            let _held = s.exhaust();
            drop(s.pool.try_get_buffer());
            drop(s.pool.try_get_buffers(3));
        },
        &[exhausted("wanted=1"), exhausted("wanted=3")],
    ),
    (
        "a try that finds no room in its quota",
        |s| {
            let quota = s.pool.quota("one", 1);
            let _held = quota.try_get_buffer();
            drop(quota.try_get_buffer());
        },
        &[exhausted("wanted=1")],
    ),
    (
        "a try that may not overtake",
        |s| {
            let held = s.exhaust();
            s.line_up();
            drop(held);
            drop(s.pool.try_get_buffer());
        },
        &[WAITS, WAITS, exhausted("wanted=1")],
    ),
    (
        "a drain of a pool whose samples are free",
        |s| {
            s.pool.decommit();
            s.pool.commit().expect("small");
        },
        &[BEGAN, ENDED],
    ),
    (
        "a drain that the last sample ends",
        |s| {
            let held = s.exhaust();
            s.samples.lock().expect("whole").clear();
            s.pool.decommit();
            drop(held);
            s.pool.commit().expect("small");
        },
        &[BEGAN, ENDED],
    ),
    (
        "a drain that a commit cancels",
        |s| {
            let _held = s.exhaust();
            s.pool.decommit();
            s.pool.commit().expect("small");
        },
        &[BEGAN, (Level::DEBUG, "a commit cancelled a drain", "")],
    ),
    (
        "a callback that panics",
        |s| {
            let held = s.exhaust();
            let guard = s.pool.on_release(|_| panic!("a callback"));
            drop(held);
            drop(guard);
        },
        &[(Level::ERROR, "a release callback panicked", "")],
    ),
];

fn named(fields: &Recorded, expected: &str) -> bool {
    let recorded = fields
        .fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    expected.is_empty() || recorded.into_iter().any(|recorded| recorded == expected)
}

/// Every sample is free, and the pool still works.
fn assert_whole(scene: &Scene, after: &str) {
    scene.waiting.lock().expect("whole").clear();
    scene.samples.lock().expect("whole").clear();
    drop(scene.guard.lock().expect("whole").take());
    scene.pool.set_flushing(false);
    scene.pool.commit().expect("small");
    let all = scene.pool.try_get_buffers(BUFFERS);
    assert!(
        all.is_ok(),
        "after {after}: {all:?}, {:?}",
        scene.pool.status()
    );
}

/// A log without one of these events is misleading.
#[test]
fn each_event_has_its_level_and_its_fields() {
    for (name, happens, expected) in HAPPENINGS {
        let scene = Scene::new();
        let recorder = Recorder::new(|_| {});
        with_default(recorder.clone(), || happens(&scene));
        let recorded = recorder.take();
        assert_eq!(recorded.len(), expected.len(), "{name}: {recorded:#?}");
        for (recorded, &(level, message, field)) in recorded.iter().zip(*expected) {
            assert_eq!(
                (recorded.level, recorded.message.as_str()),
                (level, message),
                "{name}"
            );
            assert!(named(recorded, field), "{name}: {recorded:?} lacks {field}");
            assert!(!recorded.fields.contains_key("pool"), "it has no name");
        }
        assert_whole(&scene, name);
    }
}

/// Only the name distinguishes two pools in one log.
#[test]
fn an_event_has_the_name_of_its_pool() {
    let recorder = Recorder::new(|_| {});
    with_default(recorder.clone(), || {
        let pool = Pool::builder()
            .buffers(1)
            .name("relay")
            .build()
            .expect("small");
        pool.decommit();
    });
    let recorded = recorder.take();
    assert_eq!(recorded.len(), 2);
    assert!(
        recorded
            .iter()
            .all(|recorded| named(recorded, "pool=\"relay\"")),
        "{recorded:?}"
    );
}

/// A wait and its end belong together only if the log shows it.
#[test]
fn a_wait_and_its_end_name_the_same_waiter() {
    let pool = Pool::builder().buffers(1).build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    let recorder = Recorder::new(|_| {});
    with_default(recorder.clone(), || {
        let (first, second) = (
            Polled::waiting(pool.get_buffer()),
            Polled::waiting(pool.get_buffer()),
        );
        drop(second);
        drop(first);
    });
    let waiters: Vec<_> = recorder
        .take()
        .iter()
        .map(|recorded| recorded.fields["waiter"].clone())
        .collect();
    assert_eq!(waiters.len(), 4);
    assert!(
        waiters[0] != waiters[1] && waiters[1] == waiters[2] && waiters[0] == waiters[3],
        "{waiters:?}"
    );
    drop(held);
}

#[tokio::test]
async fn a_wait_that_timed_out_has_an_event_that_says_so() {
    let pool = Pool::builder().buffers(1).build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    let recorder = Recorder::new(|_| {});
    let guard = tracing::subscriber::set_default(recorder.clone());
    let late = pool.get_buffer_timeout(Duration::from_millis(1)).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    drop(guard);
    let recorded = recorder.take();
    assert!(named(&recorded[1], "how=\"timed out\""), "{recorded:?}");
    drop(held);
}

/// This event wakes the operator, so it must contain everything needed. A report in one field would be several
/// lines of the log, of which only the first could be searched.
#[tokio::test(start_paused = true)]
async fn a_stall_is_reported_as_warnings_of_one_line_each() {
    let builder = Pool::builder().buffers(2).name("relay").track_holders(true);
    let pool = builder.build().expect("small");
    let quota = pool.quota("camera", 1);
    let (held, charged) = (pool.try_get_buffer(), quota.try_get_buffer());
    let recorder = Recorder::new(|_| {});
    let guard = tracing::subscriber::set_default(recorder.clone());
    let limit = Duration::from_secs(1);
    let (warn, mut warnings) = tokio::sync::mpsc::unbounded_channel();
    let watch = tokio::spawn(pool.detect_stalls(limit, move |wait| {
        // The test waits for it.
        let _gone = warn.send(wait);
    }));
    // No get waits in this quota, so it is not reported.
    let _other = pool.quota("other", 1);
    let for_room = tokio::spawn(quota.get_buffer_owned());
    let wait = warnings.recv().await.expect("a report");
    drop(guard);
    let recorded = recorder.take();
    let recorded: Vec<_> = recorded
        .iter()
        .filter(|recorded| recorded.level == Level::WARN)
        .collect();
    let [stall, of_quota, sites @ ..] = &recorded[..] else {
        panic!("{recorded:#?}");
    };
    assert_eq!(stall.message, "a get has waited too long");
    // As in the report, and not the pool's queue, in which no get waits.
    assert_eq!(wait.report.quotas[0].waiting, 1);
    for field in [
        "pool=\"relay\"",
        "quota=\"camera\"",
        "waited=1s",
        "waiting=1",
        "buffers=2",
        "free=0",
        "outstanding=2",
    ] {
        assert!(named(stall, field), "{stall:?} lacks {field}");
    }
    assert_eq!(of_quota.message, "gets wait for a quota");
    for field in [
        "pool=\"relay\"",
        "quota=\"camera\"",
        "in_use=1",
        "limit=1",
        "waiting=1",
    ] {
        assert!(named(of_quota, field), "{of_quota:?} lacks {field}");
    }
    assert_eq!(sites.len(), 2);
    for site in sites {
        assert_eq!(site.message, "samples are held while a get waits");
        assert!(
            site.fields["location"].contains("tests/events/events.rs:"),
            "{site:?}"
        );
        for field in ["pool=\"relay\"", "samples=1", "handles=1"] {
            assert!(named(site, field), "{site:?} lacks {field}");
        }
    }
    assert!(sites.iter().any(|site| named(site, "quota=\"camera\"")));
    for recorded in recorded {
        let lines = recorded
            .fields
            .values()
            .all(|value| value.lines().count() == 1);
        assert!(lines, "{recorded:?}");
    }
    watch.abort();
    drop((held, charged, for_room));
}

/// These happen a million times a second, and emit nothing.
#[test]
fn the_fast_path_a_release_and_a_status_emit_no_event() {
    let recorder = Recorder::new(|_| {});
    with_default(recorder.clone(), || {
        let pool = Pool::builder().buffers(4).build().expect("small");
        drop(at_once(pool.get_buffer()));
        drop(at_once(pool.get_buffer_owned()));
        drop(at_once(pool.get_buffers(3)));
        drop(pool.try_get_buffer().expect("free").into_bytes());
        drop(pool.try_get_buffers(3));
        drop((pool.status(), pool.report(), pool.holders()));
        drop(pool.set_notify(Some(Arc::new(|_: &Pool| {}))));
        drop(pool.try_get_buffer());
    });
    let recorded = recorder.take();
    assert!(recorded.is_empty(), "{recorded:?}");
}

/// Runs `scene` on a thread of its own, and aborts the process instead of hanging.
fn within_bounds(name: String, scene: impl FnOnce() + Send + 'static) {
    let (done, over) = mpsc::channel();
    let thread = thread::spawn(move || {
        scene();
        // The test waits for this.
        let _gone = done.send(());
    });
    if over.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("{name}: it deadlocks");
        process::abort();
    }
    thread.join().unwrap_or_else(|_| panic!("{name}"));
}

/// A subscriber may send its lines through a pool, or read the pool that an event is about.
#[test]
fn a_subscriber_may_call_every_entry_point_from_inside_every_event() {
    for &(happening, happens, _) in HAPPENINGS {
        for &(entry, enter) in ENTRIES {
            within_bounds(format!("{entry} in {happening}"), move || {
                let scene = Scene::new();
                let inner = scene.clone();
                let recorder = Recorder::new(move |_| {
                    inner.ran.fetch_add(1, Ordering::SeqCst);
                    enter(&inner);
                });
                // The subscriber's calls can change the result of the operation.
                let _either = with_default(recorder, || {
                    panic::catch_unwind(AssertUnwindSafe(|| happens(&scene)))
                });
                assert!(scene.ran.load(Ordering::SeqCst) >= 1);
                assert_whole(&scene, happening);
            });
        }
    }
}

/// An event that unwinds must not lose a sample, a queue position, or the end of a drain.
#[test]
fn a_subscriber_that_panics_loses_nothing() {
    for &(happening, happens, expected) in HAPPENINGS {
        let scene = Scene::new();
        let inner = scene.clone();
        let recorder = Recorder::new(move |_| {
            inner.ran.fetch_add(1, Ordering::SeqCst);
            panic!("a subscriber");
        });
        with_default(recorder, || happens(&scene));
        let panics = scene.ran.load(Ordering::SeqCst);
        assert_eq!(panics, expected.len(), "{happening}");
        assert_whole(&scene, happening);
        assert_eq!(scene.pool.status().waiting, 0);
    }
}

/// The event of a drain's end is emitted in the middle of a release, before the callback is looked up.
#[test]
fn a_callback_that_a_subscriber_removes_or_replaces_is_not_called() {
    for replace in [false, true] {
        let pool = Pool::builder().buffers(1).build().expect("small");
        let [old, new]: [Arc<AtomicUsize>; 2] = Default::default();
        let count = old.clone();
        let guard = pool.on_release(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let guard = Mutex::new(Some(guard));
        let (weak, count) = (pool.downgrade(), new.clone());
        let recorder = Recorder::new(move |recorded| {
            if recorded.message != ENDED.1 {
                return;
            }
            if replace {
                let (pool, count) = (weak.upgrade().expect("the test has it"), count.clone());
                let guard = pool.on_release(move |_| {
                    count.fetch_add(1, Ordering::SeqCst);
                });
                guard.detach();
            }
            drop(guard.lock().expect("whole").take());
        });
        with_default(recorder, || {
            let sample = pool.try_get_buffer().expect("free");
            pool.decommit();
            drop(sample);
        });
        let calls = [old, new].map(|calls| calls.load(Ordering::SeqCst));
        assert_eq!(calls, [0, usize::from(replace)], "replaced: {replace}");
    }
}
