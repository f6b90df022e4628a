//! The order of a wait queue, and how much it keeps, while its queue slots move.

use super::{LeaveResult, WaitQueue};
use crate::{
    slot::list::SlotList,
    sync::{AtomicUsize, Ordering},
    values::error::GetBufferError,
    wait::{
        node::{NodeRef, Outcome},
        request::{Rank, Wanted},
    },
};
use std::{
    sync::Arc,
    task::{Wake, Waker},
};

const KEPT: usize = 3;

/// A waker that stores the name of its waiter.
struct Name(usize, Arc<AtomicUsize>);

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.1.store(self.0, Ordering::Relaxed);
    }
}

/// A wait queue, and a model of it: which waiters are queued, and in which order.
struct Checked {
    queue: WaitQueue,
    waiting: Vec<(usize, NodeRef)>,
    priority: Vec<(usize, NodeRef)>,
    /// Waiters that have their outcome and have not taken it.
    served: Vec<NodeRef>,
    names: usize,
    woken: Arc<AtomicUsize>,
}

impl Checked {
    fn new() -> Self {
        Checked {
            queue: WaitQueue::new(KEPT),
            waiting: Vec::new(),
            priority: Vec::new(),
            served: Vec::new(),
            names: 0,
            woken: Arc::default(),
        }
    }

    fn waker(&self, name: usize) -> Waker {
        Waker::from(Arc::new(Name(name, self.woken.clone())))
    }

    fn of(&mut self, rank: Rank) -> &mut Vec<(usize, NodeRef)> {
        match rank {
            Rank::Ordinary => &mut self.waiting,
            Rank::HighPriority => &mut self.priority,
        }
    }

    fn join(&mut self, rank: Rank) {
        self.names += 1;
        let name = self.names;
        let waker = self.waker(name);
        let wanted = Wanted { slots: 1, rank };
        let node_ref = self.queue.join(wanted, SlotList::default(), None, waker);
        self.of(rank).push((name, node_ref));
    }

    /// Serves the head, which must be the expected waiter.
    fn serve(&mut self) {
        let rank = match self.priority.is_empty() {
            true => Rank::Ordinary,
            false => Rank::HighPriority,
        };
        if self.of(rank).is_empty() {
            assert!(self.queue.admit(1).is_none());
            return;
        }
        let (name, node_ref) = self.of(rank).remove(0);
        let (wanted, waker) = self.queue.admit(1).expect("there is room for one");
        assert_eq!(wanted, 1);
        waker.wake();
        assert_eq!(self.woken.load(Ordering::Relaxed), name);
        self.served.push(node_ref);
    }

    fn leave(&mut self, rank: Rank, which: usize) {
        if which >= self.of(rank).len() {
            return;
        }
        let (name, mut node_ref) = self.of(rank).remove(which);
        let LeaveResult::WasQueued(_, Some(waker)) = self.queue.leave(&mut node_ref) else {
            panic!("it waits, with a waker");
        };
        waker.wake();
        assert_eq!(self.woken.load(Ordering::Relaxed), name);
        node_ref.give_back();
    }

    /// A waiter that has its outcome is polled with another waker. Then it takes its outcome, or leaves without.
    fn finish(&mut self, which: usize) {
        if which >= self.served.len() {
            return;
        }
        let mut node_ref = self.served.remove(which);
        let another = self.waker(0);
        assert!(!self.queue.needs_waker(&node_ref, &another));
        drop(self.queue.replace_waker(&node_ref, another));
        if which % 2 == 0 {
            assert!(matches!(node_ref.take_outcome(), Some(Outcome::Slots(_))));
        } else {
            let left = self.queue.leave(&mut node_ref);
            assert!(matches!(left, LeaveResult::HadOutcome(Outcome::Slots(_))));
        }
        node_ref.give_back();
    }

    fn fail_all(&mut self) {
        let (wakers, _) = self.queue.fail_all(GetBufferError::Flushing);
        let mut failed: Vec<_> = self
            .priority
            .drain(..)
            .chain(self.waiting.drain(..))
            .collect();
        assert_eq!(wakers.len(), failed.len());
        for (waker, (name, node_ref)) in wakers.into_iter().zip(&mut failed) {
            waker.wake();
            assert_eq!(self.woken.load(Ordering::Relaxed), *name);
            assert!(matches!(node_ref.take_outcome(), Some(Outcome::Failed(_))));
        }
        for (_, node_ref) in failed {
            node_ref.give_back();
        }
    }

    fn check(&self) {
        let waiting = self.waiting.len() + self.priority.len();
        assert_eq!(self.queue.len(), waiting);
        assert!(self.queue.queue_slots.len() - waiting <= KEPT);
    }
}

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

/// When a queue slot is removed, the last one moves to its index. If its neighbours, or the end of its queue, still
/// link to the old index, its waiter is served out of order or never.
#[test]
fn waiters_keep_their_order_and_their_wakers_while_queue_slots_are_removed() {
    let mut numbers = Numbers(7);
    for crowd in [2, 10, 60] {
        let mut checked = Checked::new();
        for _ in 0..20_000 {
            let rank = match numbers.below(3) {
                0 => Rank::HighPriority,
                _ => Rank::Ordinary,
            };
            match numbers.below(100) {
                0..40 if checked.queue.len() < crowd => checked.join(rank),
                0..60 => checked.serve(),
                60..78 => {
                    let which = numbers.below(crowd);
                    checked.leave(rank, which);
                }
                78..99 => {
                    let which = numbers.below(crowd);
                    checked.finish(which);
                }
                _ => checked.fail_all(),
            }
            checked.check();
        }
        checked.fail_all();
        checked.served.drain(..).for_each(|mut node_ref| {
            assert!(node_ref.take_outcome().is_some());
            node_ref.give_back();
        });
    }
}

/// The capacity of the `Vec` of queue slots must shrink too.
#[test]
fn the_room_of_a_crowd_is_given_back() {
    let mut checked = Checked::new();
    for _ in 0..10_000 {
        checked.join(Rank::Ordinary);
    }
    for _ in 0..10_000 {
        checked.leave(Rank::Ordinary, 0);
    }
    assert_eq!(checked.queue.queue_slots.len(), KEPT);
    assert!(
        checked.queue.queue_slots.room() <= 4 * (KEPT + 1),
        "{}",
        checked.queue.queue_slots.room()
    );
}
