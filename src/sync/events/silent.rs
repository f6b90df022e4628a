//! The events without the feature `tracing`: they do nothing.

#![forbid(unsafe_code)]

use std::io;

pub(crate) fn wait_began(_pool: Option<&str>, _waiter: u32, _wanted: usize) {}

pub(crate) fn wait_ended(_pool: Option<&str>, _waiter: u32, _how: &'static str) {}

pub(crate) fn exhausted(_pool: Option<&str>, _wanted: usize) {}

pub(crate) fn drain_began(_pool: Option<&str>) {}

pub(crate) fn drain_cancelled(_pool: Option<&str>) {}

pub(crate) fn drain_ended(_pool: Option<&str>) {}

pub(crate) fn memory_kept(_pool: Option<&str>, _bytes: usize, _reason: &io::Error) {}

pub(crate) fn no_huge_pages(_pool: Option<&str>, _reason: &io::Error) {}

pub(crate) fn callback_panicked(_pool: Option<&str>) {}
