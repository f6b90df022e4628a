//! Nobody is told, because the feature `tracing` is off.

#![forbid(unsafe_code)]

use crate::{engine::Engine, raw::waiter::Ticket, watch_waits::Stall};
use std::io;

pub(crate) fn wait_began(_engine: &Engine, _ticket: &Ticket, _wanted: usize) {}

pub(crate) fn wait_ended(_engine: &Engine, _ticket: &Ticket, _how: &'static str) {}

pub(crate) fn exhausted(_engine: &Engine, _wanted: usize) {}

pub(crate) fn drain_began(_engine: &Engine) {}

pub(crate) fn drain_cancelled(_engine: &Engine) {}

pub(crate) fn drain_ended(_engine: &Engine) {}

pub(crate) fn memory_kept(_engine: &Engine, _bytes: usize, _reason: &io::Error) {}

pub(crate) fn no_huge_pages(_engine: &Engine, _reason: &io::Error) {}

pub(crate) fn callback_panicked(_engine: &Engine) {}

pub(crate) fn long_wait(_wait: &Stall) {}
