//! A global subscriber gets no event for what it does inside an event. The test runs in a child process, since
//! a global subscriber cannot be removed.

#![forbid(unsafe_code)]

use crate::child::in_a_child;
use crate::recorder::Recorder;
use sample_pool::Pool;
use tracing::Level;

/// A subscriber that takes the buffers of its lines from a pool would, when that pool is exhausted, call itself
/// until the stack overflows. `tracing` prevents this for the subscriber of a thread, and not for a global one.
#[test]
fn a_subscriber_that_finds_its_own_pool_exhausted_gets_one_event() {
    let test = "events_in_events::a_subscriber_that_finds_its_own_pool_exhausted_gets_one_event";
    in_a_child(test, || {
        a_subscriber_finds_its_own_pool_exhausted();
        Ok(())
    });
}

fn a_subscriber_finds_its_own_pool_exhausted() {
    let pool = Pool::builder().buffers(1).build().expect("small");
    let held = pool.try_get_buffer().expect("free");
    let its_own = pool.clone();
    let recorder = Recorder::new(move |_| {
        assert!(its_own.try_get_buffer().is_err());
        if its_own.status().exhausted > 10 {
            panic!("it gets its own event");
        }
    });
    tracing::subscriber::set_global_default(recorder.clone()).expect("the only one");
    for round in 1..=2 {
        assert!(pool.try_get_buffer().is_err());
        let levels: Vec<_> = recorder
            .take()
            .iter()
            .map(|recorded| recorded.level)
            .collect();
        assert_eq!(levels, [Level::DEBUG], "in round {round}");
        assert_eq!(pool.status().exhausted, 2 * round);
    }
    drop(held);
}
