//! Metrics of pools with the same labels, of dropped pools, of quotas and of fan-outs.

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use metrics::{
    Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use sample_pool::{
    Pool,
    fan_out::FanOut,
    metrics::{FanOutMetrics, PoolMetrics},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// A recorder that keeps the recorded values, as an exporter does. The one of `metrics_util` forgets a gauge
/// that was read.
#[derive(Default)]
struct Recorded {
    counters: Numbers,
    gauges: Numbers,
}

/// Runs when a gauge is set for the next time, just before its value is stored.
type BeforeNextSet = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A recorder of gauges, whose calls take as long as a test wants.
#[derive(Default)]
struct Slow {
    recorded: Recorded,
    slow: String,
    before_next: BeforeNextSet,
}

struct SlowGauge(Arc<AtomicU64>, BeforeNextSet);

impl GaugeFn for SlowGauge {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        let before = self.1.lock().expect("nothing panics under it").take();
        if let Some(before) = before {
            before();
        }
        self.0.set(value);
    }
}

impl Recorder for Slow {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let value = number(&self.recorded.gauges, key);
        if key.name() == self.slow {
            Gauge::from_arc(Arc::new(SlowGauge(value, self.before_next.clone())))
        } else {
            Gauge::from_arc(value)
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

type Numbers = Mutex<BTreeMap<String, Arc<AtomicU64>>>;

/// By name, and the labels as `name{label=value,..}`.
fn number(of: &Numbers, key: &Key) -> Arc<AtomicU64> {
    let labels = key.labels();
    let labels: Vec<_> = labels
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    let name = key.name().trim_start_matches("sample_pool_");
    let name = format!("{name}{{{}}}", labels.join(","));
    let mut numbers = of.lock().expect("nothing panics under it");
    numbers.entry(name).or_default().clone()
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(number(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(number(&self.gauges, key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Recorded {
    fn record<T>(&self, record: impl FnOnce() -> T) -> T {
        with_local_recorder(self, record)
    }

    #[track_caller]
    fn read(of: &Numbers, name: &str) -> u64 {
        let numbers = of.lock().expect("nothing panics under it");
        let number = numbers.get(name);
        let number = number.unwrap_or_else(|| panic!("{name} of {numbers:?}"));
        number.load(Ordering::SeqCst)
    }

    #[track_caller]
    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(Self::read(&self.gauges, name))
    }

    #[track_caller]
    fn counter(&self, name: &str) -> u64 {
        Self::read(&self.counters, name)
    }
}

fn named(buffers: usize) -> Pool {
    let builder = Pool::builder().buffers(buffers).size(64).name("relay");
    builder.build().expect("small")
}

fn unnamed(buffers: usize) -> Pool {
    Pool::builder()
        .buffers(buffers)
        .size(64)
        .build()
        .expect("small")
}

fn take(pool: &Pool, times: usize) {
    for _ in 0..times {
        drop(pool.try_get_buffer().expect("it is free"));
    }
}

/// A counter that is set to the larger of two values would not change until the new pool has counted as much.
#[test]
fn a_pool_that_is_made_anew_under_its_old_name_counts_on() {
    let recorded = Recorded::default();
    let pool = named(4);
    let mut metrics = PoolMetrics::new(&pool);
    take(&pool, 5);
    assert!(recorded.record(|| metrics.record()));
    take(&pool, 2);
    assert!(recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter("acquired_total{pool=relay}"), 7);
    drop(pool);
    let pool = named(4);
    take(&pool, 3);
    let mut new = PoolMetrics::new(&pool);
    assert!(recorded.record(|| new.record()));
    assert!(recorded.record(|| new.record()));
    assert_eq!(recorded.counter("acquired_total{pool=relay}"), 10);
    assert_eq!(recorded.counter("released_total{pool=relay}"), 10);
    assert_eq!(recorded.counter("callback_panics_total{pool=relay}"), 0);
}

/// Otherwise the last one recorded would hide the other, and only the larger count would be seen.
#[test]
fn two_pools_without_a_name_are_seen_together() {
    let recorded = Recorded::default();
    let (one, other) = (unnamed(4), unnamed(2));
    let mut of_one = PoolMetrics::new(&one);
    let mut of_other = PoolMetrics::new(&other);
    take(&one, 5);
    take(&other, 3);
    let held = other.try_get_buffer().expect("it is free");
    for _ in 0..2 {
        recorded.record(|| assert!(of_one.record() && of_other.record()));
        assert_eq!(recorded.counter("acquired_total{}"), 9);
        assert_eq!(recorded.gauge("buffers{}"), 6.0);
        assert_eq!(recorded.gauge("outstanding{}"), 1.0);
    }
    drop((held, other));
    recorded.record(|| assert!(of_one.record() && !of_other.record()));
    assert_eq!(recorded.gauge("buffers{}"), 4.0, "of the one that is left");
    assert_eq!(recorded.counter("acquired_total{}"), 9);
    drop(of_one);
}

/// Two tasks record two pools without a name. The recorder is called without a lock, so the task that added up
/// first can be the last to set the gauge. Nothing would correct the value if the pools are idle from then on,
/// or dropped.
#[test]
fn a_gauge_that_was_set_late_has_the_newest_sum() {
    let slow = Slow {
        slow: "sample_pool_free".to_owned(),
        ..Slow::default()
    };
    let (one, other) = (unnamed(4), unnamed(2));
    let mut of_one = PoolMetrics::new(&one);
    let of_other = Arc::new(Mutex::new(PoolMetrics::new(&other)));
    let record_other = {
        let of_other = of_other.clone();
        move || assert!(of_other.lock().expect("nothing panics under it").record())
    };
    with_local_recorder(&slow, || {
        assert!(of_one.record());
        record_other();
    });
    assert_eq!(slow.recorded.gauge("free{}"), 6.0);
    let held = other.try_get_buffer().expect("it is free");
    *slow.before_next.lock().expect("nothing panics under it") = Some(Box::new(record_other));
    with_local_recorder(&slow, || assert!(of_one.record()));
    assert!(slow.before_next.lock().expect("as above").is_none());
    assert_eq!(
        slow.recorded.gauge("free{}"),
        5.0,
        "what was said while it was set"
    );
    drop((held, one, of_other));
}

/// A dashboard would show the last values of a dropped pool for ever, and an alarm on them would never end.
#[test]
fn gauges_of_a_pool_that_is_gone_are_zero_and_its_last_counts_are_recorded() {
    let recorded = Recorded::default();
    let pool = named(4);
    let mut metrics = PoolMetrics::new(&pool);
    let held = pool.try_get_buffer().expect("it is free");
    assert!(recorded.record(|| metrics.record()));
    assert_eq!(recorded.gauge("outstanding{pool=relay}"), 1.0);
    take(&pool, 2);
    let name = "acquired_total{pool=relay}";
    drop(pool);
    assert!(!recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter(name), 3);
    let gauges = recorded.gauges.lock().expect("nothing panics under it");
    assert_eq!(gauges.len(), 8);
    for (name, value) in gauges.iter() {
        assert_eq!(f64::from_bits(value.load(Ordering::SeqCst)), 0.0, "{name}");
    }
    drop(gauges);
    drop(held);
    assert!(!recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter(name), 3, "recorded once");
}

/// The last sample is released before the last handle is dropped, so the pool is freed when its counts are
/// recorded.
#[test]
fn the_last_counts_of_a_pool_are_recorded_after_it_was_freed() {
    let recorded = Recorded::default();
    let pool = named(4);
    let mut metrics = PoolMetrics::new(&pool);
    let mut held = vec![pool.try_get_buffer().expect("it is free")];
    assert!(recorded.record(|| metrics.record()));
    held.extend(pool.try_get_buffers(3).expect("they are free"));
    assert!(pool.try_get_buffer().is_err());
    drop(held);
    drop(pool);
    for _ in 0..2 {
        assert!(!recorded.record(|| metrics.record()));
        assert_eq!(recorded.counter("acquired_total{pool=relay}"), 4);
        assert_eq!(recorded.counter("released_total{pool=relay}"), 4);
        assert_eq!(recorded.counter("exhausted_total{pool=relay}"), 1);
    }
}

/// The end of a drain adds up counts, which must not be added twice.
#[test]
fn the_last_counts_of_a_pool_that_was_drained_are_recorded_once() {
    let recorded = Recorded::default();
    let pool = named(4);
    let mut metrics = PoolMetrics::new(&pool);
    take(&pool, 2);
    assert!(recorded.record(|| metrics.record()));
    take(&pool, 3);
    pool.decommit();
    drop(pool);
    assert!(!recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter("acquired_total{pool=relay}"), 5);
    assert_eq!(recorded.counter("released_total{pool=relay}"), 5);
}

/// The old pool's end is noticed after the new pool was recorded, and must not overwrite it.
#[test]
fn the_end_of_a_pool_leaves_the_gauges_of_a_new_one_with_its_name() {
    let recorded = Recorded::default();
    let old = named(4);
    let mut of_old = PoolMetrics::new(&old);
    assert!(recorded.record(|| of_old.record()));
    drop(old);
    let new = named(2);
    let mut of_new = PoolMetrics::new(&new);
    assert!(recorded.record(|| of_new.record()));
    assert!(!recorded.record(|| of_old.record()));
    assert_eq!(recorded.gauge("buffers{pool=relay}"), 2.0);
}

/// In a task of its own the end of the pool is noticed at the next interval.
#[tokio::test(start_paused = true)]
async fn recording_in_intervals_ends_with_gauges_of_zero() {
    let recorded = Recorded::default();
    let _guard = metrics::set_default_local_recorder(&recorded);
    let pool = named(4);
    let interval = Duration::from_secs(1);
    let mut records = PoolMetrics::new(&pool).record_every(interval);
    assert!(timeout(interval / 2, &mut records).await.is_err());
    assert_eq!(recorded.gauge("free{pool=relay}"), 4.0);
    drop(pool);
    timeout(interval, &mut records).await.expect("it resolves");
    assert_eq!(recorded.gauge("free{pool=relay}"), 0.0);
}

/// A get without room in its quota waits in a queue that the pool's numbers do not include.
#[test]
fn a_quota_has_metrics_until_it_is_gone() {
    let recorded = Recorded::default();
    let builder = Pool::builder().buffers(8).size(64).name("relay");
    let pool = builder.measure_waits(true).build().expect("small");
    let mut metrics = PoolMetrics::new(&pool);
    let (camera, other) = (pool.quota("camera", 2), pool.quota("other", 3));
    let held = camera.try_get_buffers(2).expect("there is room");
    let waiting = Polled::waiting(camera.get_buffer());
    assert!(recorded.record(|| metrics.record()));
    let of = |name: &str, quota: &str| format!("quota_{name}{{pool=relay,quota={quota}}}");
    for (name, value) in [("limit", 2.0), ("in_use", 2.0), ("waiting", 1.0)] {
        assert_eq!(recorded.gauge(&of(name, "camera")), value, "{name}");
    }
    assert!(recorded.gauge(&of("oldest_wait_seconds", "camera")) > 0.0);
    for (name, value) in [
        ("limit", 3.0),
        ("in_use", 0.0),
        ("oldest_wait_seconds", 0.0),
    ] {
        assert_eq!(recorded.gauge(&of(name, "other")), value, "{name}");
    }
    assert_eq!(recorded.counter("waited_total{pool=relay}"), 1);
    drop(waiting);
    drop(held);
    drop(camera);
    assert!(recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter("cancelled_total{pool=relay}"), 1);
    for (name, value) in [("limit", 0.0), ("in_use", 0.0), ("waiting", 0.0)] {
        assert_eq!(recorded.gauge(&of(name, "camera")), value, "{name}");
    }
    assert_eq!(recorded.gauge(&of("limit", "other")), 3.0);
    drop((other, pool));
    assert!(!recorded.record(|| metrics.record()));
    assert_eq!(recorded.gauge(&of("limit", "other")), 0.0);
}

/// No other metric shows a viewer that lags.
#[test]
fn a_fan_out_has_metrics_until_it_is_gone() {
    let recorded = Recorded::default();
    let pool = unnamed(8);
    let fan_out = Arc::new(FanOut::new(2, 3));
    let mut metrics = FanOutMetrics::new("camera", &fan_out);
    let (mut fast, mut slow) = (fan_out.subscribe(4), fan_out.subscribe(4));
    let idle = fan_out.subscribe(4);
    let mut held = Vec::new();
    for number in 0..5 {
        let sample = pool.try_get_buffer().expect("it is free");
        fan_out.send(sample.freeze()).expect("it is open");
        let delivery = at_once(fast.recv()).expect("it was sent");
        assert_eq!(delivery.skipped(), 0);
        if number == 4 {
            held.push(delivery);
        }
    }
    assert!(recorded.record(|| metrics.record()));
    let skipped = "fan_out_skipped_total{fan_out=camera}";
    assert_eq!(recorded.counter(skipped), 0, "it has not looked");
    let delivery = at_once(slow.recv()).expect("the backlog");
    assert_eq!(delivery.skipped(), 3);
    drop(delivery);
    assert!(recorded.record(|| metrics.record()));
    // No two of them are equal, or one could be taken for another.
    let gauges = [("subscribers", 3.0), ("backlog", 2.0), ("held", 1.0)];
    for (name, value) in gauges {
        let name = format!("fan_out_{name}{{fan_out=camera}}");
        assert_eq!(recorded.gauge(&name), value, "{name}");
    }
    assert_eq!(recorded.counter("fan_out_sent_total{fan_out=camera}"), 5);
    assert_eq!(recorded.counter(skipped), 3);
    drop((held, fast, slow, idle, fan_out));
    assert!(!recorded.record(|| metrics.record()));
    for (name, _) in gauges {
        let name = format!("fan_out_{name}{{fan_out=camera}}");
        assert_eq!(recorded.gauge(&name), 0.0, "{name}");
    }
}

/// A fan-out is often dropped between two recordings.
#[test]
fn the_last_counts_of_a_fan_out_are_recorded_after_it_is_gone() {
    let recorded = Recorded::default();
    let pool = unnamed(8);
    let fan_out = Arc::new(FanOut::new(2, 3));
    let mut metrics = FanOutMetrics::new("camera", &fan_out);
    let mut slow = fan_out.subscribe(1);
    let send = || {
        let sample = pool.try_get_buffer().expect("it is free");
        fan_out.send(sample.freeze()).expect("it is open");
    };
    send();
    assert!(recorded.record(|| metrics.record()));
    (0..4).for_each(|_| send());
    drop(fan_out);
    assert!(!recorded.record(|| metrics.record()));
    assert_eq!(recorded.counter("fan_out_sent_total{fan_out=camera}"), 5);
    let delivery = at_once(slow.recv()).expect("the backlog");
    assert_eq!(delivery.skipped(), 3);
    for _ in 0..2 {
        assert!(!recorded.record(|| metrics.record()));
        assert_eq!(recorded.counter("fan_out_sent_total{fan_out=camera}"), 5);
        assert_eq!(recorded.counter("fan_out_skipped_total{fan_out=camera}"), 3);
    }
}

/// A hold limit can be shared, and its samples would be counted once for each fan-out that shares it.
#[test]
fn a_fan_out_counts_as_held_only_what_is_its_own() {
    let pool = unnamed(8);
    let limit = sample_pool::fan_out::HoldLimit::new(3);
    let fan_outs = [(); 2].map(|()| FanOut::with_limit(2, &limit));
    let mut subscriber = fan_outs[0].subscribe(1);
    let sample = pool.try_get_buffer().expect("it is free");
    fan_outs[0].send(sample.freeze()).expect("it is open");
    let held = at_once(subscriber.recv());
    let counted = fan_outs.each_ref().map(|fan_out| fan_out.status().held);
    assert_eq!((counted, limit.held()), ([1, 0], 1));
    drop(held);
}
