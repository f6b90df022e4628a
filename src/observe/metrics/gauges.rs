//! Gauges that several sources set under the same name and labels: pools of one name, pools without a name, quotas of
//! one name.
//!
//! A gauge has one value, so the last source to set it would hide the others. The last value of each source is kept
//! here, for each recorder, and the gauge is set to their sum. If a source stops setting a gauge, because its pool or
//! quota is gone, the gauge is the sum of the others, or zero.

use crate::sync::{Lock, Once};
use ::metrics::{Key, Label, Level, Metadata, counter, with_recorder};
use std::{
    collections::{BTreeMap, HashMap},
    ptr,
};

const METADATA: Metadata<'static> = Metadata::new(
    "sample_pool::metrics",
    Level::INFO,
    Some("sample_pool::metrics"),
);

/// How the values of several sources are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Sum,
    Largest,
}

impl Joined {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Joined::Sum => one + other,
            Joined::Largest => one.max(other),
        }
    }
}

/// The value that a source reads for a gauge.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) name: &'static str,
    pub(super) labels: Vec<Label>,
    pub(super) value: f64,
    pub(super) joined: Joined,
}

/// The last values of all sources, by recorder and gauge.
#[derive(Default)]
struct LastValues {
    sources: u64,
    gauges: HashMap<(usize, Key), Gauge>,
}

struct Gauge {
    joined: Joined,
    by_source: BTreeMap<u64, f64>,
}

impl LastValues {
    fn set(&mut self, source: u64, recorder: usize, key: &Key, value: f64, joined: Joined) {
        let gauge = self.gauges.entry((recorder, key.clone()));
        let gauge = gauge.or_insert_with(|| Gauge {
            joined,
            by_source: BTreeMap::new(),
        });
        gauge.by_source.insert(source, value);
    }

    fn remove(&mut self, source: u64, recorder: usize, key: &Key) {
        let of = (recorder, key.clone());
        if let Some(gauge) = self.gauges.get_mut(&of) {
            gauge.by_source.remove(&source);
            if gauge.by_source.is_empty() {
                self.gauges.remove(&of);
                // At a quarter and not at a half, so that many removals pass before the next shrink, which moves all
                // entries.
                if self.gauges.len() < self.gauges.capacity() / 4 {
                    self.gauges.shrink_to(2 * self.gauges.len());
                }
            }
        }
    }

    fn value(&self, recorder: usize, key: &Key) -> f64 {
        let gauge = self.gauges.get(&(recorder, key.clone()));
        gauge.map_or(0.0, |gauge| {
            let values = gauge.by_source.values().copied();
            values.fold(0.0, |all, one| gauge.joined.of(all, one))
        })
    }
}

/// No recorder runs under this lock: a recorder is user code.
fn last_values() -> &'static Lock<LastValues> {
    static LAST_VALUES: Once<Lock<LastValues>> = Once::new();
    LAST_VALUES.get_or_init(|| Lock::new(LastValues::default()))
}

/// The gauges that one source has set.
#[derive(Debug)]
pub(super) struct Gauges {
    source: u64,
    /// The address of the recorder that they were set with.
    recorder: usize,
    set: Vec<Key>,
}

impl Gauges {
    pub(super) fn new() -> Self {
        let mut last = last_values().lock();
        last.sources += 1;
        Gauges {
            source: last.sources,
            recorder: 0,
            set: Vec::new(),
        }
    }

    /// Sets each gauge in `readings`, and stops setting those that this source has set before and that are not in it.
    pub(super) fn set(&mut self, readings: impl IntoIterator<Item = Reading>) {
        let recorder = with_recorder(|recorder| ptr::from_ref(recorder).addr());
        let mut now: BTreeMap<Key, (f64, Joined)> = BTreeMap::new();
        for reading in readings {
            let key = Key::from_parts(reading.name, reading.labels);
            let joined = reading.joined;
            let value = now.entry(key).or_insert((0.0, joined));
            value.0 = joined.of(value.0, reading.value);
        }
        let mut values = Vec::with_capacity(now.len());
        let mut last = last_values().lock();
        for key in self.set.drain(..) {
            last.remove(self.source, self.recorder, &key);
            // Otherwise the recorder is another one now, and the gauge of the old one cannot be set any more.
            if self.recorder == recorder && !now.contains_key(&key) {
                values.push((key.clone(), last.value(recorder, &key)));
            }
        }
        self.recorder = recorder;
        for (key, (value, joined)) in now {
            last.set(self.source, recorder, &key, value, joined);
            values.push((key.clone(), last.value(recorder, &key)));
            self.set.push(key);
        }
        drop(last);
        if self.set.len() < self.set.capacity() / 4 {
            self.set.shrink_to(2 * self.set.len());
        }
        for (key, value) in values {
            set_to_newest(recorder, &key, value);
        }
    }
}

/// Sets a gauge to `value`, and repeats while another source has changed the value.
///
/// The recorder runs without the lock, so the source that computed its sum first may be the last to set the gauge. Each
/// source checks the sum again after it has set the gauge, so the last one to check finds that its own value is the
/// newest. It repeats only if another source has set a new value, so it ends.
fn set_to_newest(recorder: usize, key: &Key, mut value: f64) {
    let gauge = with_recorder(|recorder| recorder.register_gauge(key, &METADATA));
    loop {
        gauge.set(value);
        let newest = last_values().lock().value(recorder, key);
        if newest.to_bits() == value.to_bits() {
            return;
        }
        value = newest;
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        let mut last = last_values().lock();
        for key in &self.set {
            last.remove(self.source, self.recorder, key);
        }
    }
}

/// Increases the counter by the difference between `now` and `recorded`.
pub(super) fn count(name: &'static str, labels: &[Label], now: u64, recorded: &mut u64) {
    let added = now.saturating_sub(*recorded);
    counter!(name, labels.to_vec()).increment(added);
    *recorded += added;
}
