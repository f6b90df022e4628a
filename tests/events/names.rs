//! Names that users choose are escaped wherever they are printed: no name forges a line of a report or a log,
//! or sends control characters to a terminal.

#![forbid(unsafe_code)]

use crate::polling::{Polled, at_once};
use sample_pool::{Builder, MediaType, PollPool, Pool, fan_out::FanOut};
use std::{
    fmt::{Debug, Display},
    time::Duration,
};
use tokio::sync::mpsc;

const NAME: &str = "cam\nERROR forged\x1b[31m";
const ESCAPED: &str = r"cam\nERROR forged\u{1b}[31m";

#[track_caller]
fn assert_forges_nothing(printed: &str) {
    assert!(!printed.contains("\nERROR"), "a line is forged:\n{printed}");
    assert!(
        !printed.contains('\x1b'),
        "it rules the terminal: {printed:?}"
    );
}

/// The output of `Debug`, in both forms.
#[track_caller]
fn debugs(value: &impl Debug) {
    assert_forges_nothing(&format!("{value:?}"));
    assert_forges_nothing(&format!("{value:#?}"));
}

/// The output of `Display`, which contains the name.
#[track_caller]
fn displays(value: &(impl Display + Debug)) {
    let printed = value.to_string();
    assert_forges_nothing(&printed);
    assert!(printed.contains(ESCAPED), "{printed}");
    debugs(value);
}

fn named() -> Builder {
    let pool = Pool::builder().name(NAME).buffers(2).size(64);
    pool.track_holders(true).measure_waits(true)
}

#[tokio::test]
async fn no_display_or_debug_prints_a_name_as_it_is() {
    // Without a subscriber here, the first event would disable its call site for the other tests of events.
    #[cfg(feature = "tracing")]
    let _guard = tracing::subscriber::set_default(crate::recorder::Recorder::new(|_event| {}));
    debugs(&named());
    let pool = named().build().unwrap();
    let quota = pool.quota(NAME, 1);
    let mut sample = quota.try_get_buffer().unwrap();
    let media_type = MediaType::new(NAME);
    sample
        .properties_mut()
        .set_media_type(Some(media_type.clone()));
    let waiting = Polled::waiting(quota.get_buffer());
    let (report, mut reports) = mpsc::unbounded_channel();
    let watch = pool.detect_stalls(Duration::from_millis(1), move |wait| {
        report.send(wait).unwrap();
    });
    let long_wait = tokio::select! {
        () = watch => panic!("the pool is there"),
        wait = reports.recv() => wait.unwrap(),
    };

    displays(&quota.status());
    displays(&pool.quotas()[0]);
    displays(&pool.holders()[0]);
    let report = pool.report();
    displays(&report.call_sites.as_ref().expect("they are tracked")[0]);
    let lines = report.to_string();
    assert_eq!(
        lines.matches(ESCAPED).count(),
        3,
        "pool, quota, call site:\n{lines}"
    );
    displays(&report);
    displays(&long_wait);
    displays(&media_type);
    assert_eq!(media_type.as_str(), NAME, "what it is does not change");
    assert_eq!(&*quota.status().name, NAME);
    assert_eq!(pool.name(), Some(NAME));

    debugs(&quota);
    debugs(&pool.priority_quota(NAME, 1));
    debugs(&pool);
    debugs(&pool.downgrade());
    debugs(&PollPool::from(&quota));
    debugs(&sample);
    debugs(sample.properties());
    let shared = sample.freeze();
    debugs(&shared);
    debugs(shared.properties());
    let fan_out = FanOut::new(1, 1);
    let mut subscriber = fan_out.subscribe(1);
    fan_out.send(shared).unwrap();
    debugs(&fan_out);
    debugs(&subscriber);
    debugs(&subscriber.recv().await);
    drop(waiting);
}

/// Not only in the message: a subscriber may print a field unescaped.
#[cfg(feature = "tracing")]
#[tokio::test]
async fn no_event_has_a_name_as_it_is() {
    use crate::recorder::Recorder;

    let recorder = Recorder::new(|_event| {});
    let guard = tracing::subscriber::set_default(recorder.clone());
    let pool = named().build().unwrap();
    let quota = pool.quota(NAME, 1);
    let held = quota.try_get_buffer().unwrap();
    assert!(quota.try_get_buffer().is_err());
    let for_room = Polled::waiting(quota.get_buffer());
    let other = pool.try_get_buffer().unwrap();
    let for_a_sample = Polled::waiting(pool.get_buffer());
    let (report, mut reports) = mpsc::unbounded_channel();
    let watch = pool.detect_stalls(Duration::from_millis(1), move |wait| {
        let _dropped = report.send(wait.quota);
    });
    tokio::select! {
        () = watch => panic!("the pool is there"),
        () = async { while reports.recv().await.unwrap().is_none() {} } => {}
    }
    drop((for_room, for_a_sample, other));
    let _callback = pool.on_release(|_| panic!("a bug"));
    drop(held);
    let held = pool.try_get_buffer();
    pool.decommit();
    pool.commit().unwrap();
    pool.decommit();
    drop(held);
    drop(guard);

    let events = recorder.take();
    let messages: std::collections::BTreeSet<_> =
        events.iter().map(|event| event.message.as_str()).collect();
    assert!(messages.len() >= 7, "all events of the crate: {messages:?}");
    for event in &events {
        assert_forges_nothing(&event.message);
        for (field, value) in &event.fields {
            assert_forges_nothing(value);
            assert!(!matches!(*field, "pool" | "quota") || value.contains("forged"));
        }
        // In the `Debug` form of an escaped name, as most subscribers print it.
        let pool = &event.fields["pool"];
        assert!(pool.contains(r"cam\\nERROR"), "as it is: {pool}");
    }
    assert!(
        events
            .iter()
            .any(|event| event.fields.contains_key("quota"))
    );
}

/// An ordinary name is printed as it was given.
#[test]
fn a_plain_name_is_printed_as_it_is() {
    let pool = Pool::builder().name("Türkamera \"4\"").build().unwrap();
    let quota = pool.quota("Türkamera \"4\"", 4);
    assert_eq!(
        quota.status().to_string(),
        "Türkamera \"4\": 0 of 4, 0 waiting"
    );
    let media_type = MediaType::new("video/mp4; codecs=\"avc1.64001f\"");
    assert_eq!(media_type.to_string(), media_type.as_str());
    assert!(at_once(quota.get_buffer()).is_ok());
}
