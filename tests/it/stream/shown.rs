//! `Debug` of the adapters: figures for a log, and never the bytes.

#![forbid(unsafe_code)]

use super::{
    pool,
    script::{Script, Slow, Step},
    sockets::{datagrams, loopback, receiver},
};
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use sample_pool::stream::{
    DatagramReceiver, DatagramSender, DatagramSink, FrameReader, Lines, MessageReader,
    SampleReader, SampleWriter,
};
use std::fmt::Debug;

const SECRET: &[u8] = b"secret";

#[track_caller]
fn expect(value: &impl Debug, figures: &[&str]) {
    let shown = format!("{value:?}");
    for figure in figures {
        assert!(shown.contains(figure), "{figure}: {shown}");
    }
    for bytes in ["secret", "115, 101"] {
        assert!(!shown.contains(bytes), "{shown}");
    }
}

#[test]
fn debug_of_a_reader_or_a_writer_shows_how_much_it_keeps() {
    let pool = pool(1, 16);
    let source = || Script::new([Step::Bytes(SECRET), Step::Pending]);
    let mut reader = SampleReader::new(source(), &pool).fill_buffers(true);
    assert!(reader.next().now_or_never().is_none());
    expect(&reader, &["len: 6", "on_heap: 0", "NotYet"]);
    drop(reader);
    let mut reader = FrameReader::new(source(), &pool, Lines::new());
    assert!(reader.next().now_or_never().is_none());
    expect(&reader, &["buffered: 6", "is_terminated: false"]);
    let mut reader = MessageReader::new(source(), &pool, Lines::new());
    assert!(reader.next().now_or_never().is_none());
    expect(&reader, &["buffered: 6", "is_terminated: false"]);
    let mut writer = SampleWriter::new(Slow::new(1), 4);
    let fed = writer.feed(Bytes::from_static(SECRET)).now_or_never();
    fed.expect("there is room").expect("no error");
    expect(&writer, &["queued: 1", "limit: 4"]);
}

#[tokio::test]
async fn debug_of_what_receives_or_sends_datagrams_shows_its_settings() {
    let pool = pool(4, 16);
    let (mut batches, address) = receiver(&pool, 16).await;
    let mut sender = DatagramSender::new(loopback().await.0).expect("loopback");
    let send = sender.send_to(SECRET, 6, address);
    expect(&send, &["127.0.0.1", "sent: 0"]);
    send.await.expect("loopback");
    let batch = datagrams(&mut batches, 1, false).await.remove(0);
    expect(&batch.datagrams(), &["size: 6"]);
    expect(&batches, &["127.0.0.1", "PollPool", "joins: false"]);
    let mut received = Vec::new();
    let receive = batches.receive_many(&mut received, 3);
    expect(&receive, &["ReceiveBatches", "limit: 3"]);
    let mut receiver = DatagramReceiver::new(loopback().await.0, &pool);
    expect(&receiver, &["127.0.0.1", "PollPool"]);
    let mut received = Vec::new();
    let receive = receiver.receive_many(&mut received, 3);
    expect(&receive, &["ReceiveMany", "limit: 3"]);
    let sink: DatagramSink<Bytes> = DatagramSink::new(sender, 3);
    expect(&sink, &["segment_size: 3", "stored: false"]);
}
