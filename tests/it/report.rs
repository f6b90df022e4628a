//! Reports: by call site, the largest first, and explicit about what is not known.

#![forbid(unsafe_code)]

use crate::polling::Polled;
use bytes::BufMut;
use futures::future::BoxFuture;
use sample_pool::{Builder, CallSite, GetBufferError, PollPool, Pool, Sample};
use std::{future::poll_fn, thread, time::Duration};

const KIB: usize = 1024;

fn builder(buffers: usize) -> Builder {
    Pool::builder()
        .buffers(buffers)
        .size(64 * KIB)
        .name("relay")
}

fn tracking(buffers: usize) -> Pool {
    builder(buffers).track_holders(true).build().expect("small")
}

fn one(pool: &Pool) -> Sample {
    pool.try_get_buffer().expect("free")
}

fn many(pool: &Pool, count: usize) -> Vec<Sample> {
    pool.try_get_buffers(count).expect("free")
}

fn call_sites(pool: &Pool) -> Vec<CallSite> {
    pool.report().call_sites.expect("they are kept")
}

/// A hundred lines with one sample each would hide the one line with the leak.
#[test]
fn samples_are_grouped_by_call_site_and_the_largest_group_comes_first() {
    let pool = tracking(10);
    let single = one(&pool);
    let mut filled = many(&pool, 3);
    filled[0].put_slice(&[1; 2 * KIB]);
    filled[1].put_slice(&[1; KIB]);
    let shared = filled.pop().map(Sample::freeze);
    let clones = (shared.clone(), shared.clone());
    let sites = call_sites(&pool);
    let shown: Vec<_> = sites
        .iter()
        .map(|site| {
            (
                site.samples,
                site.bytes_used,
                site.bytes_pinned,
                site.handles,
            )
        })
        .collect();
    let expected = [(3, 3 * KIB, 192 * KIB, 5), (1, 0, 64 * KIB, 1)];
    assert_eq!(shown, expected);
    assert!(sites[0].location.line() > sites[1].location.line());
    assert!(sites.iter().all(|site| site.location.file() == file!()));
    drop((single, filled, shared, clones));
    assert_eq!(call_sites(&pool), []);
}

/// The longest holder is the first suspect.
#[test]
fn of_two_call_sites_with_as_many_samples_the_older_comes_first_with_its_age() {
    let pool = tracking(4);
    let old = many(&pool, 1);
    let pause = Duration::from_millis(20);
    thread::sleep(pause);
    let young = one(&pool);
    let sites = call_sites(&pool);
    assert_eq!(sites.len(), 2);
    assert!(sites[0].oldest >= sites[1].oldest + pause, "{sites:?}");
    drop((old, young));
}

/// The age is that of the oldest sample of the group, not of the last one visited.
#[test]
fn the_age_of_a_call_site_is_that_of_its_oldest_sample() {
    let pool = tracking(4);
    let old = one(&pool);
    let pause = Duration::from_millis(20);
    thread::sleep(pause);
    let young = one(&pool);
    let sites = call_sites(&pool);
    assert_eq!((sites.len(), sites[0].samples), (1, 2));
    assert!(sites[0].oldest >= pause);
    drop((old, young));
}

