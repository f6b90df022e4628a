//! Motion JPEG: pictures one after the other, each of which can be shown without another.

pub(crate) mod parser;
pub(crate) mod part;
