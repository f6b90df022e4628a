//! Metrics: they equal the status, each wait is recorded once, and taking and releasing samples records
//! nothing.

#![forbid(unsafe_code)]

use crate::polling::Polled;
use bytes::BufMut;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder, Snapshotter},
};
use sample_pool::{
    Builder, Pool,
    fan_out::FanOut,
    metrics::{FanOutMetrics, PoolMetrics},
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::time::timeout;

fn builder() -> Builder {
    Pool::builder().buffers(4).size(1024).name("relay")
}

/// The recorded metrics, by their name and the name of the pool.
fn recorded(from: &Snapshotter) -> BTreeMap<(String, String), DebugValue> {
    let metrics = from.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _unit, _described, value)| {
            let key = key.key();
            let labels: Vec<_> = key
                .labels()
                .map(|label| label.clone().into_parts())
                .collect();
            let pool = match &labels[..] {
                [] => String::new(),
                [(name, value)] if name.as_ref() == "pool" => value.to_string(),
                others => panic!("{others:?}"),
            };
            ((key.name().to_owned(), pool), value)
        })
        .collect()
}

/// Records with a recorder of this thread only.
fn record(metrics: &mut PoolMetrics) -> BTreeMap<(String, String), DebugValue> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    assert!(with_local_recorder(&recorder, || metrics.record()));
    recorded(&snapshotter)
}

/// A metric of any kind of the pool with this name.
#[track_caller]
fn number(of: &BTreeMap<(String, String), DebugValue>, pool: &str, name: &str) -> f64 {
    match of.get(&(name.to_owned(), pool.to_owned())) {
        Some(DebugValue::Gauge(value)) => value.into_inner(),
        Some(DebugValue::Counter(value)) => *value as f64,
        other => panic!("{name}: {other:?}"),
    }
}

/// A metric that is confused with another is worse than none.
#[test]
fn each_metric_is_what_the_status_says() {
    let pool = builder()
        .buffers(5)
        .priority_buffers(1)
        .build()
        .expect("small");
    let mut held = pool.try_get_buffers(4).expect("free");
    held[0].put_slice(&[7; 100]);
    assert!(pool.try_get_buffer().is_err());
    drop(Polled::waiting(pool.get_buffer()));
    let guard = pool.on_release(|_| panic!("a callback"));
    held.truncate(3);
    drop(guard);
    let waiting = Polled::waiting(pool.get_buffers(3));
    let other = Polled::waiting(pool.get_buffer());
    let values = record(&mut PoolMetrics::new(&pool));
    for (name, value) in [
        ("buffers", 5.0),
        ("free", 1.0),
        ("priority_free", 1.0),
        ("outstanding", 4.0),
        ("used_bytes", 100.0),
        ("pinned_bytes", 4096.0),
        ("waiting", 2.0),
        ("high_water", 4.0),
        ("acquired_total", 4.0),
        ("released_total", 1.0),
        ("waited_total", 3.0),
        ("exhausted_total", 1.0),
        ("timed_out_total", 0.0),
        ("cancelled_total", 1.0),
        ("callback_panics_total", 1.0),
    ] {
        let name = format!("sample_pool_{name}");
        assert_eq!(number(&values, "relay", &name), value, "{name}");
    }
    assert_eq!(values.len(), 15, "waits are not measured: {values:?}");
    drop((waiting, other));
    drop(held);
    let values = record(&mut PoolMetrics::new(&pool));
    assert_eq!(number(&values, "relay", "sample_pool_free"), 5.0);
    assert_eq!(number(&values, "relay", "sample_pool_used_bytes"), 0.0);
}

#[tokio::test]
async fn a_get_that_timed_out_is_counted() {
    let pool = builder().build().expect("small");
    let held = pool.try_get_buffers(4).expect("free");
    let late = pool.get_buffer_timeout(Duration::from_millis(1)).await;
    assert!(late.is_err());
    let values = record(&mut PoolMetrics::new(&pool));
    assert_eq!(number(&values, "relay", "sample_pool_timed_out_total"), 1.0);
    drop(held);
}

