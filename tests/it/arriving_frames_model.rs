//! Random sequences of sends, appends, aborts and lagging subscribers, beside a model that keeps all that was sent and
//! says what each subscriber receives next.

#![deny(unsafe_code)]

use bytes::BufMut;
use futures::FutureExt;
use proptest::{collection::vec, prelude::*};
use sample_pool::{
    Pool, SamplePart,
    fan_out::{ArrivingFrame, Delivery, FanOut, Subscriber},
};

const BACKLOG: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Start { sync_point: bool },
    Append { another_buffer: bool, bytes: u8 },
    Finish { bytes: u8 },
    Drop,
    Send { sync_point: bool },
    Clear,
    Subscribe { whole_frames: bool },
    Receive { subscriber: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<bool>().prop_map(|sync_point| Step::Start { sync_point }),
        6 => (any::<bool>(), 0..4_u8).prop_map(|(another_buffer, bytes)| Step::Append { another_buffer, bytes }),
        2 => (0..3_u8).prop_map(|bytes| Step::Finish { bytes }),
        1 => Just(Step::Drop),
        1 => any::<bool>().prop_map(|sync_point| Step::Send { sync_point }),
        1 => Just(Step::Clear),
        2 => any::<bool>().prop_map(|whole_frames| Step::Subscribe { whole_frames }),
        8 => (0..8_usize).prop_map(|subscriber| Step::Receive { subscriber }),
    ]
}

/// All that was sent: nothing is removed from it.
#[derive(Default)]
struct Sent {
    samples: Vec<Sample>,
    frames: Vec<Frame>,
    /// The samples before this one are not in the backlog.
    first: usize,
}

struct Sample {
    frame: usize,
    bytes: Vec<u8>,
}

struct Frame {
    first: usize,
    sync_point: bool,
    is_complete: bool,
    is_aborted: bool,
}

impl Sent {
    fn add_sample(&mut self, frame: usize) {
        self.samples.push(Sample {
            frame,
            bytes: Vec::new(),
        });
        self.first = self.first.max(self.samples.len().saturating_sub(BACKLOG));
    }

    fn add_frame(&mut self, sync_point: bool) -> usize {
        self.frames.push(Frame {
            first: self.samples.len(),
            sync_point,
            is_complete: false,
            is_aborted: false,
        });
        self.add_sample(self.frames.len() - 1);
        self.frames.len() - 1
    }

    fn is_last_of_frame(&self, sample: usize) -> bool {
        let next = self.samples.get(sample + 1);
        next.is_none_or(|next| next.frame != self.samples[sample].frame)
    }
}

/// What a subscriber received, and what it may receive next.
struct Viewer {
    subscriber: Subscriber,
    whole_frames: bool,
    next: usize,
    offset: usize,
    inside: bool,
    skipped: u64,
    needs_sync_point: bool,
}

/// A delivery: sequence number, bytes, skipped, whether it begins and ends a frame, whether it is aborted.
type Seen = (u64, Vec<u8>, u64, bool, bool, bool);

fn seen(delivery: &Delivery) -> Seen {
    (
        delivery.sequence(),
        delivery.to_vec(),
        delivery.skipped(),
        delivery.begins_frame(),
        delivery.ends_frame(),
        delivery.is_aborted(),
    )
}

impl Viewer {
    fn new(fan_out: &FanOut, sent: &Sent, require: bool, whole_frames: bool) -> Self {
        let suits = |frame: &&Frame| {
            frame.first >= sent.first && !frame.is_aborted && (frame.sync_point || !require)
        };
        let mut newest = sent.frames.iter().rev().filter(suits);
        let arriving = newest.clone().next();
        let found = newest.find(|frame| frame.is_complete || !whole_frames);
        let next = found.or(arriving).map(|frame| frame.first);
        Viewer {
            subscriber: match whole_frames {
                true => fan_out.subscribe_to_whole_frames(1),
                false => fan_out.subscribe(1),
            },
            whole_frames,
            next: next.unwrap_or(sent.samples.len()),
            offset: 0,
            inside: false,
            skipped: 0,
            needs_sync_point: require,
        }
    }

