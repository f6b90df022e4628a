//! A quota is a boundary: neither the quota nor anything that came through it leads to the pool or to a higher
//! priority.
//!
//! To prove that a type has no such method, a trait gives it one of the same name. If the type had its own, the
//! call would take that one, and the result would have another type.

#![forbid(unsafe_code)]

use super::{assert_nothing_is_lost, assert_used, pool};
use crate::polling::Polled;
use sample_pool::{
    GetBufferError, Holder, PollPool, Pool, Quota, QuotaStatus, Sample, SharedSample, WeakPool,
};
use std::{
    borrow::Borrow,
    ops::Deref,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The result of a method that the type itself does not have.
#[derive(Debug)]
struct Absent;

macro_rules! absent {
    ($($method:ident),+) => {
        /// Every name that could be one of a way out of a quota.
        #[allow(clippy::wrong_self_convention, reason = "a reference will do for a call")]
        trait WayOut {
            $(fn $method(&self) -> Absent { Absent })+
        }

        impl WayOut for Quota {}
        impl WayOut for PollPool {}
        impl WayOut for Sample {}
        impl WayOut for SharedSample {}
        impl WayOut for QuotaStatus {}
        impl WayOut for Holder {}
        #[cfg(feature = "stream")]
        impl<S> WayOut for sample_pool::stream::SampleReader<S> {}
        #[cfg(feature = "stream")]
        impl<S, D> WayOut for sample_pool::stream::FrameReader<S, D> {}
        #[cfg(feature = "net")]
        impl WayOut for sample_pool::stream::DatagramReceiver {}

        macro_rules! no_way_out_of {
            ($value:expr) => { [$($value.$method()),+] };
        }
    };
}

absent!(
    pool,
    pool_ref,
    get_pool,
    into_pool,
    inner,
    into_inner_pool,
    source,
    downgrade,
    weak,
    upgrade,
    quota,
    priority_quota,
    privileged,
    priority,
    with_priority,
    set_priority,
    unlimited,
    parent,
    owner
);

macro_rules! not_implemented {
    ($type:ty: $trait:path) => {{
        /// Ambiguous for a type that implements the trait, so the call does not compile.
        trait Ambiguous<Which> {
            fn check() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
        <$type as Ambiguous<_>>::check();
    }};
}

/// A consumer with a limit of one used to take all buffers through `quota.pool()`, and the priority buffers
/// through `quota.privileged()`. `PollPool::pool` was such a way, too.
#[test]
fn no_method_leads_from_a_quota_or_what_was_made_with_it_to_the_pool_or_a_higher_priority() {
    let pool = pool(2);
    let quota = pool.quota("camera", 2);
    let polled = PollPool::from(&quota);
    let sample = quota.try_get_buffer().unwrap();
    let shared = quota.try_get_buffer().unwrap().freeze();
    let (status, holder) = (quota.status(), pool.holders().remove(0));
    let _: [Absent; 19] = no_way_out_of!(quota);
    let _: [Absent; 19] = no_way_out_of!(polled);
    let _: [Absent; 19] = no_way_out_of!(sample);
    let _: [Absent; 19] = no_way_out_of!(shared);
    let _: [Absent; 19] = no_way_out_of!(status);
    let _: [Absent; 19] = no_way_out_of!(holder);
    #[cfg(feature = "stream")]
    {
        use sample_pool::stream::{FrameReader, SampleReader};
        let reader = SampleReader::new(tokio::io::empty(), &quota);
        let _: [Absent; 19] = no_way_out_of!(reader);
        let _not_called = |frames: &FrameReader<(), ()>| {
            let _: [Absent; 19] = no_way_out_of!(frames);
        };
    }
    #[cfg(feature = "net")]
    let _not_called = |datagrams: &sample_pool::stream::DatagramReceiver| {
        let _: [Absent; 19] = no_way_out_of!(datagrams);
    };
    drop((sample, shared));
    assert_nothing_is_lost(&pool, &quota);
}

/// A conversion is a way out as well.
#[test]
fn no_conversion_leads_from_a_quota_to_the_pool() {
    not_implemented!(Quota: Deref);
    not_implemented!(Quota: AsRef<Pool>);
    not_implemented!(Quota: Borrow<Pool>);
    not_implemented!(Quota: Into<Pool>);
    not_implemented!(Quota: Into<WeakPool>);
    not_implemented!(PollPool: Deref);
    not_implemented!(PollPool: AsRef<Pool>);
    not_implemented!(PollPool: Into<Pool>);
    not_implemented!(PollPool: Into<Quota>);
    not_implemented!(Sample: Into<Pool>);
    not_implemented!(SharedSample: Into<Pool>);
}

/// Every way to get a sample of a quota with a limit of one whose sample is held, in a pool that has free
/// samples and priority buffers.
#[tokio::test]
async fn a_limit_of_one_is_one_sample_whatever_is_called() {
    let pool = Pool::builder().buffers(4).size(64).priority_buffers(2);
    let pool = pool.build().unwrap();
    let quota = pool.quota("plugin", 1);
    assert!(!quota.is_priority() && !quota.clone().is_priority());
    let held = quota.try_get_buffer().unwrap();
    let other = quota.clone();
    let exhausted = GetBufferError::Exhausted;
    assert_eq!(other.try_get_buffer().unwrap_err(), exhausted);
    assert_eq!(other.try_get_buffers(1).unwrap_err(), exhausted);
    assert_eq!(other.try_get_up_to(4).unwrap_err(), exhausted);
    let too_many = GetBufferError::TooMany;
    assert_eq!(other.try_get_buffers(2).unwrap_err(), too_many);
    assert_eq!(other.get_buffers(2).await.unwrap_err(), too_many);
    let moment = Duration::from_millis(1);
    let late = other.get_buffer_timeout(moment).await;
    assert_eq!(late.unwrap_err(), GetBufferError::TimedOut);
    let mut into = Vec::new();
    let waiting = (
        Polled::waiting(other.get_buffer()),
        Polled::waiting(other.get_buffer_owned()),
        Polled::waiting(other.get_buffers(1)),
        Polled::waiting(other.get_buffers_into(&mut into, 1)),
    );
    let mut polled = PollPool::from(&other).clone();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(polled.poll_get_buffer(cx).is_pending());
    assert_used(&quota, 1, 5);
    assert_eq!(pool.status().outstanding, 1);
    drop((waiting, polled));
    // A sample that becomes writable again stays in use in its quota.
    let held = held.freeze().try_into_sample().unwrap();
    assert_eq!(quota.try_get_buffer().unwrap_err(), exhausted);
    drop(held);
    assert_used(&quota, 0, 0);
}

/// The priority belongs to the quota, so each way to get and each clone has it.
#[tokio::test]
async fn every_get_of_a_priority_quota_may_take_what_is_kept_and_no_more_than_its_limit() {
    let pool = Pool::builder().buffers(6).size(64).priority_buffers(5);
    let pool = pool.build().unwrap();
    let control = pool.priority_quota("control", 5);
    assert!(control.is_priority() && control.clone().is_priority());
    let common = pool.try_get_buffer().unwrap();
    assert!(pool.try_get_buffer().is_err(), "all others are kept");
    let other = control.clone();
    let mut taken = vec![
        other.try_get_buffer().unwrap(),
        other.get_buffer().await.unwrap(),
        other.get_buffer_owned().await.unwrap(),
    ];
    taken.extend(other.get_buffers(1).await.unwrap());
    let mut polled = PollPool::from(&other);
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(last) = polled.poll_get_buffer(cx) else {
        panic!("one is kept for it");
    };
    taken.push(last.unwrap());
    assert_used(&control, 5, 0);
    assert_eq!(
        control.try_get_buffer().unwrap_err(),
        GetBufferError::Exhausted
    );
    drop((common, taken));
    assert_used(&control, 0, 0);
}
