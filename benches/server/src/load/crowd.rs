//! The viewers: all on one thread, each a task.

use super::{
    gaps::Gaps,
    plan::{CHANNELS, Channel, Habit},
};
use crate::{
    footage::Footage,
    reader::Wrong,
    viewer::{Frame, PIECE, Read, Viewer},
};
use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{task, time};

/// How soon one comes after the other. More at once than the kernel queues for the server would have to try again.
const EACH: Duration = Duration::from_millis(2);

/// Those who pause do so every five seconds. If they did it together, they would all read at once what was kept for
/// them, and keep the load generator from the rest.
const EACH_SLOW: Duration = Duration::from_millis(50);

/// Every other viewer of a source that comes and goes leaves when nothing has come for so long, and is back
/// soon. The rest wait.
const PATIENCE: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_millis(300);

/// What all viewers received since it is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Those of healthy viewers whose source stays.
    pub(crate) gaps: Gaps,
    /// What healthy viewers received, and what the server left out for them.
    pub(crate) healthy_frames: u64,
    pub(crate) healthy_skipped: u64,
    /// How often healthy viewers lost patience with a source that was away.
    pub(crate) came_back: u64,
    pub(crate) slow: [SlowSeen; Habit::ALL.len()],
}

/// What slow viewers of one habit saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlowSeen {
    pub(crate) frames: u64,
    pub(crate) skipped: u64,
    /// How many found that the server had closed them.
    pub(crate) closed: u64,
    /// How many found that it had not, and should have.
    pub(crate) kept: u64,
}

/// A channel, as those who watch it know it.
pub(crate) struct Stage {
    pub(crate) channel: &'static Channel,
    pub(crate) footage: Arc<Footage>,
    /// The newest frame of each healthy viewer.
    newest: RefCell<Vec<u64>>,
}

impl Stage {
    /// Whether each healthy viewer has this frame or a later one.
    pub(crate) fn all_have(&self, number: u64) -> bool {
        self.newest.borrow().iter().all(|&newest| newest >= number)
    }
}

pub(crate) struct Crowd {
    pub(super) port: u16,
    pub(crate) stages: Vec<Stage>,
    pub(crate) delivered: RefCell<Delivered>,
    scratch: RefCell<Vec<u8>>,
    pub(crate) wrong: RefCell<Option<Wrong>>,
    pub(super) slow_here: Cell<usize>,
}

impl Crowd {
    pub(crate) fn new(port: u16) -> Rc<Self> {
        let stage = |channel: &'static Channel| Stage {
            channel,
            footage: Arc::new(Footage::new(channel.frame_bytes)),
            newest: RefCell::new(vec![0; channel.healthy]),
        };
        Rc::new(Crowd {
            port,
            stages: CHANNELS.iter().map(stage).collect(),
            delivered: RefCell::default(),
            scratch: RefCell::new(vec![0; PIECE]),
            wrong: RefCell::default(),
            slow_here: Cell::default(),
        })
    }

    /// Lets all viewers in, one by one. They stay until the tasks of this thread are dropped.
    pub(crate) fn come(self: &Rc<Self>) {
        let (mut healthy, mut slow) = (0, 0);
        for (stage, Stage { channel, .. }) in self.stages.iter().enumerate() {
            for place in 0..channel.healthy {
                let (crowd, comes) = (self.clone(), EACH * healthy);
                healthy += 1;
                task::spawn_local(async move {
                    time::sleep(comes).await;
                    let watched = crowd.watch(stage, place).await;
                    crowd.ended(stage, "a healthy viewer", watched);
                });
            }
            for _ in 0..channel.slow {
                let (crowd, habit, comes) = (self.clone(), Habit::of(slow), EACH_SLOW * slow);
                slow += 1;
                task::spawn_local(async move {
                    time::sleep(comes).await;
                    let watched = crowd.watch_slowly(stage, habit).await;
                    crowd.ended(stage, "a slow viewer", watched);
                });
            }
        }
    }

    /// Whether everybody has come.
    pub(crate) fn is_complete(&self) -> bool {
        let slow = CHANNELS.iter().map(|channel| channel.slow).sum();
        self.stages.iter().all(|stage| stage.all_have(1)) && self.slow_here.get() >= slow
    }

    fn ended(&self, stage: usize, who: &str, how: io::Result<()>) {
        if let Err(error) = how {
            let channel = self.stages[stage].channel.name;
            let text = format!("{who} of {channel}: {error}");
            self.wrong.borrow_mut().get_or_insert(text);
        }
    }

    async fn watch(&self, stage: usize, place: usize) -> io::Result<()> {
        let stage = &self.stages[stage];
        let leaves = !stage.channel.is_steady() && place.is_multiple_of(2);
        loop {
            let mut viewer = Viewer::connect(self.port, stage.channel.name).await?;
            loop {
                if !leaves {
                    viewer.readable().await?;
                } else if let Ok(readable) = time::timeout(PATIENCE, viewer.readable()).await {
                    readable?;
                } else {
                    break;
                }
                // One place to read into for all: a viewer keeps nothing between two reads.
                let mut scratch = self.scratch.borrow_mut();
                let read = viewer.read(&mut scratch, &stage.footage, |frame| {
                    stage.newest.borrow_mut()[place] = frame.number;
                    self.delivered.borrow_mut().healthy(frame, stage.channel);
                })?;
                if read == Read::Closed {
                    return Err(io::Error::other("the server closed it"));
                }
            }
            drop(viewer);
            self.delivered.borrow_mut().came_back += 1;
            time::sleep(BACK).await;
        }
    }
}

impl SlowSeen {
    pub(super) fn ended(&mut self, closed: bool) {
        self.closed += u64::from(closed);
        self.kept += u64::from(!closed);
    }
}

impl Delivered {
    fn any(&mut self, channel: &Channel) {
        self.frames += 1;
        self.bytes += channel.frame_bytes as u64;
    }

    fn healthy(&mut self, frame: Frame, channel: &Channel) {
        self.any(channel);
        self.healthy_frames += 1;
        self.healthy_skipped += frame.skipped;
        if let (true, Some(gap)) = (channel.is_steady(), frame.gap) {
            self.gaps.count(gap);
        }
    }

    pub(super) fn slow(&mut self, frame: Frame, channel: &Channel, habit: Habit) {
        self.any(channel);
        let seen = &mut self.slow[habit as usize];
        seen.frames += 1;
        seen.skipped += frame.skipped;
    }
}
