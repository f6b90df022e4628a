//! The real pool beside the model, step by step.

use super::{
    expected::Expected,
    held::{Edit, Held},
    operations::{Ask, Happening, Operation, Payer, Settings},
};
use crate::polling::Polled;
use futures::future::{BoxFuture, FutureExt, TryFutureExt};
use proptest::{prelude::*, test_runner::TestCaseResult};
use sample_pool::{
    Drained, GetBuffer, GetBufferError, GetBufferOwned, GetBuffers, Pool, Properties, Quota,
    Region, Released, Sample,
};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
};

/// A get of any kind.
enum Get<'a> {
    One(Polled<GetBuffer<'a>>),
    Owned(Polled<GetBufferOwned>),
    Many(Polled<GetBuffers<'a>>),
    Charged(Polled<BoxFuture<'a, Result<Vec<Sample>, GetBufferError>>>),
}

impl Get<'_> {
    fn poll(&mut self) -> Poll<Result<Vec<Sample>, GetBufferError>> {
        match self {
            Get::One(get) => get.poll().map_ok(|sample| vec![sample]),
            Get::Owned(get) => get.poll().map_ok(|sample| vec![sample]),
            Get::Many(get) => get.poll(),
            Get::Charged(get) => get.poll(),
        }
    }

    fn wakes(&self) -> usize {
        match self {
            Get::One(get) => get.wakes(),
            Get::Owned(get) => get.wakes(),
            Get::Many(get) => get.wakes(),
            Get::Charged(get) => get.wakes(),
        }
    }
}

/// A get of a quota.
fn charged(quota: &Quota, ask: Ask) -> BoxFuture<'_, Result<Vec<Sample>, GetBufferError>> {
    match ask {
        Ask::One => quota.get_buffer().map_ok(|sample| vec![sample]).boxed(),
        Ask::Owned => {
            let get = quota.get_buffer_owned();
            get.map_ok(|sample| vec![sample]).boxed()
        }
        Ask::Many(count) => quota.get_buffers(count).boxed(),
    }
}

/// A future of an event of the pool.
enum Event<'a> {
    Released(Polled<Released<'a>>),
    Drained(Polled<Drained>),
}

/// The two quotas of a pool.
struct Quotas {
    ordinary: Quota,
    priority: Quota,
}

impl Quotas {
    fn new(pool: &Pool, limit: usize) -> Self {
        Quotas {
            ordinary: pool.quota("ordinary", limit),
            priority: pool.priority_quota("priority", limit),
        }
    }

    fn get(&self, payer: Payer) -> Option<&Quota> {
        match payer {
            Payer::Pool => None,
            Payer::Quota => Some(&self.ordinary),
            Payer::HighPriority => Some(&self.priority),
        }
    }
}

/// The real pool and what was taken from it, beside the model.
struct World<'a> {
    pool: &'a Pool,
    quotas: &'a Quotas,
    /// `Bytes` of no bytes, which are kept to the end and hold nothing.
    empty: Vec<Held>,
    clones: Vec<Pool>,
    expected: Expected,
    gets: HashMap<u64, Get<'a>>,
    payers_of_gets: HashMap<u64, Payer>,
    events: HashMap<u64, Event<'a>>,
    held: Vec<Held>,
    /// The number of handles to each slot that a user holds.
    handles: HashMap<usize, usize>,
    /// What each of them was taken through.
    payers: HashMap<usize, Payer>,
    calls: Arc<AtomicUsize>,
    region: Option<Region>,
    tracked: bool,
}

/// The key that `choice` selects.
fn choose<T>(values: &HashMap<u64, T>, choice: usize) -> Option<u64> {
    let mut keys: Vec<u64> = values.keys().copied().collect();
    keys.sort_unstable();
    (!keys.is_empty()).then(|| keys[choice % keys.len()])
}

