//! A subscriber that records the events of pools, and runs a test's code inside each of them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// An event as it was emitted.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) level: Level,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Visit for Recorded {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            name => drop(self.fields.insert(name, value)),
        }
    }
}

type Act = dyn Fn(&Recorded) + Send + Sync;

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Recorder {
    recorded: Arc<Mutex<Vec<Recorded>>>,
    act: Arc<Act>,
}

impl Recorder {
    pub(crate) fn new(act: impl Fn(&Recorded) + Send + Sync + 'static) -> Self {
        Recorder {
            recorded: Arc::default(),
            act: Arc::new(act),
        }
    }

    /// The events since the last call.
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.recorded.lock().expect("nothing panics under it"))
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sample_pool"
    }

    fn event(&self, event: &Event<'_>) {
        let mut recorded = Recorded {
            level: *event.metadata().level(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut recorded);
        self.recorded
            .lock()
            .expect("nothing panics under it")
            .push(recorded.clone());
        (self.act)(&recorded);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