    /// Of the only sample that left the backlog it has all bytes, and the frame goes on in the backlog.
    fn has_all_of_evicted(&self, sent: &Sent) -> bool {
        self.inside
            && self.next + 1 == sent.first
            && self.offset == sent.samples[self.next].bytes.len()
            && !sent.is_last_of_frame(self.next)
    }

    fn expected(&mut self, sent: &Sent, require: bool) -> Option<Seen> {
        if self.has_all_of_evicted(sent) {
            (self.next, self.offset) = (sent.first, 0);
        }
        if self.next < sent.first {
            let (cut, lost) = (self.next as u64, (sent.first - self.next) as u64);
            (self.next, self.offset, self.needs_sync_point) = (sent.first, 0, require);
            if std::mem::take(&mut self.inside) {
                return Some((cut, Vec::new(), lost, false, false, true));
            }
            self.skipped += lost;
        }
        while let Some(sample) = sent.samples.get(self.next) {
            let frame = &sent.frames[sample.frame];
            let is_last = sent.is_last_of_frame(self.next);
            let is_usable = frame.first == self.next
                && !frame.is_aborted
                && (frame.sync_point || !self.needs_sync_point);
            if !self.inside && !is_usable {
                self.needs_sync_point |= require && frame.is_aborted;
                self.next += 1;
                self.skipped += 1;
                continue;
            }
            if self.inside && frame.is_aborted {
                while !sent.is_last_of_frame(self.next) {
                    self.next += 1;
                }
                let cut = self.next as u64;
                (self.next, self.offset, self.inside) = (self.next + 1, 0, false);
                self.needs_sync_point = require;
                return Some((cut, Vec::new(), 0, false, false, true));
            }
            if self.whole_frames && !frame.is_complete {
                return None;
            }
            let ends = is_last && frame.is_complete;
            let bytes = sample.bytes[self.offset..].to_vec();
            if bytes.is_empty() && !ends {
                if is_last {
                    return None;
                }
                (self.next, self.offset) = (self.next + 1, 0);
                continue;
            }
            let skipped = std::mem::take(&mut self.skipped);
            let seen = (self.next as u64, bytes, skipped, !self.inside, ends, false);
            self.offset = sample.bytes.len();
            self.needs_sync_point = false;
            self.inside = !ends;
            if ends || !is_last {
                (self.next, self.offset) = (self.next + 1, 0);
            }
            return Some(seen);
        }
        None
    }
}

/// The fan-out, and the frame that is arriving with the part that is being written.
struct Producer {
    pool: Pool,
    fan_out: FanOut,
    frame: Option<(ArrivingFrame, bool)>,
    part: Option<SamplePart>,
    /// The frame in the model, once it has a sample.
    model: Option<usize>,
    written: u8,
}

impl Producer {
    fn abort(&mut self, sent: &mut Sent) {
        if let Some(frame) = self.model.take() {
            sent.frames[frame].is_aborted = true;
        }
    }

    /// The next bytes, which the model has then.
    fn write(
        &mut self,
        sent: &mut Sent,
        another_buffer: bool,
        bytes: u8,
    ) -> sample_pool::SharedSample {
        let is_full = |part: &SamplePart| part.spare_capacity() < usize::from(bytes);
        let is_another = another_buffer || self.part.as_ref().is_none_or(is_full);
        if is_another && bytes > 0 {
            let sample = self.pool.try_get_buffer().expect("one is free");
            self.part = Some(sample.into_part());
            match self.model {
                Some(frame) => sent.add_sample(frame),
                None => {
                    let sync_point = self
                        .frame
                        .as_ref()
                        .is_some_and(|(_, sync_point)| *sync_point);
                    self.model = Some(sent.add_frame(sync_point));
                }
            }
        }
        let Some(part) = &mut self.part else {
            return self.pool.try_get_buffer().expect("one is free").freeze();
        };
        for _ in 0..bytes {
            self.written = self.written.wrapping_add(1);
            part.put_u8(self.written);
            let newest = sent.samples.last_mut().expect("it was added");
            newest.bytes.push(self.written);
        }
        part.split_written()
    }
}