/// The report must be easy to read.
#[test]
fn it_reads_as_a_head_line_and_a_line_for_each_call_site() {
    let pool = builder(4).track_holders(true).measure_waits(true);
    let pool = pool.build().expect("small");
    let mut held = many(&pool, 3);
    held[0].put_slice(&[1; KIB + KIB / 2]);
    let last = one(&pool).freeze();
    let (waiting, asked) = (Polled::waiting(pool.get_buffers(2)), line!());
    drop(Polled::waiting(pool.get_buffer()));
    let said = pool.report().to_string();
    let lines: Vec<_> = said.lines().collect();
    let [head, waits, largest, smallest] = lines[..] else {
        panic!("{said}");
    };
    let start = "pool \"relay\": 0 of 4 free, 4 outstanding, 1 waiting, the first for ";
    assert!(head.starts_with(start), "{said}");
    assert!(
        head.ends_with("s; 1.5 KiB used of 256.0 KiB pinned"),
        "{said}"
    );
    assert!(
        waits.starts_with("  1 wait so far: half took at most "),
        "{said}"
    );
    assert!(largest.starts_with("  3 samples for "), "{said}");
    let middle = "s, 1.5 KiB used of 192.0 KiB pinned, 3 handles: tests/it/report.rs:";
    assert!(largest.contains(middle), "{said}");
    assert!(smallest.starts_with("  1 sample for "), "{said}");
    let middle = "s, 0 bytes used of 64.0 KiB pinned, 1 handle: tests/it/report.rs:";
    assert!(smallest.contains(middle), "{said}");
    drop(last);
    let said = pool.report().to_string();
    let gathered = "1 sample on the way, gathered for a get that waits for more";
    let last = format!("\n  {gathered}: tests/it/report.rs:{asked}:");
    assert!(said.contains(&last), "{said}");
    assert_eq!(said.matches("on the way").count(), 1, "{said}");
    drop((waiting, held));
    let said = pool.report().to_string();
    assert!(
        said.starts_with("pool \"relay\": 4 of 4 free, 0 outstanding, none waiting; 0 bytes"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "no sample is held: {said}");
}

/// An empty list would read as if no samples were held.
#[test]
fn without_holders_it_says_that_it_does_not_know_them() {
    let pool = builder(2).build().expect("small");
    let held = one(&pool);
    let report = pool.report();
    assert!(report.call_sites.is_none() && report.wait_histogram.is_none());
    let said = report.to_string();
    let lines: Vec<_> = said.lines().collect();
    let [head, unknown] = lines[..] else {
        panic!("{said}");
    };
    assert_eq!(
        head,
        "pool \"relay\": 1 of 2 free, 1 outstanding, none waiting; 0 bytes used of 64.0 KiB pinned"
    );
    assert!(unknown.contains("track_holders was not set"));
    drop(held);
}

/// A pool that is not committed, or flushes, is not an exhausted pool.
#[test]
fn it_says_if_the_pool_serves_no_gets_and_has_no_name_unless_it_was_given_one() {
    let starts = |pool: &Pool, with: &str| {
        let said = pool.report().to_string();
        assert!(said.starts_with(with), "{said}");
    };
    starts(
        &Pool::new(),
        "pool, not configured: 0 of 0 free, 0 outstanding",
    );
    let pool = Pool::builder().buffers(2).build_uncommitted();
    let pool = pool.expect("small");
    starts(&pool, "pool, not committed: 2 of 2 free");
    pool.commit().expect("small");
    starts(&pool, "pool: 2 of 2 free");
    let held = one(&pool);
    pool.decommit();
    starts(&pool, "pool, draining: 1 of 2 free, 1 outstanding");
    drop(held);
    assert_eq!(pool.name(), None);
    assert_eq!(tracking(1).name(), Some("relay"));
}

/// The quota shows which consumer is at its limit, and the line shows where its samples were taken.
#[test]
fn quotas_are_listed_and_samples_of_one_call_site_are_grouped_by_quota() {
    let builder = builder(8).track_holders(true).priority_buffers(1);
    let pool = builder.build().expect("small");
    let (camera, relay) = (pool.quota("camera", 2), pool.quota("relay", 4));
    let mut held = Vec::new();
    for quota in [&camera, &relay, &camera] {
        held.push(quota.try_get_buffer().expect("room"));
    }
    let shown: Vec<_> = call_sites(&pool)
        .into_iter()
        .map(|site| (site.quota.as_deref().map(str::to_owned), site.samples))
        .collect();
    let expected = [("camera", 2), ("relay", 1)];
    assert_eq!(
        shown,
        expected.map(|(name, samples)| (Some(name.to_owned()), samples))
    );
    let said = pool.report().to_string();
    for part in [
        ": 5 of 8 free, 1 of them for high priority, 3 outstanding, ",
        "\n  quota camera: 2 of 2, 0 waiting\n  quota relay: 1 of 4, 0 waiting\n",
        " pinned, 2 handles, of camera: tests/it/report.rs:",
    ] {
        assert!(said.contains(part), "{said}");
    }
    drop(held);
}

/// A get that is kept beside a `select!` loop is not polled while the loop awaits another sample. No holder has
/// the sample that it was handed, so only the line of the get shows where to look.
#[test]
fn a_sample_that_was_handed_to_a_get_is_listed_with_the_call_site_of_the_get() {
    let pool = tracking(1);
    let quota = pool.quota("tenant", 1);
    type Get = BoxFuture<'static, Result<Sample, GetBufferError>>;
    let own = pool.clone();
    let mut polled = PollPool::new(&pool);
    let polled_line = line!() - 1;
    #[rustfmt::skip]
    let ways: [(Get, u32); 4] = [
        (Box::pin(pool.get_buffer_owned()), line!()),
        (Box::pin(async move { own.get_buffer().await }), line!()),
        (Box::pin(quota.get_buffer_owned()), line!()),
        (Box::pin(poll_fn(move |cx| polled.poll_get_buffer(cx))), polled_line),
    ];
    for (get, line) in ways {
        let held = one(&pool);
        let mut first = Polled::waiting(get);
        drop(held);
        let second = Polled::waiting(pool.get_buffer());
        let report = pool.report();
        let undelivered = report.undelivered.clone().expect("they are kept");
        let [handed] = &undelivered[..] else {
            panic!("{report}");
        };
        assert_eq!((handed.handed, handed.gathered), (1, 0), "{report}");
        assert_eq!(
            (handed.location.file(), handed.location.line()),
            (file!(), line)
        );
        let said = report.to_string();
        let expected = format!(
            "\n  1 sample on the way, handed to a get that was not polled since: tests/it/report.rs:{line}:"
        );
        assert!(said.contains(&expected), "{said}");
        assert_eq!(said.matches("on the way").count(), 1, "{said}");
        let sample = first.expect_ready().expect("committed");
        let report = pool.report();
        assert_eq!(report.undelivered, Some(vec![]), "a user has it: {report}");
        drop((second, sample, first));
        assert_eq!(pool.report().undelivered, Some(vec![]));
    }
}

/// The wait node of a get is reused, and a report must not name the previous get.
#[test]
fn samples_on_the_way_are_listed_by_call_site_with_the_most_first() {
    let pool = tracking(4);
    let mut held = many(&pool, 4);
    let (pair, pair_line) = (Polled::waiting(pool.get_buffers(2)), line!());
    let gets = [(); 2].map(|()| Polled::waiting(pool.get_buffer()));
    let gets_line = line!() - 1;
    held.drain(..3);
    let shown = |pool: &Pool| {
        let undelivered = pool.report().undelivered.expect("they are kept");
        let shown = undelivered.iter();
        shown
            .map(|get| (get.location.line(), get.handed, get.gathered))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&pool), [(pair_line, 2, 0), (gets_line, 1, 0)]);
    drop(held);
    assert_eq!(shown(&pool).len(), 2);
    drop((pair, gets));
    assert_eq!(shown(&pool), []);
}

