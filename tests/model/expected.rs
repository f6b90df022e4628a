//! The model: what a pool is expected to do, written as plainly as can be.

use crate::operations::Happening;
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{CommitError, GetBufferError, Pool, Properties, SetPropertiesError, State};
use std::collections::{HashMap, VecDeque};

/// Where a get stands.
#[derive(Clone, Copy, Debug)]
enum Stage {
    New,
    Waiting { gathered: usize },
    Handed,
    Failed(GetBufferError),
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    wanted: usize,
    stage: Stage,
    wakes: usize,
}

#[derive(Debug)]
struct Listener {
    to: Happening,
    happened: bool,
}

#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) properties: Properties,
    /// How often the callback was called.
    pub(crate) calls: usize,
    state: State,
    flushing: bool,
    notify: bool,
    max_waiters: usize,
    home: usize,
    line: VecDeque<u64>,
    asked: HashMap<u64, Asked>,
    listeners: HashMap<u64, Listener>,
    /// The most that were out at once since the commit.
    peak: usize,
    acquired: u64,
    released: u64,
    waited: u64,
    exhausted: u64,
    cancelled: u64,
    /// Gets that were dropped after they had failed and before they were polled: counted or not.
    perhaps_cancelled: u64,
}

impl Expected {
    pub(crate) fn new(max_waiters: usize) -> Self {
        Expected {
            properties: Properties {
                align: 1,
                ..Properties::default()
            },
            calls: 0,
            state: State::Configured,
            flushing: false,
            notify: false,
            max_waiters,
            home: 0,
            line: VecDeque::new(),
            asked: HashMap::new(),
            listeners: HashMap::new(),
            peak: 0,
            acquired: 0,
            released: 0,
            waited: 0,
            exhausted: 0,
            cancelled: 0,
            perhaps_cancelled: 0,
        }
    }

    fn may_want(&self, wanted: usize) -> Result<(), GetBufferError> {
        if self.state != State::Committed {
            Err(GetBufferError::NotCommitted)
        } else if self.flushing {
            Err(GetBufferError::Flushing)
        } else if wanted > self.properties.buffers {
            Err(GetBufferError::TooMany)
        } else {
            Ok(())
        }
    }

    fn can_have(&self, wanted: usize) -> bool {
        wanted == 0 || (self.line.is_empty() && self.home >= wanted)
    }

    fn take(&mut self, count: usize) {
        self.home -= count;
        self.peak = self.peak.max(self.properties.buffers - self.home);
    }

    pub(crate) fn try_take(&mut self, wanted: usize) -> Result<usize, GetBufferError> {
        self.may_want(wanted)?;
        if !self.can_have(wanted) {
            self.exhausted += 1;
            return Err(GetBufferError::Exhausted);
        }
        self.take(wanted);
        self.acquired += wanted as u64;
        Ok(wanted)
    }

    pub(crate) fn ask(&mut self, name: u64, wanted: usize) {
        let asked = Asked {
            wanted,
            stage: Stage::New,
            wakes: 0,
        };
        self.asked.insert(name, asked);
    }

    /// What a poll of the get answers; `None` if it waits.
    pub(crate) fn poll(&mut self, name: u64) -> Option<Result<usize, GetBufferError>> {
        let Asked { wanted, stage, .. } = self.asked[&name];
        let answer = match stage {
            Stage::New => self.first_poll(name, wanted)?,
            Stage::Waiting { .. } => return None,
            Stage::Handed => Ok(wanted),
            Stage::Failed(error) => Err(error),
        };
        self.asked.remove(&name);
        self.acquired += answer.unwrap_or(0) as u64;
        Some(answer)
    }

    fn first_poll(&mut self, name: u64, wanted: usize) -> Option<Result<usize, GetBufferError>> {
        if let Err(error) = self.may_want(wanted) {
            return Some(Err(error));
        }
        if self.can_have(wanted) {
            self.take(wanted);
            return Some(Ok(wanted));
        }
        if self.line.len() >= self.max_waiters {
            return Some(Err(GetBufferError::TooManyWaiters));
        }
        let gathered = if self.line.is_empty() { self.home } else { 0 };
        self.take(gathered);
        self.waited += 1;
        self.line.push_back(name);
        self.set_stage(name, Stage::Waiting { gathered });
        None
    }

    fn set_stage(&mut self, name: u64, stage: Stage) {
        let asked = self.asked.get_mut(&name).expect("it was asked for");
        asked.stage = stage;
        if let Stage::Handed | Stage::Failed(_) = stage {
            asked.wakes += 1;
        }
    }

    /// Who waits is woken when it is told.
    pub(crate) fn wakes(&self, name: u64) -> usize {
        self.asked[&name].wakes
    }

    pub(crate) fn abandon(&mut self, name: u64) {
        let asked = self.asked.remove(&name).expect("it was asked for");
        let had = match asked.stage {
            Stage::New => return,
            Stage::Waiting { gathered } => gathered,
            Stage::Handed => asked.wanted,
            Stage::Failed(_) => {
                self.perhaps_cancelled += 1;
                return;
            }
        };
        self.cancelled += 1;
        self.line.retain(|&other| other != name);
        for _ in 0..had {
            self.come_home();
        }
        self.end_drain();
    }

