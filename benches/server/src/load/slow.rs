//! Viewers that are slow, each in its way. Who is closed for it comes back.

use super::{
    crowd::{Crowd, Stage},
    plan::Habit,
};
use crate::viewer::{Read, Viewer};
use std::{io, time::Duration};
use tokio::time;

/// What one reads at once.
const PIECE: usize = 16 * 1024;

/// What the kernel keeps for one on its own side. Into less, a packet of the loopback's 64 KB goes only when it is
/// empty, and the rest is sent anew after a time that doubles.
const RECEIVE_BUFFER: u32 = 128 * 1024;

/// 800 KB a second at most, of 1.2 and 1.5 MB that are sent. A thirtieth of that would be as good as nothing: the kernel
/// wakes the server when a third of what it keeps for the connection is free again, some 140 of its 416 KiB, and one that
/// takes no byte for five seconds is closed.
const TRICKLE: Duration = Duration::from_millis(20);

const READS: Duration = Duration::from_secs(1);

/// Until the kernel keeps no more for it, and less than what the server bears.
const PAUSE: Duration = Duration::from_secs(4);

/// Less than a second until the kernel keeps no more for it, the five that the server bears, and twice as many for a
/// machine that has more to do.
const STOPPED: Duration = Duration::from_secs(16);

/// How long it takes to read what the kernel has kept of a connection that is closed. One that is not closed
/// never comes to an end.
const REST: Duration = Duration::from_secs(5);

const BACK: Duration = Duration::from_millis(300);

impl Crowd {
    pub(super) async fn watch_slowly(&self, stage: usize, habit: Habit) -> io::Result<()> {
        let stage = &self.stages[stage];
        let mut is_new = true;
        loop {
            let mut viewer =
                Viewer::connect_with(self.port, stage.channel.name, RECEIVE_BUFFER).await?;
            if std::mem::take(&mut is_new) {
                self.slow_here.set(self.slow_here.get() + 1);
            }
            let closed = match habit {
                Habit::Trickles => self.trickle(&mut viewer, stage).await?,
                Habit::Pauses => self.pause(&mut viewer, stage).await?,
                Habit::Stops => self.stop(&mut viewer, stage).await?,
            };
            self.delivered.borrow_mut().slow[habit as usize].ended(closed);
            time::sleep(BACK).await;
        }
    }

    /// Until it is closed.
    async fn trickle(&self, viewer: &mut Viewer, stage: &Stage) -> io::Result<bool> {
        while self.read(viewer, stage, Habit::Trickles).await? != Read::Closed {
            time::sleep(TRICKLE).await;
        }
        Ok(true)
    }

    /// Until it is closed.
    async fn pause(&self, viewer: &mut Viewer, stage: &Stage) -> io::Result<bool> {
        while !self.read_for(READS, viewer, stage, Habit::Pauses).await? {
            time::sleep(PAUSE).await;
        }
        Ok(true)
    }

    /// Whether it is closed, as it should be.
    async fn stop(&self, viewer: &mut Viewer, stage: &Stage) -> io::Result<bool> {
        if self.read_for(READS, viewer, stage, Habit::Stops).await? {
            return Ok(true);
        }
        time::sleep(STOPPED).await;
        self.read_for(REST, viewer, stage, Habit::Stops).await
    }

    /// Whether it was closed meanwhile.
    async fn read_for(
        &self,
        time: Duration,
        viewer: &mut Viewer,
        stage: &Stage,
        habit: Habit,
    ) -> io::Result<bool> {
        let until_closed = async {
            while self.read(viewer, stage, habit).await? != Read::Closed {}
            Ok(true)
        };
        // It looks at the time only when there is nothing to read, or the task has had its share.
        time::timeout(time, until_closed).await.unwrap_or(Ok(false))
    }

    async fn read(&self, viewer: &mut Viewer, stage: &Stage, habit: Habit) -> io::Result<Read> {
        viewer.readable().await?;
        viewer.read(&mut [0; PIECE], &stage.footage, |frame| {
            let mut delivered = self.delivered.borrow_mut();
            delivered.slow(frame, stage.channel, habit);
        })
    }
}
