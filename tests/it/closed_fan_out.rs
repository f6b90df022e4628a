//! The end of a shared fan-out, and the samples at which its subscribers start and continue.

#![deny(unsafe_code)]

use crate::polling::{Polled, at_once};
use bytes::BufMut;
use sample_pool::{
    Pool, SharedSample,
    fan_out::{FanOut, SendError, Subscriber},
};
use std::sync::Arc;

fn pool() -> Pool {
    Pool::builder().buffers(16).size(8).build().expect("small")
}

fn sample(pool: &Pool, number: u8) -> SharedSample {
    let mut sample = pool.try_get_buffer().expect("one is free");
    sample.put_u8(number);
    sample.freeze()
}

fn send(fan_out: &FanOut, pool: &Pool, numbers: std::ops::Range<u8>) {
    for number in numbers {
        fan_out.send(sample(pool, number)).expect("it is open");
    }
}

/// Receives until the end: the first byte of each sample, and how many were skipped before it.
fn rest(subscriber: &mut Subscriber) -> Vec<(u8, u64)> {
    std::iter::from_fn(|| at_once(subscriber.recv()))
        .map(|received| (received[0], received.skipped()))
        .collect()
}

/// An accept loop keeps a handle for its next connection, so dropping the producer's handle does not end the
/// fan-out.
#[test]
fn a_fan_out_that_others_keep_ends_when_it_is_closed() {
    let pool = pool();
    let video = Arc::new(FanOut::new(4, 4));
    let accept_loop = video.clone();
    let (mut idle, mut lagging) = (accept_loop.subscribe(1), accept_loop.subscribe(1));
    assert!(!video.is_closed());
    let mut waiting = Polled::waiting(idle.recv());
    video.close();
    assert_eq!(waiting.wakes(), 1);
    assert!(waiting.expect_ready().is_none());
    drop(waiting);
    assert!(accept_loop.is_closed());
    // The end stays the end, also for a subscriber that comes later.
    assert!(rest(&mut idle).is_empty() && rest(&mut lagging).is_empty());
    assert!(rest(&mut accept_loop.subscribe(1)).is_empty());
    assert_eq!(pool.free_count(), 16);
}

/// The last samples were sent before the end, so they must be received, as long as the closed fan-out exists.
#[test]
fn subscribers_of_a_closed_fan_out_receive_the_backlog_and_then_the_end() {
    let pool = pool();
    let video = Arc::new(FanOut::new(4, 4));
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..6);
    video.close();
    video.close();
    assert_eq!(rest(&mut viewer), [(2, 2), (3, 0), (4, 0), (5, 0)]);
    assert_eq!(rest(&mut video.subscribe(1)), [(5, 0)]);
    assert_eq!(pool.status().outstanding, 4);
    let mut late = video.subscribe(1);
    video.clear();
    assert_eq!(pool.status().outstanding, 0);
    assert!(rest(&mut late).is_empty());
}

/// A sample that no subscriber can receive would stay in the backlog and hold its buffer.
#[test]
fn sending_to_a_closed_fan_out_fails_and_drops_the_sample() {
    let pool = pool();
    let video = FanOut::new(4, 4);
    let mut viewer = video.subscribe(1);
    send(&video, &pool, 0..1);
    video.close();
    let refused: SendError = video.send(sample(&pool, 1)).unwrap_err();
    assert_eq!(video.send_sync_point(sample(&pool, 2)), Err(refused));
    assert_eq!(refused.to_string(), "the fan-out is closed");
    assert_eq!(pool.status().outstanding, 1);
    assert_eq!(rest(&mut viewer), [(0, 0)]);
}

/// Dropping the refused sample runs the callback, which would deadlock under the lock of the window.
#[test]
fn a_release_callback_may_use_the_closed_fan_out_that_dropped_the_sample() {
    let pool = pool();
    let video = Arc::new(FanOut::new(4, 4));
    video.close();
    let guard = pool.on_release({
        let video = video.clone();
        move |_pool| {
            video.close();
            let _looked = (video.is_closed(), format!("{video:?}"));
            drop(video.subscribe(1));
        }
    });
    let (done, ended) = std::sync::mpsc::channel();
    let released = pool.clone();
    std::thread::spawn(move || done.send(video.send(sample(&released, 0))));
    let ended = ended.recv_timeout(std::time::Duration::from_secs(20));
    assert!(ended.expect("it neither hangs nor panics").is_err());
    assert_eq!(pool.status().callback_panics, 0);
    drop(guard);
}

