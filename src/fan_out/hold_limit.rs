//! The samples in the hands of subscribers: each counts once, however many of them have it.

use crate::sync::watch;
use std::{fmt, sync::Arc};
use tokio::task::coop;

/// The places for what subscribers have taken and not let go of: of one fan-out, or of many together.
///
/// Clones are handles to the same places. With them, a server with a pool and many channels bounds what all
/// viewers of all channels hold, and one channel may use what the others do not.
///
/// # Examples
///
/// ```
/// use sample_pool::{Pool, fan_out::{FanOut, Hands}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(12).build()?;
/// let hands = Hands::new(3);
/// let channels = [(); 2].map(|()| FanOut::with_hands(4, &hands));
/// let mut viewers = channels.each_ref().map(|channel| channel.subscribe(1));
/// for channel in &channels {
///     channel.send(pool.get_buffer().await?.freeze())?;
/// }
/// let [mut one, mut other] = viewers.each_mut();
/// let frames = (one.next().await, other.next().await);
/// assert_eq!(hands.taken(), 2);
/// # drop(frames);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hands(Arc<Places>);

struct Places {
    most: usize,
    taken: watch::Sender<Taken>,
    /// Told when a sample is wanted. Not by `taken`, which would wake everybody who has one at each release.
    wanted: watch::Sender<()>,
}

pub(super) struct Taken {
    /// In the order in which they were taken first. As many as there are places; never grows.
    samples: Vec<Holding>,
    /// The sample whose place is asked for, while none is left.
    wanted: Option<Key>,
    /// How many fan-outs have had these places.
    fan_outs: u64,
}

struct Holding {
    sample: Key,
    holders: usize,
}

/// Which sample it is, of all fan-outs that share the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) fan_out: u64,
    pub(super) number: u64,
}

/// There was no place for a sample.
#[derive(Debug)]
#[must_use = "those who have the one that is wanted must be told"]
pub(super) struct NoPlace {
    /// Whether it is another one that is wanted since.
    is_news: bool,
}

impl Hands {
    /// Places for `most` different samples.
    ///
    /// # Panics
    ///
    /// If that is zero, or so large that memory for the places is refused: it is allocated here.
    #[must_use]
    pub fn new(most: usize) -> Self {
        assert!(most > 0, "with no place in the hands nothing is taken");
        let mut samples = Vec::new();
        // The number is the user's, so refused memory is a panic and does not abort the process.
        if let Err(error) = samples.try_reserve_exact(most) {
            panic!("no memory for {most} places in the hands of subscribers: {error}");
        }
        Hands(Arc::new(Places {
            most,
            taken: watch::Sender::new(Taken {
                samples,
                wanted: None,
                fan_outs: 0,
            }),
            wanted: watch::Sender::new(()),
        }))
    }

    /// How many different samples are in them.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.taken.borrow().samples.len()
    }

    /// How many different samples of one fan-out are in them.
    pub(super) fn taken_of(&self, fan_out: u64) -> usize {
        let taken = self.0.taken.borrow();
        let samples = taken.samples.iter();
        samples
            .filter(|held| held.sample.fan_out == fan_out)
            .count()
    }

    /// How many there can be.
    #[must_use]
    pub fn places(&self) -> usize {
        self.0.most
    }

    /// A number for one more fan-out.
    pub(super) fn join(&self) -> u64 {
        let mut number = 0;
        self.0.taken.send_if_modified(|taken| {
            number = taken.fan_outs;
            taken.fan_outs += 1;
            false
        });
        number
    }

    /// Tells of every place that becomes free.
    pub(super) fn watch(&self) -> watch::Receiver<Taken> {
        self.0.taken.subscribe()
    }

    /// Takes a sample; if that needs a place and none is left, the one that was taken first is wanted. Wakes nobody, as
    /// the window is locked meanwhile.
    pub(super) fn take(&self, sample: Key) -> Result<Grip, NoPlace> {
        let (mut has_place, mut is_news) = (true, false);
        self.0.taken.send_if_modified(|taken| {
            // The newest are taken most often.
            let mut newest_first = taken.samples.iter_mut().rev();
            if let Some(holding) = newest_first.find(|holding| holding.sample == sample) {
                holding.holders += 1;
                return false;
            }
            has_place = taken.samples.len() < self.0.most;
            if has_place {
                taken.samples.push(Holding { sample, holders: 1 });
            } else {
                let first = taken.samples.first().map(|holding| holding.sample);
                is_news = taken.wanted != first;
                taken.wanted = first;
            }
            false
        });
        match has_place {
            true => Ok(Grip {
                hands: self.clone(),
                sample,
            }),
            false => Err(NoPlace { is_news }),
        }
    }

    /// Tells those who have the sample that is wanted.
    pub(super) fn tell(&self, no_place: NoPlace) {
        if no_place.is_news {
            self.0.wanted.send_replace(());
        }
    }

    /// Resolves when `sample` is wanted.
    pub(super) fn wanted(&self, sample: Key) -> impl Future<Output = ()> + Send + Sync + use<> {
        let (hands, mut wanted) = (self.clone(), self.0.wanted.subscribe());
        async move {
            loop {
                // Marked as seen before the look, so that no change after it is missed.
                wanted.mark_unchanged();
                if hands.0.taken.borrow().wanted == Some(sample) {
                    // What is ready at once lets other tasks run.
                    coop::consume_budget().await;
                    return;
                }
                // It does not fail: its sender is in the hands that are kept here.
                let _told = wanted.changed().await;
            }
        }
    }
}

/// Says how many places are taken.
impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hands")
            .field("taken", &self.taken())
            .field("places", &self.places())
            .finish()
    }
}

/// One subscriber's hold on a sample.
#[derive(Debug)]
pub(super) struct Grip {
    hands: Hands,
    sample: Key,
}

impl Grip {
    pub(super) fn sample(&self) -> Key {
        self.sample
    }

    pub(super) fn hands(&self) -> &Hands {
        &self.hands
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.hands.0.taken.send_if_modified(|taken| {
            let mut newest_first = taken.samples.iter().enumerate().rev();
            let held = newest_first.find(|(_, holding)| holding.sample == self.sample);
            let Some((at, _)) = held else {
                return false;
            };
            taken.samples[at].holders -= 1;
            let is_free = taken.samples[at].holders == 0;
            if is_free {
                taken.samples.remove(at);
                taken.wanted = None;
            }
            is_free
        });
    }
}
