//! A sample that a user holds, and the bytes that must be in it.

use bytes::{BufMut, Bytes};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{Properties, Sample, SamplePart, SampleProperties, SharedSample};
use std::{cell::Cell, collections::HashMap, rc::Rc};

/// Fills every byte that a user does not mean to show. No user may ever read it.
const CANARY: u8 = 0xC5;

#[derive(Debug)]
enum Handle {
    Owned(Sample),
    Part(SamplePart),
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
    /// How far from the start of the slot the bytes end that only this handle may write.
    end: usize,
    /// The bytes that the pool counts for the sample, once it is shared or in parts.
    counted: Rc<Cell<Counted>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    bytes: usize,
    /// How far from the start of the slot the bytes end that were counted when the sample was shared.
    to: usize,
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
            end: properties.prefix + properties.size,
            bytes: Vec::new(),
            counted: Rc::default(),
        })
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// How many bytes the pool counts for the sample, however many of them this handle shows.
    pub(crate) fn in_sample(&self) -> usize {
        match &self.handle {
            Handle::Owned(_) => self.bytes.len(),
            Handle::Part(_) | Handle::Shared(_) | Handle::Bytes(_) => self.counted.get().bytes,
        }
    }

    /// Checks that the bytes are those that this user wrote, and zeros where it only set the length.
    pub(crate) fn check(&self) -> TestCaseResult {
        let (bytes, properties) = match &self.handle {
            Handle::Owned(sample) => (&sample[..], sample.properties()),
            Handle::Part(part) => (&part[..], part.properties()),
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
        if let Handle::Part(part) = &self.handle {
            prop_assert_eq!(part.spare_capacity(), self.spare());
        }
        Ok(())
    }

    fn spare(&self) -> usize {
        self.end - self.start - self.bytes.len()
    }

    pub(crate) fn edit(&mut self, edit: Edit) -> TestCaseResult {
        let spare = self.spare();
        match (&mut self.handle, edit) {
            (Handle::Shared(_) | Handle::Bytes(_), _) => return Ok(()),
            (Handle::Owned(sample), Edit::Append(count)) => {
                append(sample, count.min(spare), &mut self.bytes);
            }
            (Handle::Part(part), Edit::Append(count)) => {
                append(part, count.min(spare), &mut self.bytes);
            }
            (handle, Edit::SetLen(len)) => {
                let set = match handle {
                    Handle::Part(part) => part.set_len(len),
                    Handle::Owned(sample) => sample.set_len(len),
                    _ => return Ok(()),
                };
                let fits = len <= self.bytes.len() + spare;
                prop_assert_eq!(set.is_ok(), fits);
                if fits {
                    self.bytes.resize(len, 0);
                }
            }
            (Handle::Owned(sample), Edit::Prepend(count)) => {
                let before = pattern(count);
                let fits = count <= self.start;
                prop_assert_eq!(sample.prepend(&before).is_ok(), fits);
                if fits {
                    self.start -= count;
                    self.bytes.splice(..0, before);
                }
            }
            (Handle::Part(_), Edit::Prepend(_)) => {}
            (Handle::Owned(sample), Edit::Clear) => {
                sample.clear();
                self.start = self.properties.prefix;
                self.bytes.clear();
            }
            (Handle::Part(part), Edit::Clear) => {
                part.clear();
                self.bytes.clear();
            }
        }
        // Bytes that are not shown are canaries again, for the next length that uncovers them.
        match &mut self.handle {
            Handle::Owned(sample) => cover(sample),
            Handle::Part(part) => cover(part),
            Handle::Shared(_) | Handle::Bytes(_) => {}
        }
        Ok(())
    }

    fn with(self, handle: Handle) -> Self {
        Held { handle, ..self }
    }

    /// The handle, which is about to become one of another kind.
    fn take(&mut self) -> Handle {
        if let Handle::Owned(_) = self.handle {
            self.counted = Rc::new(Cell::new(Counted {
                bytes: self.bytes.len(),
                to: self.start + self.bytes.len(),
            }));
        }
        std::mem::replace(&mut self.handle, Handle::Bytes(Bytes::new()))
    }

    /// Counts what a part wrote, now that it is frozen.
    fn count(&self) {
        let Counted { bytes, to } = self.counted.get();
        let written = (self.start + self.bytes.len()).saturating_sub(to.max(self.start));
        let bytes = bytes + written;
        self.counted.set(Counted { bytes, to });
    }

    /// Whether this handle shows no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Drops handles in their order, and releases the exclusive samples between two others as a batch.
    pub(crate) fn release_all(all: Vec<Held>) {
        let mut batch = Vec::new();
        for mut held in all {
            match held.take() {
                Handle::Owned(sample) => batch.push(sample),
                other => {
                    Sample::release_all(&mut batch);
                    drop(other);
                }
            }
        }
        Sample::release_all(&mut batch);
    }

    pub(crate) fn share(mut self) -> Self {
        let handle = match self.take() {
            Handle::Owned(sample) => Handle::Shared(sample.freeze()),
            Handle::Part(part) => {
                self.count();
                Handle::Shared(part.freeze())
            }
            other => other,
        };
        self.with(handle)
    }

    pub(crate) fn into_bytes(mut self) -> Self {
        let handle = match self.take() {
            Handle::Owned(sample) => Handle::Bytes(sample.into_bytes()),
            Handle::Part(part) => {
                self.count();
                Handle::Bytes(part.into_bytes())
            }
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
            counted: self.counted.clone(),
            ..*self
        })
    }

    pub(crate) fn divide(mut self) -> Self {
        let handle = match self.take() {
            Handle::Owned(sample) => Handle::Part(sample.into_part()),
            other => other,
        };
        self.with(handle)
    }

    /// Splits a part in one of the three ways, and returns the other part.
    pub(crate) fn split(&mut self, way: usize, at: usize) -> Option<Self> {
        let (len, capacity) = (self.bytes.len(), self.end - self.start);
        let Handle::Part(part) = &mut self.handle else {
            return None;
        };
        let at = match way % 3 {
            0 => at % (capacity + 1),
            1 => at % (len + 1),
            _ => len,
        };
        let middle = self.start + at;
        let rest = self.bytes.split_off(at.min(len));
        let mut other = Held {
            handle: Handle::Bytes(Bytes::new()),
            start: middle,
            end: self.end,
            bytes: rest,
            counted: self.counted.clone(),
            ..*self
        };
        self.end = middle;
        let first = match way % 3 {
            0 => {
                other.handle = Handle::Part(part.split_off(at));
                return Some(other);
            }
            1 => Handle::Part(part.split_to(at)),
            _ => Handle::Shared(part.split_written()),
        };
        // The first bytes are the other handle's, and this one keeps the rest.
        std::mem::swap(&mut self.bytes, &mut other.bytes);
        std::mem::swap(&mut self.start, &mut other.start);
        std::mem::swap(&mut self.end, &mut other.end);
        if let Handle::Shared(_) = first {
            other.count();
        }
        other.handle = first;
        Some(other)
    }

    /// Joins two parts or two shared handles; `Some` is the other handle if they cannot be joined.
    pub(crate) fn join(&mut self, mut next: Self) -> Result<Option<Self>, TestCaseError> {
        let of_one = self.slot == next.slot;
        let no_gap = self.spare() == 0 || next.bytes.is_empty();
        match (&mut self.handle, next.take_unchanged()) {
            (Handle::Part(part), Handle::Part(other)) => match part.try_join(other) {
                Ok(()) => {
                    prop_assert!(of_one && no_gap && self.end == next.start);
                    self.end = next.end;
                }
                Err(other) => {
                    prop_assert!(!(of_one && no_gap && self.end == next.start));
                    return Ok(Some(next.with(Handle::Part(other))));
                }
            },
            (Handle::Shared(shared), Handle::Shared(other)) => {
                let touch = of_one && self.start + self.bytes.len() == next.start;
                match shared.try_unsplit(other) {
                    Ok(()) => prop_assert!(touch),
                    Err(other) => {
                        prop_assert!(!touch);
                        return Ok(Some(next.with(Handle::Shared(other))));
                    }
                }
            }
            (_, other) => return Ok(Some(next.with(other))),
        }
        self.bytes.append(&mut next.bytes);
        Ok(None)
    }

    /// The handle, with nothing counted.
    fn take_unchanged(&mut self) -> Handle {
        std::mem::replace(&mut self.handle, Handle::Bytes(Bytes::new()))
    }

    /// Only a sole handle to a slot becomes writable again.
    pub(crate) fn unshare(
        mut self,
        handles: &HashMap<usize, usize>,
    ) -> Result<Self, TestCaseError> {
        let only = handles.get(&self.slot) == Some(&1);
        let whole = self.properties.prefix + self.properties.size;
        let handle = match self.take_unchanged() {
            Handle::Shared(shared) => {
                prop_assert_eq!(shared.is_unique(), only);
                match shared.try_into_sample() {
                    Ok(sample) => Handle::Owned(sample),
                    Err(shared) => Handle::Shared(shared),
                }
            }
            Handle::Part(part) => match part.try_into_sample() {
                Ok(sample) => Handle::Owned(sample),
                Err(part) => Handle::Part(part),
            },
            other => return Ok(self.with(other)),
        };
        let became = matches!(handle, Handle::Owned(_));
        prop_assert_eq!(became, only, "only the last handle becomes writable");
        if became {
            self.end = whole;
        }
        Ok(self.with(handle))
    }
}

/// Appends to a sample or part, and to the bytes that it must have.
fn append(to: &mut impl BufMut, count: usize, bytes: &mut Vec<u8>) {
    let more = pattern(count);
    to.put_slice(&more);
    bytes.extend(more);
}

/// Fills the bytes that are not shown with canaries.
fn cover(sample: &mut impl BufMut) {
    let unseen = sample.chunk_mut();
    let canaries = vec![CANARY; unseen.len()];
    unseen.copy_from_slice(&canaries);
}
