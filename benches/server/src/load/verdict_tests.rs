use super::*;
use crate::load::{
    crowd::{Delivered, SlowSeen},
    waits::Waits,
};
use usage::Usage;

fn sample(at: Instant) -> Sample {
    Sample {
        at,
        waits: Waits::default(),
        usage: Usage {
            resident_bytes: 30_000_000,
            ..Usage::default()
        },
        descriptors: 1015,
        threads: 4,
        free: Some(60),
        closed_viewers: 0,
    }
}

/// Of which nothing is to be said.
fn good() -> Loaded {
    let began = Instant::now();
    let mut delivered = Delivered {
        healthy_frames: 1000,
        came_back: 1,
        slow: [SlowSeen {
            frames: 10,
            skipped: 1,
            closed: 1,
            kept: 0,
        }; Habit::ALL.len()],
        ..Delivered::default()
    };
    delivered.gaps.count(Duration::from_millis(100));
    Loaded {
        contender: Contender::SamplePool,
        seconds: 60.0,
        delivered,
        samples: (0..60)
            .map(|second| sample(began + Duration::from_secs(second)))
            .collect(),
        returns: 1,
        descriptors_before: 10,
        descriptors_after: 10,
        free: Some(128),
        buffers: 128,
        generator_seconds: 1.0,
        machine_busy: 0.5,
    }
}

/// On a machine that had too much to do.
fn busy() -> Loaded {
    let mut busy = good();
    let last = busy.samples.last_mut().unwrap();
    last.waits = Waits::with(&[(7, 40), (8, 40)]);
    busy
}

fn complaint(spoil: impl FnOnce(&mut Loaded)) -> String {
    let mut loaded = good();
    spoil(&mut loaded);
    let complaints = loaded.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    complaints[0].clone()
}

#[test]
fn a_load_within_the_limits_gives_no_complaint() {
    assert_eq!(good().complaints(), [""; 0]);
}

#[test]
fn memory_must_not_grow_after_the_warm_up() {
    let growing = |loaded: &mut Loaded| {
        for (second, sample) in (0..).zip(&mut loaded.samples) {
            sample.usage.resident_bytes += second * 300_000;
        }
    };
    assert!(complaint(growing).starts_with("resident memory grew"));
    let warming_up = |loaded: &mut Loaded| {
        for sample in &mut loaded.samples[..15] {
            sample.usage.resident_bytes = 1;
        }
    };
    let mut loaded = good();
    warming_up(&mut loaded);
    assert_eq!(loaded.complaints(), [""; 0]);
}

#[test]
fn a_descriptor_that_is_not_closed_is_reported() {
    let once = |loaded: &mut Loaded| loaded.samples[7].descriptors = 1100;
    assert!(complaint(once).starts_with("1100 descriptors were open"));
    let left = complaint(|loaded| loaded.descriptors_after = 11);
    assert!(left.starts_with("11 descriptors are open"));
}

#[test]
fn a_buffer_that_was_not_returned_is_reported() {
    let lost = complaint(|loaded| loaded.free = Some(127));
    assert_eq!(lost, "buffers that were returned: Some(127) of 128");
    let unknown = complaint(|loaded| loaded.free = None);
    assert_eq!(unknown, "buffers that were returned: None of 128");
    let out = complaint(|loaded| loaded.samples[3].free = Some(0));
    assert_eq!(out, "the pool ran out of buffers");
}

#[test]
fn an_allocator_cannot_be_asked() {
    let mut loaded = good();
    loaded.contender = Contender::BytesMut;
    assert_eq!(loaded.complaints().len(), 1);
    loaded.free = None;
    assert_eq!(loaded.complaints(), [""; 0]);
}

#[test]
fn a_healthy_viewer_must_not_starve() {
    let waits = |loaded: &mut Loaded| {
        loaded.delivered.gaps.long = vec![LongGap {
            end: loaded.samples[30].at + Duration::from_millis(500),
            length: Duration::from_millis(2900),
        }];
    };
    let waited = complaint(waits);
    assert_eq!(waited, "a healthy viewer waited 2.9s, and not for a core");
    // Between the samples on both sides of that gap.
    let mut busy = good();
    waits(&mut busy);
    for sample in &mut busy.samples[31..] {
        sample.waits = Waits::with(&[(7, 2), (8, 1)]);
    }
    assert_eq!(busy.complaints(), [""; 0]);
    let mut busy_before = good();
    waits(&mut busy_before);
    for sample in &mut busy_before.samples[27..] {
        sample.waits = Waits::with(&[(7, 2), (8, 1)]);
    }
    assert_eq!(busy_before.complaints().len(), 1);
}

#[test]
fn a_healthy_viewer_is_left_out_only_if_the_machine_is_busy() {
    let left_out = complaint(|loaded| loaded.delivered.healthy_skipped = 20);
    assert!(left_out.starts_with("healthy viewers were left out of 20 frames of 1020"));
    let mut busy = busy();
    busy.delivered.healthy_skipped = 20;
    assert_eq!(busy.complaints(), [""; 0]);
    busy.delivered.healthy_skipped = 500;
    assert_eq!(busy.complaints().len(), 1);
}

#[test]
fn a_load_of_no_requests_is_reported() {
    for habit in [Habit::Trickles, Habit::Pauses] {
        let fast = complaint(|loaded| {
            loaded.delivered.slow[habit as usize] = SlowSeen {
                frames: 10,
                ..SlowSeen::default()
            };
        });
        assert!(fast.starts_with(&format!("{habit:?}: no viewer was slow")));
    }
    let stops = Habit::Stops as usize;
    let none = complaint(|loaded| loaded.delivered.slow[stops].closed = 0);
    assert!(none.starts_with("of those who stopped"));
    let kept = complaint(|loaded| loaded.delivered.slow[stops].kept = 1);
    assert!(kept.starts_with("of those who stopped"));
    let mut busy = busy();
    busy.delivered.slow[stops].kept = 1;
    assert_eq!(busy.complaints(), [""; 0]);
    busy.delivered.slow[stops].kept = 2;
    assert_eq!(busy.complaints().len(), 1);
    assert!(complaint(|loaded| loaded.returns = 0).starts_with("no source"));
    assert!(complaint(|loaded| loaded.delivered.came_back = 0).starts_with("no source"));
}