    /// One slot goes to the first in line, or home.
    fn come_home(&mut self) {
        let Some(&front) = self.line.front() else {
            self.home += 1;
            return;
        };
        let Asked { wanted, stage, .. } = self.asked[&front];
        let gathered = match stage {
            Stage::Waiting { gathered } => gathered + 1,
            _ => unreachable!("who is in line waits"),
        };
        if gathered == wanted {
            self.line.pop_front();
            self.set_stage(front, Stage::Handed);
        } else {
            self.set_stage(front, Stage::Waiting { gathered });
        }
    }

    fn end_drain(&mut self) {
        if self.state == State::Draining && self.home == self.properties.buffers {
            self.state = State::Configured;
            self.happens(Happening::Drain);
        }
    }

    fn happens(&mut self, what: Happening) {
        for listener in self.listeners.values_mut() {
            listener.happened |= listener.to == what;
        }
    }

    pub(crate) fn release(&mut self) {
        self.released += 1;
        self.come_home();
        self.end_drain();
        self.happens(Happening::Release);
        self.calls += usize::from(self.notify);
    }

    /// Whether a callback was set before.
    pub(crate) fn set_notify(&mut self, set: bool) -> bool {
        std::mem::replace(&mut self.notify, set)
    }

    pub(crate) fn listen(&mut self, name: u64, to: Happening) {
        let idle = matches!(self.state, State::Unconfigured | State::Configured);
        let happened = to == Happening::Drain && idle;
        self.listeners.insert(name, Listener { to, happened });
    }

    pub(crate) fn has_happened(&self, name: u64) -> bool {
        self.listeners[&name].happened
    }

    pub(crate) fn forget(&mut self, name: u64) {
        self.listeners.remove(&name);
    }

    fn turn_away(&mut self, error: GetBufferError) {
        while let Some(name) = self.line.pop_front() {
            if let Stage::Waiting { gathered } = self.asked[&name].stage {
                self.home += gathered;
            }
            self.set_stage(name, Stage::Failed(error));
        }
    }

    pub(crate) fn decommit(&mut self) {
        if self.state == State::Committed {
            self.state = State::Draining;
            self.turn_away(GetBufferError::NotCommitted);
            self.end_drain();
        }
    }

    pub(crate) fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
        if flushing {
            self.turn_away(GetBufferError::Flushing);
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), CommitError> {
        let Properties { buffers, size, .. } = self.properties;
        match self.state {
            State::Committed => {}
            State::Draining => self.state = State::Committed,
            _ if buffers == 0 || size == 0 => return Err(CommitError::SizeNotSet),
            _ => {
                self.state = State::Committed;
                self.peak = 0;
            }
        }
        Ok(())
    }

    pub(crate) fn set_properties(
        &mut self,
        requested: Properties,
    ) -> Result<Properties, SetPropertiesError> {
        if requested.align == 0 {
            return Err(SetPropertiesError::BadAlign);
        }
        match self.state {
            State::Committed => return Err(SetPropertiesError::AlreadyCommitted),
            State::Draining => return Err(SetPropertiesError::BuffersOutstanding),
            _ if requested.buffers > 1000 => return Err(SetPropertiesError::TooLarge),
            _ => {}
        }
        let stride = (requested.size + requested.prefix).next_multiple_of(requested.align);
        self.properties = Properties {
            size: stride - requested.prefix,
            ..requested
        };
        self.home = requested.buffers;
        Ok(self.properties)
    }

    /// Compares what the pool says of itself.
    pub(crate) fn compare(&self, pool: &Pool) -> TestCaseResult {
        let status = pool.status();
        let out = self.properties.buffers - self.home;
        prop_assert_eq!(pool.state(), self.state);
        prop_assert_eq!(status.state, self.state);
        prop_assert_eq!(pool.is_flushing(), self.flushing);
        prop_assert_eq!(pool.properties(), self.properties);
        prop_assert_eq!(pool.free_count(), self.home);
        prop_assert_eq!((status.free, status.outstanding), (self.home, out));
        prop_assert_eq!(status.waiting, self.line.len());
        prop_assert_eq!(status.acquired, self.acquired);
        prop_assert_eq!(status.released, self.released);
        prop_assert_eq!(status.waited, self.waited);
        prop_assert_eq!(status.exhausted, self.exhausted);
        prop_assert_eq!((status.timed_out, status.callback_panics), (0, 0));
        prop_assert!(status.cancelled >= self.cancelled);
        prop_assert!(status.cancelled <= self.cancelled + self.perhaps_cancelled);
        prop_assert!(
            status.high_water >= self.peak,
            "{:?}, {}",
            status,
            self.peak
        );
        prop_assert_eq!(pool.region().is_some(), self.state == State::Committed);
        Ok(())
    }
}
