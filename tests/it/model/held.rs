//! A sample that a user holds, and the bytes that must be in it.

use bytes::{BufMut, Bytes};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{Properties, Sample, SampleProperties, SharedSample};
use std::collections::HashMap;

/// Fills every byte that a user does not mean to show. No user may ever read it.
const CANARY: u8 = 0xC5;

#[derive(Debug)]
enum Handle {
    Owned(Sample),
    Shared(SharedSample),
    Bytes(Bytes),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Append(usize),
    SetLen(usize),
    Prepend(usize),
    Clear,
}

#[derive(Debug)]
pub(crate) struct Held {
    handle: Handle,
    slot: usize,
    properties: Properties,
    /// How far from the start of the slot the bytes begin.
    start: usize,
    bytes: Vec<u8>,
    /// How many bytes the sample had when it was shared.
    shared: usize,
}

/// `count` bytes that are neither zero nor the canary.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|n| 1 + (n % 100) as u8).collect()
}

impl Held {
    /// Checks that a sample is as new, and fills all of it with canaries.
    pub(crate) fn fresh(mut sample: Sample, properties: Properties) -> Result<Self, TestCaseError> {
        prop_assert!(sample.is_empty());
        prop_assert_eq!(sample.capacity(), properties.size);
        prop_assert_eq!(sample.headroom(), properties.prefix);
        prop_assert_eq!(sample.properties(), &SampleProperties::default());
        sample.set_len(properties.size)?;
        let stale = sample.iter().any(|&byte| byte != 0);
        prop_assert!(!stale, "an earlier owner's bytes: {:?}", &sample[..]);
        sample.fill(CANARY);
        sample.prepend(&vec![CANARY; properties.prefix])?;
        sample.clear();
        let user = sample.index() as u64 + 1;
        sample.properties_mut().set_user(user);
        Ok(Held {
            slot: sample.index(),
            handle: Handle::Owned(sample),
            properties,
            start: properties.prefix,
            bytes: Vec::new(),
            shared: 0,
        })
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// How many bytes the sample has, however many of them this handle shows.
    pub(crate) fn in_sample(&self) -> usize {
        match &self.handle {
            Handle::Owned(_) => self.bytes.len(),
            Handle::Shared(_) | Handle::Bytes(_) => self.shared,
        }
    }

    /// Checks that the bytes are those that this user wrote, and zeros where it only set the length.
    pub(crate) fn check(&self) -> TestCaseResult {
        let (bytes, properties) = match &self.handle {
            Handle::Owned(sample) => (&sample[..], sample.properties()),
            Handle::Shared(shared) => (&shared[..], shared.properties()),
            Handle::Bytes(bytes) => (&bytes[..], &SampleProperties::default()),
        };
        prop_assert_eq!(bytes, &self.bytes[..]);
        if !matches!(self.handle, Handle::Bytes(_)) {
            prop_assert_eq!(properties.user(), self.slot as u64 + 1);
        }
        if let Handle::Owned(sample) = &self.handle {
            prop_assert_eq!(sample.headroom(), self.start);
            prop_assert_eq!(sample.spare_capacity(), self.spare());
        }
        Ok(())
    }

    fn spare(&self) -> usize {
        self.properties.prefix + self.properties.size - self.start - self.bytes.len()
    }

    pub(crate) fn edit(&mut self, edit: Edit) -> TestCaseResult {
        let spare = self.spare();
        let Handle::Owned(sample) = &mut self.handle else {
            return Ok(());
        };
        match edit {
            Edit::Append(count) => {
                let more = pattern(count.min(spare));
                sample.put_slice(&more);
                self.bytes.extend(more);
            }
            Edit::SetLen(len) => {
                let fits = len <= self.bytes.len() + spare;
                prop_assert_eq!(sample.set_len(len).is_ok(), fits);
                if fits {
                    self.bytes.resize(len, 0);
                }
            }
            Edit::Prepend(count) => {
                let before = pattern(count);
                let fits = count <= self.start;
                prop_assert_eq!(sample.prepend(&before).is_ok(), fits);
                if fits {
                    self.start -= count;
                    self.bytes.splice(..0, before);
                }
            }
            Edit::Clear => {
                sample.clear();
                self.start = self.properties.prefix;
                self.bytes.clear();
            }
        }
        // Bytes that are not shown are canaries again, for the next length that uncovers them.
        let unseen = sample.chunk_mut();
        let canaries = vec![CANARY; unseen.len()];
        unseen.copy_from_slice(&canaries);
        Ok(())
    }

    fn with(self, handle: Handle) -> Self {
        Held { handle, ..self }
    }

    fn take(&mut self) -> Handle {
        self.shared = self.in_sample();
        std::mem::replace(&mut self.handle, Handle::Bytes(Bytes::new()))
    }

    /// Whether this handle shows no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn share(mut self) -> Self {
        let handle = match self.take() {
            Handle::Owned(sample) => Handle::Shared(sample.freeze()),
            other => other,
        };
        self.with(handle)
    }

    pub(crate) fn into_bytes(mut self) -> Self {
        let handle = match self.take() {
            Handle::Owned(sample) => Handle::Bytes(sample.into_bytes()),
            Handle::Shared(shared) => Handle::Bytes(shared.into_bytes()),
            other => other,
        };
        self.with(handle)
    }

    /// Another handle, to a part of the bytes.
    pub(crate) fn part(&self, from: usize, len: usize) -> Option<Self> {
        let Handle::Shared(shared) = &self.handle else {
            return None;
        };
        let from = from % (self.bytes.len() + 1);
        let to = from + len % (self.bytes.len() - from + 1);
        Some(Held {
            handle: Handle::Shared(shared.slice(from..to)),
            start: self.start + from,
            bytes: self.bytes[from..to].to_vec(),
            ..*self
        })
    }

    /// Only a sole handle to a slot becomes writable again.
    pub(crate) fn unshare(
        mut self,
        handles: &HashMap<usize, usize>,
    ) -> Result<Self, TestCaseError> {
        let only = handles.get(&self.slot) == Some(&1);
        let handle = match self.take() {
            Handle::Shared(shared) => match shared.try_into_sample() {
                Ok(sample) => {
                    prop_assert!(only, "another handle can read what is writable now");
                    Handle::Owned(sample)
                }
                Err(shared) => {
                    prop_assert!(!only, "no other handle is left");
                    Handle::Shared(shared)
                }
            },
            other => other,
        };
        Ok(self.with(handle))
    }
}
