//! The viewers, all on one thread, and what they saw.

use crate::{
    footage::Footage,
    reader::Wrong,
    scenario::UNDER_WAY,
    viewer::{Frame, PIECE, Read, Viewer},
};
use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};
use tokio::time;

pub(crate) const CHANNEL: &str = "cam";

/// What a slow viewer reads at once, and how long it does nothing then: 3.2 MB a second at most, half of
/// what 100 frames of 64 KiB are. The kernel keeps some 2.5 MB for it, so it skips after a second.
const SLOW_PIECE: usize = 32 * 1024;
const SLOW_PAUSE: Duration = Duration::from_millis(10);

/// What the viewers saw while it was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) skipped: u64,
    /// The longest time between two frames for any of them.
    pub(crate) worst_gap: Duration,
}

pub(crate) struct Audience {
    footage: Arc<Footage>,
    viewers: usize,
    pub(crate) healthy: RefCell<Seen>,
    pub(crate) slow: RefCell<Seen>,
    /// How many frames viewers received, from the first to the last. Slow ones do not count.
    pub(crate) ever_received: Cell<u64>,
    /// How many they skipped.
    pub(crate) ever_skipped: Cell<u64>,
    /// How many viewers have the newest frame of all.
    newest: Cell<(u64, usize)>,
    /// How many have each of the frames that are under way when saturated.
    received: RefCell<[usize; UNDER_WAY as usize + 1]>,
    all_received: Option<Sender<()>>,
    scratch: RefCell<Vec<u8>>,
    pub(crate) wrong: RefCell<Option<Wrong>>,
}

impl Seen {
    fn count(&mut self, frame: Frame, footage: &Footage) {
        self.frames += 1;
        self.bytes += footage.frame_bytes() as u64;
        self.skipped += frame.skipped;
        self.worst_gap = self.worst_gap.max(frame.gap.unwrap_or_default());
    }
}

impl Audience {
    /// `all_received` is called with each frame that all viewers have.
    pub(crate) fn new(
        footage: Arc<Footage>,
        viewers: usize,
        all_received: Option<Sender<()>>,
    ) -> Rc<Self> {
        Rc::new(Audience {
            footage,
            viewers,
            healthy: RefCell::default(),
            slow: RefCell::default(),
            ever_received: Cell::default(),
            ever_skipped: Cell::default(),
            newest: Cell::default(),
            received: RefCell::default(),
            all_received,
            scratch: RefCell::new(vec![0; PIECE]),
            wrong: RefCell::default(),
        })
    }

    /// Begins to count anew.
    pub(crate) fn begin(&self) {
        self.healthy.take();
        self.slow.take();
    }

    /// Whether every viewer has the frame with this number, which is the newest.
    pub(crate) fn all_have(&self, number: u64) -> bool {
        self.newest.get() == (number, self.viewers)
    }

    /// Watches until the connection ends or something is wrong.
    pub(crate) async fn watch(self: Rc<Self>, port: u16) {
        if let Err(error) = self.clone().try_watch(port).await {
            self.wrong.borrow_mut().get_or_insert(error.to_string());
        }
    }

    async fn try_watch(self: Rc<Self>, port: u16) -> io::Result<()> {
        let mut viewer = Viewer::connect(port, CHANNEL).await?;
        loop {
            viewer.readable().await?;
            // One place to read into for all: a viewer keeps nothing between two reads.
            let mut scratch = self.scratch.borrow_mut();
            let read = viewer.read(&mut scratch, &self.footage, |frame| {
                self.healthy.borrow_mut().count(frame, &self.footage);
                self.count(frame.number);
                self.ever_received.set(self.ever_received.get() + 1);
                self.ever_skipped
                    .set(self.ever_skipped.get() + frame.skipped);
            })?;
            if read == Read::Closed {
                return Err(io::Error::other("a viewer's connection was closed"));
            }
        }
    }

    /// The same, but slowly. It takes some bytes all the time, so the server never closes it.
    pub(crate) async fn watch_slowly(self: Rc<Self>, port: u16) {
        if let Err(error) = self.try_watch_slowly(port).await {
            self.wrong
                .borrow_mut()
                .get_or_insert(format!("slow viewer: {error}"));
        }
    }

    async fn try_watch_slowly(&self, port: u16) -> io::Result<()> {
        let mut viewer = Viewer::connect_with(port, CHANNEL, SLOW_PIECE as u32).await?;
        let mut piece = vec![0; SLOW_PIECE];
        loop {
            viewer.readable().await?;
            let read = viewer.read(&mut piece, &self.footage, |frame| {
                self.slow.borrow_mut().count(frame, &self.footage);
            })?;
            match read {
                Read::Some => time::sleep(SLOW_PAUSE).await,
                Read::Nothing => {}
                Read::Closed => return Err(io::Error::other("its connection was closed")),
            }
        }
    }

    fn count(&self, number: u64) {
        let (newest, have) = self.newest.get();
        match number.cmp(&newest) {
            std::cmp::Ordering::Greater => self.newest.set((number, 1)),
            std::cmp::Ordering::Equal => self.newest.set((newest, have + 1)),
            std::cmp::Ordering::Less => {}
        }
        let Some(all_received) = &self.all_received else {
            return;
        };
        let mut received = self.received.borrow_mut();
        let places = received.len() as u64;
        let place = &mut received[(number % places) as usize];
        *place += 1;
        if *place == self.viewers {
            *place = 0;
            // It fails when the source has ended, and needs no more of them.
            let _ended = all_received.send(());
        }
    }
}
