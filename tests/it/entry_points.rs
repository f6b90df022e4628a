//! Every method of a pool that can be called without waiting, and a pool to call them on.

use crate::polling::poll_once;
use bytes::Buf;
use sample_pool::{GetBufferOwned, NotifyGuard, PollPool, Pool, Properties, Sample};
use std::{
    future::poll_fn,
    io::Write,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

pub(crate) const BUFFERS: usize = 6;

/// What the user code finds: a pool, and samples and futures of it that it may use up.
pub(crate) struct Scene {
    pub(crate) pool: Pool,
    pub(crate) samples: Mutex<Vec<Sample>>,
    pub(crate) waiting: Mutex<Vec<Pin<Box<GetBufferOwned>>>>,
    pub(crate) guard: Mutex<Option<NotifyGuard>>,
    pub(crate) ran: AtomicUsize,
}

impl Scene {
    pub(crate) fn new() -> Arc<Self> {
        let builder = Pool::builder().buffers(BUFFERS).size(64).prefix(8);
        let pool = builder.track_holders(true).measure_waits(true).build();
        Arc::new(Scene {
            pool: pool.expect("small"),
            samples: Mutex::default(),
            waiting: Mutex::default(),
            guard: Mutex::default(),
            ran: AtomicUsize::new(0),
        })
    }

    /// Takes all samples, and returns one of them. The entry points find the others.
    pub(crate) fn exhaust(&self) -> Sample {
        let mut all = self.pool.try_get_buffers(BUFFERS).expect("all are free");
        let one = all.pop().expect("there are several");
        *self.samples.lock().expect("whole") = all;
        one
    }

    /// Queues two waiters, which the entry points find.
    pub(crate) fn line_up(&self) {
        for _ in 0..2 {
            let mut get = Box::pin(self.pool.get_buffer_owned());
            assert!(poll_once(&mut get).is_pending());
            self.waiting.lock().expect("whole").push(get);
        }
    }

    fn a_sample(&self) -> Option<Sample> {
        self.samples.lock().expect("whole").pop()
    }

    fn a_waiter(&self) -> Option<Pin<Box<GetBufferOwned>>> {
        self.waiting.lock().expect("whole").pop()
    }
}

pub(crate) type Entry = fn(&Scene);

/// Every call on a pool, or on what came from it, that does not wait.
pub(crate) const ENTRIES: &[(&str, Entry)] = &[
    ("try_get_buffer", |s| drop(s.pool.try_get_buffer())),
    ("try_get_buffers", |s| drop(s.pool.try_get_buffers(2))),
    ("try_get_up_to", |s| drop(s.pool.try_get_up_to(2))),
    ("free_count", |s| assert!(s.pool.free_count() <= BUFFERS)),
    ("status", |s| assert!(s.pool.status().free <= BUFFERS)),
    ("holders", |s| assert!(s.pool.holders().len() <= BUFFERS)),
    ("report, and its Display", |s| {
        assert!(s.pool.report().to_string().starts_with("pool"));
    }),
    ("wait_histogram", |s| {
        assert!(s.pool.wait_histogram().is_some())
    }),
    ("detect_stalls, and its drop", |s| {
        drop(s.pool.detect_stalls(Duration::ZERO, |_| {}));
    }),
    ("region", |s| {
        let region = s.pool.region();
        assert!(region.is_none_or(|region| !region.is_empty()));
    }),
    ("properties", |s| {
        assert_eq!(s.pool.properties().buffers, BUFFERS)
    }),
    ("state", |s| drop(format!("{:?}", s.pool.state()))),
    ("is_flushing", |s| drop(s.pool.is_flushing().to_string())),
    ("Debug of a pool", |s| drop(format!("{:?}", s.pool))),
    ("same_pool", |s| assert!(s.pool.same_pool(&s.pool.clone()))),
    ("set_notify(Some)", |s| {
        drop(s.pool.set_notify(Some(Arc::new(|_: &Pool| {}))));
    }),
    ("set_notify(None)", |s| drop(s.pool.set_notify(None))),
    ("on_release, and its guard's drop", |s| {
        drop(s.pool.on_release(|_| {}))
    }),
    ("on_release, and detach", |s| {
        s.pool.on_release(|_| {}).detach()
    }),
    ("the drop of a guard", |s| {
        drop(s.guard.lock().expect("whole").take())
    }),
    ("released, not polled", |s| drop(s.pool.released())),
    ("released, polled", |s| {
        let _either = poll_once(&mut s.pool.released());
    }),
    ("drained, not polled", |s| drop(s.pool.drained())),
    ("drained, polled", |s| {
        let _either = poll_once(&mut s.pool.drained());
    }),
    ("commit", |s| s.pool.commit().expect("small")),
    ("decommit", |s| s.pool.decommit()),
    ("decommit and commit", |s| {
        s.pool.decommit();
        s.pool.commit().expect("small");
    }),
    ("set_flushing", |s| {
        s.pool.set_flushing(true);
        s.pool.set_flushing(false);
    }),
    ("set_properties", |s| {
        let _either = s.pool.set_properties(s.pool.properties());
    }),
    ("set_properties to a refusal", |s| {
        assert!(s.pool.set_properties(Properties::default()).is_err());
    }),
    ("downgrade and upgrade", |s| {
        assert!(s.pool.downgrade().upgrade().is_some());
    }),
    ("clone and drop of a handle", |s| drop(s.pool.clone())),
    ("get_buffer, polled", |s| {
        drop(poll_once(&mut s.pool.get_buffer()))
    }),
    ("get_buffer_owned, polled", |s| {
        drop(poll_once(&mut s.pool.get_buffer_owned()));
    }),
    ("get_buffers, polled", |s| {
        drop(poll_once(&mut s.pool.get_buffers(3)))
    }),
    ("get_buffers_into, polled", |s| {
        let _either = poll_once(&mut s.pool.get_buffers_into(&mut Vec::new(), 2));
    }),
    ("poll_reclaim_requested, and the drop", |s| {
        let mut polled = PollPool::new(&s.pool);
        let _either = poll_once(&mut poll_fn(|cx| polled.poll_reclaim_requested(cx)));
    }),
    ("the poll of one who waits", |s| {
        if let Some(mut get) = s.a_waiter() {
            drop(poll_once(&mut get));
        }
    }),
    ("the drop of one who waits", |s| drop(s.a_waiter())),
    ("the release of a sample", |s| drop(s.a_sample())),
    ("the release of all samples", |s| {
        while s.a_sample().is_some() {}
    }),
    ("the writes of a sample", |s| {
        if let Some(mut sample) = s.a_sample() {
            assert_eq!(sample.write(b"bytes").expect("room"), 5);
            sample.prepend(b"head").expect("room");
            sample.properties_mut().set_user(1);
        }
    }),
    ("the sharing of a sample", |s| {
        if let Some(sample) = s.a_sample() {
            let mut shared = sample.freeze();
            let parts = (shared.clone(), shared.slice(..), shared.split_to(0));
            shared.advance(0);
            drop(parts);
            let sample = shared.try_into_sample().expect("the only handle");
            drop(sample.into_bytes().clone());
        }
    }),
];