/// A close between a subscriber's check and its wait must not be missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_many_threads_every_subscriber_sees_the_end() {
    let pool = pool();
    for round in 0..2_000u32 {
        let video = Arc::new(FanOut::new(4, 4));
        let viewers = [(); 3].map(|()| {
            let mut viewer = video.subscribe(1);
            tokio::spawn(async move {
                let mut last = None;
                while let Some(sample) = viewer.recv().await {
                    last = Some(sample[0]);
                }
                last
            })
        });
        video.send(sample(&pool, 7)).expect("it is open");
        video.close();
        for viewer in viewers {
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), viewer).await;
            let last = ended.expect("it ends").expect("no panic");
            assert_eq!(last, Some(7), "round {round}");
        }
        video.clear();
    }
}

/// If sync points were required by default, a source that never marks one would deliver nothing, silently.
#[test]
fn by_default_subscribers_start_and_continue_with_any_sample() {
    let pool = pool();
    let video = FanOut::new(2, 4);
    send(&video, &pool, 0..3);
    let mut viewer = video.subscribe(1);
    let first = at_once(viewer.recv()).expect("any sample will do");
    assert_eq!(
        (first[0], first.skipped(), first.sync_point()),
        (2, 0, false)
    );
    drop(first);
    send(&video, &pool, 3..8);
    video.close();
    assert_eq!(rest(&mut viewer), [(6, 3), (7, 0)]);
}

/// Slices share the flags of their sample, so only the send can mark one of them.
#[test]
fn a_slice_alone_can_be_sent_as_a_sync_point() {
    let pool = pool();
    let mut read = pool.try_get_buffer().expect("one is free");
    read.put_slice(b"pIppIp");
    let read = read.freeze();
    let video = FanOut::new(8, 4).require_sync_point(true);
    let mut early = video.subscribe(1);
    for at in 0..6 {
        let frame = read.slice(at..at + 1);
        let sent = match frame[0] {
            b'I' => video.send_sync_point(frame),
            _ => video.send(frame),
        };
        sent.expect("it is open");
    }
    let mut late = video.subscribe(1);
    video.close();
    let first = at_once(early.recv()).expect("a sync point was sent");
    assert_eq!((first[0], first.skipped(), first.sequence()), (b'I', 1, 1));
    assert!(first.sync_point() && !first.properties().sync_point());
    drop(first);
    let second = at_once(early.recv()).expect("it goes on");
    assert!(!second.sync_point());
    drop(second);
    assert_eq!(rest(&mut early), [(b'p', 0), (b'I', 0), (b'p', 0)]);
    assert_eq!(rest(&mut late), [(b'I', 0), (b'p', 0)]);

    // A sample whose properties mark it as a sync point needs no other mark.
    let marked = FanOut::new(8, 4).require_sync_point(true);
    let mut key = pool.try_get_buffer().expect("one is free");
    key.put_u8(9);
    key.properties_mut().set_sync_point(true);
    marked.send(key.freeze()).expect("it is open");
    let received = at_once(marked.subscribe(1).recv()).expect("a sync point");
    assert!(received.sync_point());
}

/// Frames are slices of the buffer that was read, here three in one. They are sent without a copy, and the buffers are
/// returned when the frames are dropped.
#[cfg(feature = "stream")]
#[tokio::test]
async fn frames_of_a_frame_reader_are_sent_to_subscribers() -> Result<(), Box<dyn std::error::Error>>
{
    use futures::StreamExt;
    use sample_pool::stream::{DecodeFrame, Decoded, FrameReader};
    use std::convert::Infallible;

    /// A byte that says the kind, and one of content.
    struct Pairs;
    impl DecodeFrame for Pairs {
        type Error = Infallible;
        fn decode(&mut self, bytes: &[u8]) -> Result<Decoded, Infallible> {
            Ok(match bytes.len() {
                1 => Decoded::Incomplete { needed: Some(2) },
                _ => Decoded::Frame {
                    frame: 0..2,
                    consumed: 2,
                },
            })
        }
    }

    let pool = Pool::builder().buffers(8).size(6).align(1).build()?;
    let video = Arc::new(FanOut::new(16, 4).require_sync_point(true));
    let viewer = |mut subscriber: Subscriber| async move {
        let mut got = String::new();
        while let Some(frame) = subscriber.recv().await {
            got.push(if frame.sync_point() { '!' } else { ' ' });
            got.push_str(std::str::from_utf8(&frame).expect("text"));
        }
        got
    };
    let early = tokio::spawn(viewer(video.subscribe(1)));
    let mut frames = FrameReader::new(&b"p0I1p2p3I4p5p6"[..], &pool, Pairs);
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        match frame[0] {
            b'I' => video.send_sync_point(frame)?,
            _ => video.send(frame)?,
        }
    }
    assert_eq!(pool.status().outstanding, 3, "three frames share a buffer");
    let late = tokio::spawn(viewer(video.subscribe(1)));
    video.close();
    assert_eq!(early.await?, "!I1 p2 p3!I4 p5 p6");
    assert_eq!(late.await?, "!I4 p5 p6");
    drop((video, frames));
    assert_eq!(pool.free_count(), 8);
    Ok(())
}
