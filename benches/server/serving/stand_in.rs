//! What the example uses of `sample_pool`, by the same names, over the buffers of another contender.
//!
//! Such a contender calls itself `sample_pool` and compiles the example's files over this one, so that
//! not a line of the example is changed. Its `buffers` say where a `BytesMut` comes from and how it
//! becomes `Bytes`. The fan-out is this crate's own, compiled over the contender's samples.

use crate::buffers::{self, Buffer, Buffers};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    ops::{Deref, DerefMut, RangeBounds},
    sync::Arc,
};

/// Where the fan-out looks for what it is built on.
pub mod sample {
    pub mod shared {
        pub use crate::SharedSample;
    }
}
pub mod sync {
    pub use std::sync::atomic::{AtomicU64 as StatisticU64, Ordering};
    pub use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
}
pub mod values {
    pub mod error {
        /// In place of the crate's own, which only the crate can make.
        #[derive(Debug)]
        pub struct SendError;

        impl SendError {
            pub(crate) fn new() -> Self {
                SendError
            }
        }

        #[derive(Debug)]
        pub enum AppendError {
            Closed,
            Aborted,
        }
    }
    pub mod sample_properties {
        pub use original::SampleProperties;
    }
}
#[path = "../../../src/fan_out/mod.rs"]
pub mod fan_out;
#[path = "stand_in_stream.rs"]
pub mod stream;

pub use original::{
    BufferOverflow, BuildError, GetBufferError, Properties, ReferenceTime, SampleProperties,
};

#[derive(Clone, Debug)]
pub struct Pool {
    pub(crate) buffers: Buffers,
    properties: Properties,
}

impl Pool {
    pub fn builder() -> Builder {
        Builder(Properties::default())
    }

    pub fn properties(&self) -> Properties {
        self.properties
    }

    pub async fn get_buffer(&self) -> Result<Sample, GetBufferError> {
        let mut buffer = self.buffers.get().await?;
        // The place for what is put in front later.
        buffer.put_bytes(0, self.properties.prefix);
        Ok(Sample {
            buffer,
            start: self.properties.prefix,
            end: self.properties.prefix + self.properties.size,
            properties: SampleProperties::default(),
        })
    }
}

/// The buffers of one source. Nothing is counted: what a source holds is bounded by what it fills and its backlog.
#[derive(Clone, Debug)]
pub struct Quota(Pool);

impl Pool {
    pub fn quota(&self, _name: Arc<str>, _most: usize) -> Quota {
        Quota(self.clone())
    }
}

impl Quota {
    pub async fn get_buffer(&self) -> Result<Sample, GetBufferError> {
        self.0.get_buffer().await
    }
}

pub struct Builder(Properties);

impl Builder {
    pub fn buffers(mut self, buffers: usize) -> Self {
        self.0.buffers = buffers;
        self
    }

    pub fn size(mut self, size: usize) -> Self {
        self.0.size = size;
        self
    }

    pub fn prefix(mut self, prefix: usize) -> Self {
        self.0.prefix = prefix;
        self
    }

    /// This pool does not know who holds what.
    pub fn track_holders(self, _yes: bool) -> Self {
        self
    }

    /// Nor how long anybody waited.
    pub fn measure_waits(self, _yes: bool) -> Self {
        self
    }

    pub fn build(self) -> Result<Pool, BuildError> {
        let capacity = self.0.prefix + self.0.size;
        Ok(Pool {
            buffers: Buffers::new(self.0.buffers, capacity),
            properties: self.0,
        })
    }
}

/// A buffer that is being filled. What `BytesMut` can do at its end, this can.
pub struct Sample {
    buffer: Buffer,
    /// Where its bytes begin.
    start: usize,
    /// Where the buffer ends, counted as the start is.
    end: usize,
    properties: SampleProperties,
}

impl Sample {
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Not that of `BytesMut`, which would count the place in front.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn properties(&self) -> &SampleProperties {
        &self.properties
    }

    pub fn properties_mut(&mut self) -> &mut SampleProperties {
        &mut self.properties
    }

    /// # Panics
    ///
    /// If the prefix has no room for them.
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<(), BufferOverflow> {
        let start = self.start - bytes.len();
        self.buffer[start..self.start].copy_from_slice(bytes);
        self.start = start;
        Ok(())
    }

    pub fn freeze(self) -> SharedSample {
        SharedSample {
            bytes: buffers::freeze(self.buffer, self.start),
            properties: self.properties,
        }
    }
}

impl Sample {
    pub fn into_part(self) -> SamplePart {
        SamplePart {
            properties: self.properties.clone(),
            sample: Some(self),
        }
    }
}

/// A buffer that is given away when it is full, or at the end of what arrives: what is written behind `Bytes` of the same
/// `BytesMut` cannot be joined to them, so each piece would count as a buffer of its own.
pub struct SamplePart {
    /// `None` once it was given away.
    sample: Option<Sample>,
    properties: SampleProperties,
}

const GIVEN: &str = "a part that was given away is not written";

impl SamplePart {
    /// Whether there is nothing to give away yet.
    pub fn is_empty(&self) -> bool {
        let sample = self.sample.as_ref();
        sample.is_none_or(|sample| sample.buffer.len() < sample.end)
    }

    /// All that was written. A second time, nothing.
    pub fn split_written(&mut self) -> SharedSample {
        match self.sample.take() {
            Some(sample) => sample.freeze(),
            None => SharedSample {
                bytes: Bytes::new(),
                properties: self.properties.clone(),
            },
        }
    }
}

impl Deref for SamplePart {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        self.sample.as_ref().expect(GIVEN)
    }
}

impl DerefMut for SamplePart {
    fn deref_mut(&mut self) -> &mut BytesMut {
        self.sample.as_mut().expect(GIVEN)
    }
}

impl Deref for Sample {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.buffer
    }
}

impl DerefMut for Sample {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }
}

/// A buffer that many have.
#[derive(Clone, Debug)]
pub struct SharedSample {
    bytes: Bytes,
    properties: SampleProperties,
}

impl SharedSample {
    pub fn properties(&self) -> &SampleProperties {
        &self.properties
    }

    pub fn slice(&self, range: impl RangeBounds<usize>) -> SharedSample {
        SharedSample {
            bytes: self.bytes.slice(range),
            properties: self.properties.clone(),
        }
    }

    /// Two `Bytes` cannot be joined.
    pub fn try_unsplit(&mut self, next: SharedSample) -> Result<(), SharedSample> {
        Err(next)
    }
}

impl Deref for SharedSample {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