fn run(steps: Vec<Step>, require: bool, notify_every: usize) {
    let pool = Pool::builder().buffers(16).size(8).align(1).build();
    let pool = pool.expect("small");
    let fan_out = FanOut::new(BACKLOG, 8).require_sync_point(require);
    let mut producer = Producer {
        fan_out: fan_out.notify_every(notify_every),
        pool,
        frame: None,
        part: None,
        model: None,
        written: 0,
    };
    let mut sent = Sent::default();
    let mut viewers: Vec<Viewer> = Vec::new();
    for step in steps {
        match step {
            Step::Start { sync_point } => {
                producer.abort(&mut sent);
                producer.part = None;
                let frame = producer.fan_out.start_frame(sync_point);
                // The one before is dropped after the new one was started.
                producer.frame = Some((frame.expect("it is open"), sync_point));
            }
            Step::Append {
                another_buffer,
                bytes,
            } if producer.frame.is_some() => {
                let bytes = producer.write(&mut sent, another_buffer, bytes);
                let (frame, _) = producer.frame.as_mut().expect("it was looked at");
                frame.append(bytes).expect("it is arriving");
            }
            Step::Finish { bytes } if producer.frame.is_some() => {
                let bytes = producer.write(&mut sent, false, bytes);
                let (frame, _) = producer.frame.take().expect("it was looked at");
                frame.finish_with(bytes).expect("it is arriving");
                if let Some(frame) = producer.model.take() {
                    sent.frames[frame].is_complete = true;
                }
                producer.part = None;
            }
            Step::Append { .. } | Step::Finish { .. } => {}
            Step::Drop => {
                producer.abort(&mut sent);
                (producer.frame, producer.part) = (None, None);
            }
            Step::Send { sync_point } => {
                producer.abort(&mut sent);
                (producer.frame, producer.part) = (None, None);
                let frame = sent.add_frame(sync_point);
                producer.written = producer.written.wrapping_add(1);
                let newest = sent.samples.last_mut().expect("it was added");
                newest.bytes.push(producer.written);
                sent.frames[frame].is_complete = true;
                let mut sample = producer.pool.try_get_buffer().expect("one is free");
                sample.put_u8(producer.written);
                sample.properties_mut().set_sync_point(sync_point);
                producer.fan_out.send(sample.freeze()).expect("it is open");
            }
            Step::Clear => {
                producer.abort(&mut sent);
                producer.fan_out.clear();
                (producer.frame, producer.part) = (None, None);
                sent.first = sent.samples.len();
            }
            Step::Subscribe { whole_frames } => {
                viewers.push(Viewer::new(&producer.fan_out, &sent, require, whole_frames));
            }
            Step::Receive { subscriber } => {
                if let Some(viewer) = viewers.get_mut(subscriber) {
                    let expected = viewer.expected(&sent, require);
                    let received = viewer.subscriber.recv().now_or_never();
                    let received = received.map(|delivery| seen(&delivery.expect("it is open")));
                    assert_eq!(received, expected, "viewer {subscriber}");
                }
            }
        }
        let status = producer.fan_out.status();
        assert_eq!(status.sent, sent.samples.len() as u64);
        assert_eq!(status.backlog, sent.samples.len() - sent.first);
        assert_eq!(status.held, 0);
        // Beside the backlog there is at most one part, before its first bytes are sent.
        assert!(producer.pool.status().outstanding <= status.backlog + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each rule alone is tested by name; together they could contradict each other.
    #[test]
    fn each_subscriber_receives_what_the_model_says(
        steps in vec(step(), 1..80),
        require in any::<bool>(),
        notify_every in 0..6_usize,
    ) {
        run(steps, require, notify_every);
    }
}
