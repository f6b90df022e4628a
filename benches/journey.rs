//! The cost of each step of a frame in the `live_server` example, from hyper's chunk to a thousand viewers.
//!
//! Time per frame, or per viewer where a bench says so, on one thread; a frame is a picture of 64 KiB. The
//! steps are compiled from the files of the example. Not measured: HTTP and sockets, which cost more than all
//! other steps together (`benches/server` measures them).

mod measured;

#[path = "../examples/live_server/src/jpeg/part.rs"]
#[allow(dead_code, unused_imports, reason = "its tests run with the example")]
mod part;
#[path = "../examples/live_server/src/piece.rs"]
#[allow(dead_code, unused_imports, reason = "its tests run with the example")]
mod piece;

use bytes::{BufMut, Bytes};
use criterion::Criterion;
use measured::ready;
use sample_pool::{Pool, Sample, fan_out::FanOut};
use std::{
    cell::Cell,
    hint::black_box,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    task::{LocalSet, yield_now},
};

const BUFFERS: usize = 64;
const SIZE: usize = 64 * 1024;
const VIEWERS: u32 = 1000;

/// As in the example, with holders tracked and waits measured.
fn pool() -> Pool {
    let pool = Pool::builder()
        .buffers(BUFFERS)
        .size(SIZE + part::TAILROOM)
        .prefix(part::HEADROOM);
    let pool = pool.track_holders(true).measure_waits(true).build();
    pool.expect("memory for the pool")
}

fn get(pool: &Pool) -> Sample {
    ready(pool.get_buffer()).expect("committed")
}

/// Measures `step` alone, on a sample that `before` has prepared. The result of `step` is dropped outside the
/// measurement.
fn step<T>(
    criterion: &mut Criterion,
    name: &str,
    before: impl Fn(&mut Sample),
    step: impl Fn(Sample) -> T,
) {
    let pool = pool();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let mut sample = get(&pool);
                before(&mut sample);
                let began = Instant::now();
                let left = black_box(step(sample));
                took += began.elapsed();
                drop(left);
            }
            took
        });
    });
    assert_eq!(pool.free_count(), BUFFERS, "all samples are free");
}

/// The clock itself, which is part of every measurement here.
fn nothing(criterion: &mut Criterion) {
    step(criterion, "journey/0_the_clock", |_| {}, |sample| sample);
}

fn get_and_release(criterion: &mut Criterion) {
    let pool = pool();
    criterion.bench_function("journey/1_get", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut took = Duration::ZERO;
            for _ in 0..iterations {
                let began = Instant::now();
                let sample = black_box(get(&pool));
                took += began.elapsed();
                drop(sample);
            }
            took
        });
    });
    step(criterion, "journey/6_release", |_| {}, drop);
}

fn copy(criterion: &mut Criterion) {
    let chunk = Bytes::from(vec![0xA5; SIZE]);
    let fill = |mut sample: Sample| {
        sample.put_slice(black_box(&chunk));
        sample
    };
    step(criterion, "journey/2_copy_64_KiB", |_| {}, fill);
}

fn make_part(criterion: &mut Criterion) {
    let make = |mut sample: Sample| {
        part::make_part(&mut sample, black_box(123_456));
        sample
    };
    let fill = |sample: &mut Sample| sample.put_bytes(0xA5, SIZE);
    step(criterion, "journey/3_make_a_part", fill, make);
}

/// `freeze` and the fan-out, which wakes a thousand tasks; then the work of all these tasks together.
fn publish(criterion: &mut Criterion) {
    for (name, publishing) in [
        ("journey/4_publish_to_1000_that_wait", true),
        ("journey/5_take_and_drop_1000_times", false),
    ] {
        let pool = pool();
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                published(&runtime.expect("a runtime"), &pool, iterations, publishing)
            });
        });
        assert_eq!(pool.free_count(), BUFFERS, "all samples are free");
    }
}

/// The time to publish, or else the time of everything that the viewers do.
fn published(runtime: &Runtime, pool: &Pool, frames: u64, publishing: bool) -> Duration {
    let channel = FanOut::new(4, BUFFERS / 2);
    let taken = Rc::new(Cell::new(0));
    let tasks = LocalSet::new();
    for _ in 0..VIEWERS {
        let (mut frames, taken) = (channel.subscribe(1), taken.clone());
        tasks.spawn_local(async move {
            while let Some(frame) = frames.recv().await {
                drop(black_box(frame.into_bytes()));
                taken.set(taken.get() + 1);
            }
        });
    }
    let mut took = Duration::ZERO;
    tasks.block_on(runtime, async {
        yield_now().await;
        for number in 1..=frames {
            let mut sample = get(pool);
            part::make_part(&mut sample, number);
            let began = Instant::now();
            channel.send(sample.freeze()).expect("it is open");
            let sent = Instant::now();
            let due = number * u64::from(VIEWERS);
            while taken.get() < due {
                yield_now().await;
            }
            took += match publishing {
                true => sent - began,
                false => sent.elapsed(),
            };
        }
    });
    assert_eq!(
        taken.get(),
        frames * u64::from(VIEWERS),
        "every viewer got every frame"
    );
    took
}

fn main() {
    let mut criterion = measured::criterion();
    nothing(&mut criterion);
    get_and_release(&mut criterion);
    copy(&mut criterion);
    make_part(&mut criterion);
    publish(&mut criterion);
    criterion.final_summary();
}
