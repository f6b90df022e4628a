//! The end of a channel before that of the server: who may feed it can remove it.

use super::{Channel, Channels, Source, Stream, lock};
use std::sync::atomic::Ordering;

impl Channels {
    /// Removes a channel: its source is ended, and so are its viewers' responses. The next source of this name feeds a new
    /// channel, whose numbers begin with 1. `false` if there is no such channel.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut by_name = lock(&self.by_name);
        let Some(channel) = by_name.remove(name) else {
            return false;
        };
        let before = std::mem::replace(&mut lock(&channel.state).stream, Stream::Removed);
        self.removed.fetch_add(1, Ordering::Relaxed);
        drop(by_name);
        channel.removed.send_replace(true);
        if let Stream::Begun { frames, .. } = before {
            // Its samples are not counted for any channel now, so they must not wait for its viewers.
            frames.clear();
        }
        true
    }
}

impl Channel {
    /// Whether it was removed, and how many channels had been when it was made. One of the same name that is made after it was
    /// removed counts from 1 again, and has another number here.
    #[allow(
        dead_code,
        reason = "an origin says so to its edges: see examples/many_machines"
    )]
    pub(crate) fn removal(&self) -> (bool, u64) {
        (*self.removed.borrow(), self.generation)
    }
}

impl Source {
    /// Resolves when its channel is removed: then it feeds nothing.
    pub(crate) async fn removed(&self) {
        let mut removed = self.channel.removed.subscribe();
        // Its sender is in the channel, which this keeps.
        let _ = removed.wait_for(|&removed| removed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Unavailable};
    use super::*;
    use crate::memory::{self, FEWEST_BUFFERS};
    use futures::FutureExt;
    use sample_pool::fan_out::HoldLimit;

    /// A channel that is kept by its old source would refuse the next one with 409, or count twice.
    #[tokio::test]
    async fn a_removed_channel_ends_its_source_and_its_viewers_and_makes_room_for_the_next_of_its_name()
     {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(10));
        let publish = |source: &Source| {
            source.begin(Kind::Jpeg).unwrap();
            source.publish(pool.try_get_buffer().unwrap());
        };
        let first = channels.open("cam").unwrap();
        publish(&first);
        let mut viewer = channels.find("cam").unwrap().follow().unwrap();
        assert!(first.removed().now_or_never().is_none());
        let cam = channels.find("cam").unwrap();
        assert_eq!(cam.removal(), (false, 0));
        assert!(channels.remove("cam"));
        assert_eq!(cam.removal(), (true, 0));
        assert!(!channels.remove("cam"));
        assert!(first.removed().now_or_never().is_some());
        assert!(viewer.frames.recv().now_or_never().unwrap().is_none());
        assert!(channels.find("cam").is_none());
        assert_eq!(channels.status().len(), 0);
        assert_eq!(pool.free_count(), FEWEST_BUFFERS, "nothing of it is kept");

        let second = channels.open("cam").unwrap();
        publish(&second);
        // What the first still sends goes to no channel.
        first.publish(pool.try_get_buffer().unwrap());
        assert_eq!(first.begin(Kind::Jpeg), Err(Unavailable::Removed));
        let reserved = first.reserve_fragments();
        assert_eq!(reserved.unwrap_err(), Unavailable::Removed);
        drop(first);
        assert_eq!(channels.find("cam").unwrap().removal(), (false, 1));
        let status = channels.status();
        assert_eq!((status[0].live, status[0].sequence), (true, 1));
        assert_eq!(channels.open("cam").unwrap_err(), Unavailable::Busy);
    }

    /// Before, the room that a channel may take was kept until the server ended.
    #[test]
    fn removed_channels_make_room_for_others() {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let channels = Channels::new(&pool, &HoldLimit::new(10));
        for number in 0..100 {
            let name = format!("cam-{number}");
            let source = channels.open(&name).unwrap();
            source.begin(Kind::Jpeg).unwrap();
            source.publish(pool.try_get_buffer().unwrap());
            drop(source);
            assert!(channels.remove(&name));
        }
        assert_eq!(pool.free_count(), FEWEST_BUFFERS);
    }
}
