//! An async buffer pool.
#![deny(unsafe_code)]
mod acquire;
mod builder;
mod engine;
mod error;
mod foreign;
mod free_list;
mod get;
mod get_many;
mod lifecycle;
mod line;
mod media_type;
mod notify;
mod pool;
mod properties;
mod raw;
mod reference_time;
mod region_info;
mod release;
mod sample;
mod sample_properties;
mod shared;
mod signal;
mod status;
mod stripe;
mod sync;
mod watch;
mod word;

pub use builder::Builder;
pub use error::{BufferOverflow, BuildError, CommitError, GetBufferError, SetPropertiesError};
pub use get::{GetBuffer, GetBufferOwned, GetBufferTimeout};
pub use get_many::{GetBuffers, GetBuffersInto};
pub use media_type::MediaType;
pub use notify::{NotifyGuard, NotifyRelease, Released};
pub use pool::Drained;
pub use properties::Properties;
pub use raw::handle::{Pool, WeakPool};
pub use reference_time::{ReferenceTime, ReferenceTimeError};
pub use region_info::Region;
pub use sample::Sample;
pub use sample_properties::SampleProperties;
pub use shared::SharedSample;
pub use status::{Holder, State, Status};

#[cfg(all(test, loom))]
mod models;