/// Without the label the last of several pools would overwrite all others.
#[test]
fn pools_are_distinguished_by_their_names() {
    let (named, plain) = (builder().build(), Pool::builder().buffers(2).build());
    let (named, plain) = (named.expect("small"), plain.expect("small"));
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        assert!(PoolMetrics::new(&named).record());
        assert!(PoolMetrics::new(&plain).record());
    });
    let values = recorded(&snapshotter);
    assert_eq!(number(&values, "relay", "sample_pool_buffers"), 4.0);
    assert_eq!(number(&values, "", "sample_pool_buffers"), 2.0);
}

fn waits(of: &BTreeMap<(String, String), DebugValue>) -> Vec<f64> {
    let key = ("sample_pool_wait_seconds".to_owned(), "relay".to_owned());
    match of.get(&key) {
        Some(DebugValue::Histogram(values)) => values.iter().map(|v| v.into_inner()).collect(),
        None => Vec::new(),
        other => panic!("{other:?}"),
    }
}

/// A sum over all time hides the waits of the last minute, and a wait that is recorded twice counts as two.
#[test]
fn each_wait_is_recorded_once_with_how_long_it_took() {
    let pool = builder().measure_waits(true).build().expect("small");
    let held = pool.try_get_buffers(4).expect("free");
    let mut metrics = PoolMetrics::new(&pool);
    for _ in 0..2 {
        drop(Polled::waiting(pool.get_buffer()));
    }
    assert_eq!(waits(&record(&mut metrics)).len(), 2);
    assert!(waits(&record(&mut metrics)).is_empty());
    let pause = Duration::from_millis(20);
    let long = Polled::waiting(pool.get_buffer());
    thread::sleep(pause);
    let values = record(&mut metrics);
    assert!(waits(&values).is_empty(), "it has not ended");
    let oldest = number(&values, "relay", "sample_pool_oldest_wait_seconds");
    assert!(oldest >= pause.as_secs_f64());
    drop(long);
    let exact = pool.status().max_wait.expect("measured").as_secs_f64();
    let values = record(&mut metrics);
    let [waited] = waits(&values)[..] else {
        panic!("{values:?}");
    };
    assert!(
        waited >= exact && waited <= exact * 1.125,
        "{waited} of {exact}"
    );
    assert_eq!(
        number(&values, "relay", "sample_pool_oldest_wait_seconds"),
        0.0
    );
    assert_eq!(
        waits(&record(&mut PoolMetrics::new(&pool))).len(),
        3,
        "another recorder"
    );
    drop(held);
}

/// A recorder is user code, and the pool does not call it until the caller records.
#[test]
fn nothing_is_recorded_where_samples_move() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let pool = builder().measure_waits(true).build().expect("small");
        let mut metrics = PoolMetrics::new(&pool);
        let held = pool.try_get_buffers(4).expect("free");
        drop(Polled::waiting(pool.get_buffer()));
        assert!(pool.try_get_buffer().is_err());
        drop(held);
        assert!(recorded(&snapshotter).is_empty());
        assert!(metrics.record());
        assert!(!recorded(&snapshotter).is_empty());
    });
}

/// An object that measures the pool must not keep its memory allocated.
#[test]
fn it_does_not_keep_the_pool_and_records_nothing_of_one_that_is_gone() {
    let pool = builder().build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    let mut metrics = PoolMetrics::new(&pool);
    drop(pool);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    assert!(!with_local_recorder(&recorder, || metrics.record()));
    assert!(recorded(&snapshotter).is_empty());
    drop(held);
}

/// In a task of its own: at once, then at each interval, until the pool ends.
#[tokio::test(start_paused = true)]
async fn it_records_in_intervals_until_the_pool_is_gone() {
    let pool = builder().build().expect("small");
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let interval = Duration::from_secs(1);
    let mut records = PoolMetrics::new(&pool).record_every(interval);
    let free = || {
        let values = recorded(&snapshotter);
        let of = ("sample_pool_free".to_owned(), "relay".to_owned());
        values
            .contains_key(&of)
            .then(|| number(&values, "relay", "sample_pool_free"))
    };
    assert_eq!(free(), None, "not before it is polled");
    assert!(timeout(interval / 10, &mut records).await.is_err());
    assert_eq!(free(), Some(4.0), "at once");
    let held = pool.try_get_buffers(3).expect("free");
    assert!(timeout(interval / 2, &mut records).await.is_err());
    assert_eq!(free(), Some(0.0), "fetched before, and nothing since");
    assert!(timeout(interval, &mut records).await.is_err());
    assert_eq!(free(), Some(1.0));
    drop(pool);
    timeout(2 * interval, &mut records)
        .await
        .expect("it resolves");
    drop(held);
}