/// Without tracking of holders no lines are known, and the report names none.
#[test]
fn without_holders_no_call_site_of_a_get_is_listed() {
    let pool = builder(1).build().expect("small");
    let held = one(&pool);
    let waiting = Polled::waiting(pool.get_buffer());
    drop(held);
    let report = pool.report();
    assert_eq!(report.undelivered, None);
    assert!(!report.to_string().contains("on the way"), "{report}");
    drop(waiting);
}

/// More waiters have left than the pool keeps wait nodes for, and the last get has its sample. The report must
/// not find it by the node that was given up.
#[test]
fn a_get_behind_a_crowd_that_has_gone_is_listed_with_its_call_site() {
    const MORE_THAN_ARE_KEPT: usize = 10_000;
    let pool = tracking(1);
    let held = one(&pool);
    let crowd: Vec<_> = (0..MORE_THAN_ARE_KEPT)
        .map(|_| Polled::waiting(pool.get_buffer()))
        .collect();
    let (get, line) = (Polled::waiting(pool.get_buffer()), line!());
    drop(crowd);
    drop(held);
    let report = pool.report();
    let undelivered = report.undelivered.clone().expect("they are kept");
    let shown: Vec<_> = undelivered
        .iter()
        .map(|get| (get.location.line(), get.handed))
        .collect();
    assert_eq!(shown, [(line, 1)], "{report}");
    drop(get);
    assert_eq!(pool.free_count(), 1);
}