fn name() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<'a> World<'a> {
    fn new(pool: &'a Pool, quotas: &'a Quotas, settings: &Settings) -> Self {
        World {
            pool,
            quotas,
            empty: Vec::new(),
            clones: Vec::new(),
            expected: Expected::new(settings),
            gets: HashMap::new(),
            payers_of_gets: HashMap::new(),
            events: HashMap::new(),
            held: Vec::new(),
            handles: HashMap::new(),
            payers: HashMap::new(),
            calls: Arc::default(),
            region: None,
            tracked: settings.track_holders,
        }
    }

    fn step(&mut self, operation: &Operation) -> TestCaseResult {
        match *operation {
            Operation::Begin(payer, ask) => self.begin(payer, ask),
            Operation::Poll(choice) => self.poll(choice)?,
            Operation::Abandon(choice) => {
                if let Some(name) = choose(&self.gets, choice) {
                    self.expected.abandon(name);
                    self.gets.remove(&name);
                }
            }
            Operation::Try(payer) => {
                let expected = self.expected.try_take(payer, 1);
                let got = match self.quotas.get(payer) {
                    Some(quota) => quota.try_get_buffer(),
                    None => self.pool.try_get_buffer(),
                };
                self.receive(payer, got.map(|sample| vec![sample]), expected)?;
            }
            Operation::TryMany(payer, count) => {
                let expected = self.expected.try_take(payer, count);
                let got = match self.quotas.get(payer) {
                    Some(quota) => quota.try_get_buffers(count),
                    None => self.pool.try_get_buffers(count),
                };
                self.receive(payer, got, expected)?;
            }
            Operation::TryUpTo(payer, count) => {
                let there = self.expected.up_to(payer, count);
                let expected = self.expected.try_take(payer, there);
                let got = match self.quotas.get(payer) {
                    Some(quota) => quota.try_get_up_to(count),
                    None => self.pool.try_get_up_to(count),
                };
                self.receive(payer, got, expected)?;
            }
            Operation::Edit(choice, edit) => self.edit(choice, edit)?,
            Operation::Share(choice) => {
                self.replace(choice, |held| Ok(held.share()))?;
            }
            Operation::Duplicate(choice, from, len) => self.duplicate(choice, from, len),
            Operation::Unshare(choice) => {
                let handles = self.handles.clone();
                self.replace(choice, |held| held.unshare(&handles))?;
            }
            Operation::Divide(choice) => {
                self.replace(choice, |held| Ok(held.divide()))?;
            }
            Operation::Split(choice, way, at) => self.split(choice, way, at),
            Operation::Join(one, two) => self.join(one, two)?,
            Operation::IntoBytes(choice) => self.make_bytes(choice)?,
            Operation::Release(choice) => drop(self.release(choice)),
            Operation::ReleaseAll(choice, most) => {
                let all = (0..most).filter_map(|_| self.release(choice));
                Held::release_all(all.collect());
            }
            Operation::Notify(set) => self.notify(set)?,
            Operation::Listen(to) => self.listen(to),
            Operation::PollEvent(choice) => self.poll_event(choice)?,
            Operation::ForgetEvent(choice) => {
                if let Some(name) = choose(&self.events, choice) {
                    self.expected.forget(name);
                    self.events.remove(&name);
                }
            }
            Operation::Decommit => {
                self.expected.decommit();
                self.pool.decommit();
            }
            Operation::Commit => self.commit()?,
            Operation::Flush(flushing) => {
                self.expected.set_flushing(flushing);
                self.pool.set_flushing(flushing);
            }
            Operation::SetProperties(requested) => {
                let expected = self.expected.set_properties(requested);
                prop_assert_eq!(self.pool.set_properties(requested), expected);
                if expected.is_ok() {
                    self.region = None;
                }
            }
            Operation::CloneHandle => self.clones.push(self.pool.clone()),
            Operation::DropHandle => drop(self.clones.pop()),
        }
        self.compare()
    }

    fn begin(&mut self, payer: Payer, ask: Ask) {
        let name = name();
        let wanted = match ask {
            Ask::One | Ask::Owned => 1,
            Ask::Many(wanted) => wanted,
        };
        let get = match (self.quotas.get(payer), ask) {
            (None, Ask::One) => Get::One(Polled::new(self.pool.get_buffer())),
            (None, Ask::Owned) => Get::Owned(Polled::new(self.pool.get_buffer_owned())),
            (None, Ask::Many(n)) => Get::Many(Polled::new(self.pool.get_buffers(n))),
            (Some(quota), ask) => Get::Charged(Polled::new(charged(quota, ask))),
        };
        self.expected.ask(name, payer, wanted);
        self.payers_of_gets.insert(name, payer);
        self.gets.insert(name, get);
    }

    fn poll(&mut self, choice: usize) -> TestCaseResult {
        let Some(name) = choose(&self.gets, choice) else {
            return Ok(());
        };
        let expected = self.expected.poll(name);
        let got = self.gets.get_mut(&name).map(Get::poll);
        match (got, expected) {
            (Some(Poll::Ready(got)), Some(expected)) => {
                self.gets.remove(&name);
                let payer = self.payers_of_gets[&name];
                self.receive(payer, got, expected)
            }
            (Some(Poll::Pending), None) => Ok(()),
            (got, expected) => {
                prop_assert!(false, "got {:?}, expected {:?}", got, expected);
                Ok(())
            }
        }
    }

    /// Gives samples to the user, and checks that they are as new.
    fn receive(
        &mut self,
        payer: Payer,
        got: Result<Vec<Sample>, GetBufferError>,
        expected: Result<usize, GetBufferError>,
    ) -> TestCaseResult {
        prop_assert_eq!(got.as_ref().map(Vec::len), expected.as_ref().copied());
        for sample in got.into_iter().flatten() {
            let properties = self.expected.properties;
            prop_assert!(sample.index() < properties.buffers);
            let others = self.handles.insert(sample.index(), 1);
            prop_assert_eq!(others, None, "a second owner of slot {}", sample.index());
            self.payers.insert(sample.index(), payer);
            self.held.push(Held::fresh(sample, properties)?);
        }
        Ok(())
    }

    fn edit(&mut self, choice: usize, edit: Edit) -> TestCaseResult {
        let count = self.held.len().max(1);
        match self.held.get_mut(choice % count) {
            Some(held) => held.edit(edit),
            None => Ok(()),
        }
    }

    /// Converts a handle to a sample.
    fn replace(
        &mut self,
        choice: usize,
        with: impl FnOnce(Held) -> Result<Held, TestCaseError>,
    ) -> TestCaseResult {
        if !self.held.is_empty() {
            let held = self.held.swap_remove(choice % self.held.len());
            self.held.push(with(held)?);
        }
        Ok(())
    }

    /// Converts a handle to `Bytes`. `Bytes` of no bytes hold nothing, so the handle is released.
    fn make_bytes(&mut self, choice: usize) -> TestCaseResult {
        let count = self.held.len().max(1);
        let chosen = self.held.get(choice % count);
        if chosen.is_some_and(Held::is_empty) {
            let held = self.release(choice);
            self.empty.extend(held.map(Held::into_bytes));
            return Ok(());
        }
        self.replace(choice, |held| Ok(held.into_bytes()))
    }

    fn duplicate(&mut self, choice: usize, from: usize, len: usize) {
        let count = self.held.len().max(1);
        let held = self.held.get(choice % count);
        if let Some(another) = held.and_then(|held| held.part(from, len)) {
            *self.handles.entry(another.slot()).or_default() += 1;
            self.held.push(another);
        }
    }

    fn split(&mut self, choice: usize, way: usize, at: usize) {
        let count = self.held.len().max(1);
        let held = self.held.get_mut(choice % count);
        if let Some(another) = held.and_then(|held| held.split(way, at)) {
            *self.handles.entry(another.slot()).or_default() += 1;
            self.held.push(another);
        }
    }

    /// Joins a handle with another one. One handle less is no release, because the other one is left.
    fn join(&mut self, one: usize, two: usize) -> TestCaseResult {
        if self.held.len() < 2 {
            return Ok(());
        }
        let mut first = self.held.swap_remove(one % self.held.len());
        let of_slot = |&held: &usize| self.held[held].slot() == first.slot();
        let all = 0..self.held.len();
        // Mostly one of the same slot: two that are chosen from all handles are rarely neighbours.
        let among: Vec<_> = all.clone().filter(of_slot).collect();
        let next = match two % 4 {
            1.. if !among.is_empty() => among[two % among.len()],
            _ => two % all.len(),
        };
        let next = self.held.swap_remove(next);
        let slot = next.slot();
        match first.join(next)? {
            Some(refused) => self.held.push(refused),
            None => *self.handles.entry(slot).or_default() -= 1,
        }
        self.held.push(first);
        Ok(())
    }

    /// Counts a handle as released. The caller drops it.
    fn release(&mut self, choice: usize) -> Option<Held> {
        if self.held.is_empty() {
            return None;
        }
        let held = self.held.swap_remove(choice % self.held.len());
        if let Some(handles) = self.handles.get_mut(&held.slot()) {
            *handles -= 1;
            if *handles == 0 {
                self.handles.remove(&held.slot());
                self.expected.release(self.payers[&held.slot()]);
            }
        }
        Some(held)
    }

    fn notify(&mut self, set: bool) -> TestCaseResult {
        let calls = self.calls.clone();
        let old = self.pool.set_notify(set.then(|| {
            let callback: Arc<dyn sample_pool::NotifyRelease> = Arc::new(move |_pool: &Pool| {
                calls.fetch_add(1, Ordering::SeqCst);
            });
            callback
        }));
        prop_assert_eq!(old.is_some(), self.expected.set_notify(set));
        Ok(())
    }

    fn listen(&mut self, to: Happening) {
        let name = name();
        self.expected.listen(name, to);
        let event = match to {
            Happening::Release => Event::Released(Polled::new(self.pool.released())),
            Happening::Drain => Event::Drained(Polled::new(self.pool.drained())),
        };
        self.events.insert(name, event);
    }

    fn poll_event(&mut self, choice: usize) -> TestCaseResult {
        if let Some(name) = choose(&self.events, choice) {
            let polled = match self.events.get_mut(&name) {
                Some(Event::Released(event)) => event.poll(),
                Some(Event::Drained(event)) => event.poll(),
                None => Poll::Pending,
            };
            prop_assert_eq!(polled.is_ready(), self.expected.has_happened(name));
            if polled.is_ready() {
                self.expected.forget(name);
                self.events.remove(&name);
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> TestCaseResult {
        // Not comparable, as some have a source from the system.
        let committed = self.pool.commit().map_err(|error| error.to_string());
        let expected = self.expected.commit().map_err(|error| error.to_string());
        prop_assert_eq!(committed, expected);
        if let Some(region) = self.pool.region() {
            let before = *self.region.get_or_insert(region);
            prop_assert_eq!(region, before, "a commit moved the memory");
        }
        Ok(())
    }

    /// Compares everything that is observable of the pool.
    fn compare(&self) -> TestCaseResult {
        self.expected.compare(self.pool)?;
        for payer in Payer::QUOTAS {
            if let Some(quota) = self.quotas.get(payer) {
                self.expected.accounts.compare(payer, quota)?;
            }
        }
        prop_assert_eq!(self.calls.load(Ordering::SeqCst), self.expected.calls);
        for (&name, get) in &self.gets {
            prop_assert_eq!(get.wakes(), self.expected.wakes(name));
        }
        for held in &self.held {
            held.check()?;
        }
        let in_samples: HashMap<_, _> = self
            .held
            .iter()
            .map(|h| (h.slot(), h.in_sample()))
            .collect();
        let status = self.pool.status();
        prop_assert_eq!(status.bytes_used, in_samples.values().sum::<usize>());
        let Properties { size, prefix, .. } = self.expected.properties;
        prop_assert_eq!(status.bytes_pinned, status.outstanding * (size + prefix));
        let mut holders = HashMap::new();
        for holder in self.pool.holders() {
            holders.insert(holder.index, holder.handles);
        }
        if self.tracked {
            prop_assert_eq!(&holders, &self.handles);
        } else {
            prop_assert!(holders.is_empty());
        }
        Ok(())
    }
}

/// Runs all operations. Returns what the user still holds at the end.
fn play(pool: &Pool, settings: &Settings, operations: &[Operation]) -> Result<Left, TestCaseError> {
    let quotas = Quotas::new(pool, settings.limit);
    let mut world = World::new(pool, &quotas, settings);
    for operation in operations {
        world.step(operation)?;
    }
    Ok((world.held, world.handles.len()))
}

/// The handles that the user still holds, and to how many samples.
type Left = (Vec<Held>, usize);

/// Runs all operations, and then drops the pool before the remaining samples.
pub(crate) fn run(settings: &Settings, operations: &[Operation]) -> TestCaseResult {
    let pool = settings.build();
    let (held, samples) = play(&pool, settings, operations)?;
    let alive = Arc::new(AtomicUsize::new(0));
    let calls = alive.clone();
    pool.on_release(move |_pool| {
        calls.fetch_add(1, Ordering::SeqCst);
    })
    .detach();
    drop(pool);
    for held in held {
        held.check()?;
        let freed = Arc::strong_count(&alive) == 1;
        prop_assert!(!freed, "freed while a sample is out");
    }
    prop_assert_eq!(alive.load(Ordering::SeqCst), samples);
    prop_assert_eq!(Arc::strong_count(&alive), 1, "not freed");
    Ok(())
}