/// An interval of zero must neither panic nor starve its runtime.
#[tokio::test(start_paused = true)]
async fn an_interval_of_zero_leaves_time_for_others() {
    let pool = builder().build().expect("small");
    let mut records = PoolMetrics::new(&pool).record_every(Duration::ZERO);
    assert!(timeout(Duration::from_secs(1), &mut records).await.is_err());
}

/// Recording and describing have separate lists, and an exporter shows both.
#[test]
fn each_metric_that_is_recorded_is_described_with_its_unit() {
    let pool = builder().measure_waits(true).build().expect("small");
    let quota = pool.quota("camera", 2);
    let fan_out = Arc::new(FanOut::new(1, 1));
    let held = pool.try_get_buffers(4).expect("free");
    drop(Polled::waiting(pool.get_buffer()));
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        sample_pool::metrics::describe();
        assert!(PoolMetrics::new(&pool).record());
        assert!(FanOutMetrics::new("camera", &fan_out).record());
    });
    let values = snapshotter.snapshot().into_vec();
    // The metrics of the pool, of the quota and of the fan-out.
    assert_eq!(values.len(), 17 + 4 + 5);
    for (key, unit, described, _value) in values {
        let name = key.key().name().to_owned();
        let expected = match &name {
            bytes if bytes.ends_with("_bytes") => Unit::Bytes,
            seconds if seconds.ends_with("_seconds") => Unit::Seconds,
            _ => Unit::Count,
        };
        assert_eq!(unit, Some(expected), "{name}");
        assert!(described.is_some_and(|text| !text.is_empty()), "{name}");
        let counts = key.kind() == MetricKind::Counter;
        assert_eq!(counts, name.ends_with("_total"), "{name}");
    }
    drop((held, quota));
}

/// A recorder that runs a test's code whenever a metric is registered.
struct Foreign(Box<dyn Fn()>);

impl Recorder for Foreign {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        (self.0)();
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        (self.0)();
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        (self.0)();
        Histogram::noop()
    }
}

/// The recorder is user code: under a lock it would wait for that lock.
#[test]
fn a_recorder_may_use_the_pool_that_it_records() {
    let (done, over) = mpsc::channel();
    let thread = thread::spawn(move || {
        let pool = builder().measure_waits(true).build().expect("small");
        let (looks, looked) = (Rc::new(Cell::new(0)), pool.clone());
        let counts = looks.clone();
        let recorder = Foreign(Box::new(move || {
            drop(looked.try_get_buffer().expect("free"));
            counts.set(counts.get() + 1);
        }));
        assert!(with_local_recorder(&recorder, || PoolMetrics::new(&pool).record()));
        assert_eq!(looks.get(), 17);
        // The test waits for this.
        let _gone = done.send(());
    });
    if over.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("it deadlocks");
        process::abort();
    }
    thread.join().expect("no panic");
}

/// The recorder runs in the caller's task, so its panic is the caller's, and the pool must stay usable.
#[test]
fn a_recorder_that_panics_leaves_the_pool_and_its_metrics_whole() {
    let pool = builder().build().expect("small");
    let mut metrics = PoolMetrics::new(&pool);
    let panics = Foreign(Box::new(|| panic!("a recorder")));
    let record = AssertUnwindSafe(|| with_local_recorder(&panics, || metrics.record()));
    assert!(catch_unwind(record).is_err());
    assert_eq!(pool.free_count(), 4);
    assert_eq!(
        number(&self::record(&mut metrics), "relay", "sample_pool_free"),
        4.0
    );
}
