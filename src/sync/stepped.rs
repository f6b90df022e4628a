//! Tokio's `Notify` with a switch point before each operation.
//!
//! Loom and shuttle see no switch point inside Tokio's `Notify`. With the bare type, a test would pass although a
//! seeded bug loses a wake-up.

use super::Step;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Tokio's `Notify`, with a switch point before each operation.
#[derive(Debug)]
pub(crate) struct Notify {
    real: Arc<tokio::sync::Notify>,
    step: Arc<Step>,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Notify {
            real: Arc::default(),
            step: Arc::new(Step::new()),
        }
    }

    pub(crate) fn notify_one(&self) {
        self.step.take();
        self.real.notify_one();
    }

    pub(crate) fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        self.listen()
    }

    fn listen(&self) -> OwnedNotified {
        self.step.take();
        OwnedNotified {
            real: Some(Box::pin(self.real.clone().notified_owned())),
            step: self.step.clone(),
        }
    }
}

/// Tokio's `OwnedNotified`, with a switch point before each operation, its drop included.
#[derive(Debug)]
pub(crate) struct OwnedNotified {
    real: Option<Pin<Box<tokio::sync::futures::OwnedNotified>>>,
    step: Arc<Step>,
}

impl OwnedNotified {
    pub(crate) fn enable(mut self: Pin<&mut Self>) -> bool {
        self.step.take();
        let real = self.real.as_mut().expect("only the drop takes it");
        real.as_mut().enable()
    }
}

impl Future for OwnedNotified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.step.take();
        let real = self.real.as_mut().expect("only the drop takes it");
        real.as_mut().poll(cx)
    }
}

impl Drop for OwnedNotified {
    fn drop(&mut self) {
        // A switch point in a thread that unwinds could panic again, which aborts the test.
        if !std::thread::panicking() {
            self.step.take();
        }
        self.real = None;
    }
}
