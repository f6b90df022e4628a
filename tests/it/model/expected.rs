//! The model: what a pool must do, written as simply as possible.

use super::{
    accounts::Accounts,
    asked::{Asked, Stage},
    operations::{Happening, Payer, Settings, is_too_large},
};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{CommitError, GetBufferError, Pool, Properties, SetPropertiesError, State};
use std::collections::{HashMap, VecDeque};

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
    free: usize,
    /// The priority buffers: of any pool with these properties, of this commit, and those that are free.
    priority_buffers: usize,
    priority_size: usize,
    priority_free: usize,
    queue: VecDeque<u64>,
    priority_queue: VecDeque<u64>,
    pub(crate) accounts: Accounts,
    asked: HashMap<u64, Asked>,
    listeners: HashMap<u64, Listener>,
    /// The most samples that were checked out at once since the commit.
    peak: usize,
    acquired: u64,
    released: u64,
    waited: u64,
    exhausted: u64,
    cancelled: u64,
    /// Gets that failed and were dropped before the next poll: they may be counted or not.
    perhaps_cancelled: u64,
}

impl Expected {
    pub(crate) fn new(settings: &Settings) -> Self {
        Expected {
            properties: Properties {
                align: 1,
                ..Properties::default()
            },
            calls: 0,
            state: State::Configured,
            flushing: false,
            notify: false,
            max_waiters: settings.max_waiters,
            free: 0,
            priority_buffers: settings.priority_buffers,
            priority_size: 0,
            priority_free: 0,
            queue: VecDeque::new(),
            priority_queue: VecDeque::new(),
            accounts: Accounts::new(settings),
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

    fn serves(&self) -> Result<(), GetBufferError> {
        if self.state != State::Committed {
            Err(GetBufferError::NotCommitted)
        } else if self.flushing {
            Err(GetBufferError::Flushing)
        } else {
            Ok(())
        }
    }

    fn may_want(&self, payer: Payer, wanted: usize) -> Result<(), GetBufferError> {
        self.serves()?;
        let in_reach = match payer {
            Payer::HighPriority => self.properties.buffers,
            _ => self.properties.buffers - self.priority_size,
        };
        if wanted > in_reach {
            return Err(GetBufferError::TooMany);
        }
        Ok(())
    }

    /// How many samples can be taken at once.
    fn available(&self, payer: Payer) -> usize {
        match payer {
            Payer::HighPriority if self.priority_queue.is_empty() => self.free + self.priority_free,
            Payer::HighPriority => 0,
            _ if self.queue.is_empty() && self.priority_queue.is_empty() => self.free,
            _ => 0,
        }
    }

    fn can_have(&self, payer: Payer, wanted: usize) -> bool {
        wanted <= self.available(payer)
    }

    fn out(&self) -> usize {
        self.properties.buffers - self.free - self.priority_free
    }

    fn take(&mut self, count: usize) {
        let common = count.min(self.free);
        self.free -= common;
        self.priority_free -= count - common;
        self.peak = self.peak.max(self.out());
    }

    pub(crate) fn try_take(
        &mut self,
        payer: Payer,
        wanted: usize,
    ) -> Result<usize, GetBufferError> {
        if !self.accounts.charge(payer, wanted) {
            self.may_want(payer, wanted)?;
            self.accounts.may_want(payer, wanted)?;
            self.exhausted += 1;
            return Err(GetBufferError::Exhausted);
        }
        let taken = self.try_take_charged(payer, wanted);
        if taken.is_err() {
            self.give_back(payer, wanted);
        }
        taken
    }

    /// How many samples a get of up to `most` takes. With none free it fails as a get of one does.
    pub(crate) fn up_to(&self, payer: Payer, most: usize) -> usize {
        let there = self.available(payer).min(self.accounts.room(payer));
        there.max(1).min(most)
    }

    fn try_take_charged(&mut self, payer: Payer, wanted: usize) -> Result<usize, GetBufferError> {
        self.may_want(payer, wanted)?;
        if !self.can_have(payer, wanted) {
            self.exhausted += 1;
            return Err(GetBufferError::Exhausted);
        }
        self.take(wanted);
        self.acquired += wanted as u64;
        Ok(wanted)
    }

    fn give_back(&mut self, payer: Payer, count: usize) {
        let admitted = self.accounts.give_back(payer, count);
        self.admit(admitted);
    }

    fn admit(&mut self, names: Vec<u64>) {
        for name in names {
            self.set_stage(name, Stage::Admitted);
        }
    }

    pub(crate) fn ask(&mut self, name: u64, payer: Payer, wanted: usize) {
        let asked = Asked {
            payer,
            wanted,
            stage: Stage::New,
            wakes: 0,
        };
        self.asked.insert(name, asked);
    }

    /// The result of a poll of the get; `None` if it waits.
    pub(crate) fn poll(&mut self, name: u64) -> Option<Result<usize, GetBufferError>> {
        let Asked {
            payer,
            wanted,
            stage,
            ..
        } = self.asked[&name];
        let (answer, charged) = match stage {
            Stage::New => match self.ask_for_room(name, payer, wanted)? {
                Ok(()) => (self.ask_for_slots(name, payer, wanted)?, wanted),
                Err(error) => (Err(error), 0),
            },
            Stage::Admitted => (self.ask_for_slots(name, payer, wanted)?, wanted),
            Stage::TurnedAway(error) => (Err(error), wanted),
            Stage::WaitingForRoom | Stage::Waiting { .. } => return None,
            Stage::Handed => (Ok(wanted), wanted),
            Stage::Failed(error, charged) => (Err(error), charged),
        };
        self.asked.remove(&name);
        if answer.is_err() {
            self.give_back(payer, charged);
        }
        self.acquired += answer.unwrap_or(0) as u64;
        Some(answer)
    }

    /// Takes room for the wanted samples; `None` if the get waits for room.
    fn ask_for_room(
        &mut self,
        name: u64,
        payer: Payer,
        wanted: usize,
    ) -> Option<Result<(), GetBufferError>> {
        if self.accounts.charge(payer, wanted) {
            return Some(Ok(()));
        }
        let max_waiters = self.max_waiters;
        let joined = self
            .may_want(payer, wanted)
            .and_then(|()| self.accounts.join(payer, name, wanted, max_waiters));
        if let Err(error) = joined {
            return Some(Err(error));
        }
        self.waited += 1; // and once more if it waits for a sample then
        self.set_stage(name, Stage::WaitingForRoom);
        None
    }

    /// Takes the wanted samples; `None` if the get waits in the queue.
    fn ask_for_slots(
        &mut self,
        name: u64,
        payer: Payer,
        wanted: usize,
    ) -> Option<Result<usize, GetBufferError>> {
        if let Err(error) = self.may_want(payer, wanted) {
            return Some(Err(error));
        }
        if self.can_have(payer, wanted) {
            self.take(wanted);
            return Some(Ok(wanted));
        }
        let waiting = self.queue.len() + self.priority_queue.len();
        if payer != Payer::HighPriority && waiting >= self.max_waiters {
            return Some(Err(GetBufferError::TooManyWaiters));
        }
        let gathered = self.available(payer);
        self.take(gathered);
        self.waited += 1;
        match payer {
            Payer::HighPriority => self.priority_queue.push_back(name),
            _ => self.queue.push_back(name),
        }
        self.set_stage(name, Stage::Waiting { gathered });
        if payer == Payer::HighPriority {
            self.give_up_gathered(self.properties.buffers - wanted);
        }
        None
    }

    /// What the head of the queue has gathered beyond `most` goes to a get of high priority.
    fn give_up_gathered(&mut self, most: usize) {
        let Some(&head) = self.queue.front() else {
            return;
        };
        if let Stage::Waiting { gathered } = self.asked[&head].stage {
            let kept = gathered.min(most);
            self.set_stage(head, Stage::Waiting { gathered: kept });
            (kept..gathered).for_each(|_| self.release_slot());
        }
    }

    fn set_stage(&mut self, name: u64, stage: Stage) {
        let asked = self.asked.get_mut(&name).expect("it was asked for");
        asked.stage = stage;
        if let Stage::Admitted | Stage::Handed | Stage::Failed(..) = stage {
            asked.wakes += 1;
        }
    }

    /// A waiter is woken when it gets its result.
    pub(crate) fn wakes(&self, name: u64) -> usize {
        self.asked[&name].wakes
    }

    pub(crate) fn abandon(&mut self, name: u64) {
        let asked = self.asked.remove(&name).expect("it was asked for");
        let (had, charged) = match asked.stage {
            Stage::New => return,
            Stage::WaitingForRoom => (0, 0),
            Stage::Admitted => (0, asked.wanted),
            Stage::Waiting { gathered } => (gathered, asked.wanted),
            Stage::Handed => (asked.wanted, asked.wanted),
            Stage::TurnedAway(_) => return self.give_back(asked.payer, asked.wanted),
            Stage::Failed(_, charged) => {
                self.perhaps_cancelled += 1;
                return self.give_back(asked.payer, charged);
            }
        };
        self.cancelled += 1;
        self.queue.retain(|&other| other != name);
        self.priority_queue.retain(|&other| other != name);
        let admitted = self.accounts.leave(asked.payer, name);
        self.admit(admitted);
        for _ in 0..had {
            self.release_slot();
        }
        self.end_drain();
        self.give_back(asked.payer, charged);
    }

    /// One slot goes to the head of the queue, to the priority buffers, or to the free list.
    fn release_slot(&mut self) {
        if self.priority_queue.is_empty() && self.priority_free < self.priority_size {
            self.priority_free += 1;
            return;
        }
        let queue = match self.priority_queue.is_empty() {
            true => &mut self.queue,
            false => &mut self.priority_queue,
        };
        let Some(&head) = queue.front() else {
            self.free += 1;
            return;
        };
        let Asked { wanted, stage, .. } = self.asked[&head];
        let gathered = match stage {
            Stage::Waiting { gathered } => gathered + 1,
            _ => unreachable!("a queued get waits"),
        };
        if gathered == wanted {
            queue.pop_front();
            self.set_stage(head, Stage::Handed);
        } else {
            self.set_stage(head, Stage::Waiting { gathered });
        }
    }

    fn end_drain(&mut self) {
        if self.state == State::Draining && self.free == self.properties.buffers {
            self.state = State::Configured;
            self.happens(Happening::Drain);
        }
    }

    fn happens(&mut self, what: Happening) {
        for listener in self.listeners.values_mut() {
            listener.happened |= listener.to == what;
        }
    }

    pub(crate) fn release(&mut self, payer: Payer) {
        self.released += 1;
        self.give_back(payer, 1);
        self.release_slot();
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
        let mut orphans = 0;
        let mut waiting = std::mem::take(&mut self.priority_queue);
        waiting.append(&mut self.queue);
        for name in waiting {
            if let Stage::Waiting { gathered } = self.asked[&name].stage {
                orphans += gathered;
            }
            let charged = self.asked[&name].wanted;
            self.set_stage(name, Stage::Failed(error, charged));
        }
        for _ in 0..orphans {
            self.release_slot();
        }
        // They were woken when they were admitted.
        for asked in self.asked.values_mut() {
            if let Stage::Admitted | Stage::TurnedAway(_) = asked.stage {
                asked.stage = Stage::TurnedAway(error);
            }
        }
        for name in self.accounts.turn_away() {
            self.set_stage(name, Stage::Failed(error, 0));
        }
    }

    fn fill_priority_buffers(&mut self) {
        self.priority_size = self.priority_buffers.min(self.properties.buffers - 1);
        let kept = self.free.min(self.priority_size);
        self.free -= kept;
        self.priority_free += kept;
    }

    pub(crate) fn decommit(&mut self) {
        if self.state == State::Committed {
            self.state = State::Draining;
            self.free += self.priority_free;
            (self.priority_size, self.priority_free) = (0, 0);
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
            State::Draining => {
                self.state = State::Committed;
                self.fill_priority_buffers();
            }
            _ if buffers == 0 || size == 0 => return Err(CommitError::SizeNotSet),
            _ => {
                self.state = State::Committed;
                self.peak = 0;
                self.fill_priority_buffers();
            }
        }
        Ok(())
    }

    pub(crate) fn set_properties(
        &mut self,
        requested: Properties,
    ) -> Result<Properties, SetPropertiesError> {
        match self.state {
            _ if requested.align == 0 => return Err(SetPropertiesError::BadAlign),
            State::Committed => return Err(SetPropertiesError::AlreadyCommitted),
            State::Draining => return Err(SetPropertiesError::BuffersOutstanding),
            _ => {}
        }
        let stride = (requested.size + requested.prefix).next_multiple_of(requested.align);
        if is_too_large(requested.buffers, stride) {
            return Err(SetPropertiesError::TooLarge);
        }
        self.properties = Properties {
            size: stride - requested.prefix,
            ..requested
        };
        self.free = requested.buffers;
        Ok(self.properties)
    }

    /// Compares the model with the status of the pool.
    pub(crate) fn compare(&self, pool: &Pool) -> TestCaseResult {
        let status = pool.status();
        let (out, free) = (self.out(), self.free + self.priority_free);
        prop_assert_eq!(pool.state(), self.state);
        prop_assert_eq!(status.state, self.state);
        prop_assert_eq!(pool.is_flushing(), self.flushing);
        prop_assert_eq!(pool.properties(), self.properties);
        prop_assert_eq!(pool.free_count(), free);
        prop_assert_eq!((status.free, status.outstanding), (free, out));
        prop_assert_eq!(status.priority_free, self.priority_free);
        let waiting = self.queue.len() + self.priority_queue.len();
        prop_assert_eq!(status.waiting, waiting);
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
