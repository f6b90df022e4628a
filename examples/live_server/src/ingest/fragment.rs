//! A fragment on its way from a source's body to the viewers.
//!
//! | while                     | its bytes are                                    | and viewers                          |
//! |---------------------------|--------------------------------------------------|--------------------------------------|
//! | its `mdat` is not known   | collected in samples                             | get nothing                          |
//! | it arrives                | written to a part of a sample                    | get what came with each chunk        |
//! | the init segment is new   | collected in samples, until all of it is there   | get the whole fragment               |
//!
//! Before the `mdat` it is not known whether the fragment can be shown without another, nor how many samples it takes. A
//! muxer writes what stands before it in one go. If the source fails inside a fragment, the responses of viewers that got a
//! part of it end with an error.

use super::{Ingest, Rejected, stamp};
use crate::channel::Arriving;
use bytes::{BufMut, Bytes};
use sample_pool::{Quota, Sample, SamplePart, stream::ReadError};
use std::time::{Duration, Instant};

pub(super) struct Fragment<'a> {
    ingest: &'a Ingest<'a>,
    quota: &'a Quota,
    /// What was filled before it arrives. All but the last are full.
    collected: Vec<Sample>,
    arrives: Option<Arrives>,
}

struct Arrives {
    to: Arriving,
    /// What is being filled, and how many bytes still fit.
    part: SamplePart,
    room: usize,
    /// Whether none of it was given to viewers.
    is_new: bool,
}

impl<'a> Fragment<'a> {
    pub(super) fn new(ingest: &'a Ingest<'a>, quota: &'a Quota) -> Self {
        Fragment {
            ingest,
            quota,
            collected: Vec::new(),
            arrives: None,
        }
    }

    /// Appends bytes, in as many samples as it takes, and tells for how long it waited for those.
    pub(super) async fn append(&mut self, mut bytes: Bytes) -> Result<Duration, Rejected> {
        let mut waited = Duration::ZERO;
        while !bytes.is_empty() {
            let room = self.room();
            if room == 0 {
                self.give();
                let began = Instant::now();
                let sample = self.quota.get_buffer().await.map_err(ReadError::from)?;
                waited += began.elapsed();
                self.go_on_in(sample).await;
                continue;
            }
            let some = bytes.split_to(room.min(bytes.len()));
            match (&mut self.arrives, self.collected.last_mut()) {
                (Some(arrives), _) => {
                    arrives.room -= some.len();
                    arrives.part.put(some);
                }
                (None, Some(last)) => last.put(some),
                (None, None) => {}
            }
        }
        Ok(waited)
    }

    /// How many bytes fit what is being filled.
    fn room(&self) -> usize {
        match (&self.arrives, self.collected.last()) {
            (Some(arrives), _) => arrives.room,
            (None, Some(last)) => self.ingest.most - last.len(),
            (None, None) => 0,
        }
    }

    /// What is filled is full.
    async fn go_on_in(&mut self, mut sample: Sample) {
        stamp(&mut sample, self.ingest.epoch);
        let Some(arrives) = &mut self.arrives else {
            self.collected.push(sample);
            return;
        };
        self.ingest.source.room(1).await;
        arrives.go_on_in(sample, self.ingest.most);
    }

    /// Its media begin, and it will have so many bytes: from now on viewers get what is there.
    pub(super) async fn start(&mut self, bytes: u64, sync: bool) {
        let pieces = bytes.div_ceil(self.ingest.most as u64);
        let pieces = u16::try_from(pieces).unwrap_or(u16::MAX);
        let Some(to) = self.ingest.source.start_fragment(pieces, sync) else {
            return;
        };
        self.ingest.source.room(self.collected.len()).await;
        let mut collected = self.collected.drain(..);
        // A header at the least stands before the `mdat`.
        let Some(first) = collected.next() else {
            return;
        };
        let mut arrives = Arrives::new(to, first, self.ingest.most);
        for sample in collected {
            arrives.give();
            arrives.go_on_in(sample, self.ingest.most);
        }
        self.arrives = Some(arrives);
    }

    /// Gives viewers what is there.
    pub(super) fn give(&mut self) {
        if let Some(arrives) = &mut self.arrives {
            arrives.give();
        }
    }

    /// It is whole. `sync` if it can be shown without another.
    pub(super) async fn finish(&mut self, sync: bool) {
        match self.arrives.take() {
            Some(mut arrives) => arrives
                .to
                .finish(arrives.part.split_written(), arrives.is_new),
            None => {
                self.ingest.source.room(self.collected.len()).await;
                let pieces = self.collected.drain(..);
                self.ingest.source.publish_fragment(pieces, sync);
            }
        }
    }

    /// Nothing more comes of it.
    pub(super) fn abandon(&mut self) {
        self.collected.clear();
        self.arrives = None;
    }
}

impl Arrives {
    fn new(mut to: Arriving, mut sample: Sample, most: usize) -> Self {
        let room = most - sample.len();
        to.mark(&mut sample);
        Arrives {
            to,
            part: sample.into_part(),
            room,
            is_new: true,
        }
    }

    fn go_on_in(&mut self, mut sample: Sample, most: usize) {
        self.room = most - sample.len();
        self.to.mark(&mut sample);
        self.part = sample.into_part();
        self.is_new = true;
    }

    fn give(&mut self) {
        if !self.part.is_empty() {
            self.to.give(self.part.split_written(), self.is_new);
            self.is_new = false;
        }
    }
}
