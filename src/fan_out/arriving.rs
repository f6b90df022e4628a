//! A frame that is sent while it arrives: subscribers read what is there, and its sample in the window grows.
//!
//! # Wake-ups
//!
//! The version of the watch channel, which wakes subscribers, changes at the first bytes of each sample, at the end of the
//! frame, and when as many bytes were added as [`notify_every`](FanOut::notify_every) says. Bytes in between change the
//! window silently: a subscriber that looks for another reason finds them.

#![forbid(unsafe_code)]

use super::{
    FanOut,
    window::{FrameId, Sent, State, Window},
};
use crate::{
    sample::shared::SharedSample,
    sync::{Ordering, StatisticU64, watch},
    values::error::{AppendError, SendError},
};
use std::{fmt, sync::Arc};

/// A frame that is sent while it arrives; made by [`FanOut::start_frame`].
///
/// Each [`append`](ArrivingFrame::append) adds bytes, which subscribers receive at once. Bytes that lie directly behind
/// those before them, as [`SamplePart::split_written`](crate::SamplePart::split_written) freezes them, join the same
/// sample: it is one sample of the backlog and of the hold limit, however many appends and deliveries there are. Other
/// bytes begin another sample of the same frame.
///
/// [`finish`](ArrivingFrame::finish) completes the frame. Dropping it unfinished **aborts** the frame: subscribers that
/// received a part of it get a [`Delivery`](super::Delivery) that [is aborted](super::Delivery::is_aborted), and others
/// skip it. The samples of an aborted frame stay in the backlog until newer ones take their place.
///
/// One frame of a fan-out arrives at a time. These abort it: another [`start_frame`](FanOut::start_frame),
/// [`send`](FanOut::send), [`clear`](FanOut::clear), [`close`](FanOut::close), and the drop of the fan-out.
///
/// No method waits or allocates, whatever subscribers do.
///
/// # Examples
///
/// ```
/// use bytes::BufMut;
/// use sample_pool::{Pool, fan_out::FanOut};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().buffers(8).build()?;
/// let video = FanOut::new(4, 3);
/// let mut viewer = video.subscribe(1);
///
/// let mut part = pool.get_buffer().await?.into_part();
/// let mut frame = video.start_frame(true)?;
/// part.put_slice(b"what has arrived");
/// frame.append(part.split_written())?;
/// let first = viewer.recv().await.expect("it was sent");
/// assert_eq!((&first[..], first.ends_frame()), (&b"what has arrived"[..], false));
/// drop(first);
///
/// part.put_slice(b", and the rest");
/// frame.finish_with(part.freeze())?;
/// let last = viewer.recv().await.expect("it was sent");
/// assert_eq!((&last[..], last.ends_frame()), (&b", and the rest"[..], true));
///
/// // Another subscriber that comes now receives all of it at once.
/// let all = video.subscribe(1).recv().await.expect("it was sent");
/// assert_eq!(&all[..], b"what has arrived, and the rest");
/// # Ok(())
/// # }
/// ```
#[must_use = "a frame that is dropped is aborted"]
pub struct ArrivingFrame {
    window: watch::Sender<Window>,
    /// How many samples the fan-out has sent. Written under the window's lock.
    sent: Arc<StatisticU64>,
    backlog: usize,
    id: FrameId,
    sync_point: bool,
    /// Whether a sample of the frame was sent.
    has_begun: bool,
    notify_every: usize,
    /// How many bytes were added since subscribers were woken.
    unnotified: usize,
}

impl FanOut {
    /// Sets how many bytes of a frame that is arriving wake the subscribers again. The default is 4096.
    ///
    /// Subscribers are woken at the first bytes of each sample, at the end of the frame and when it is aborted, and in
    /// between once for at least `bytes` bytes. With more, there are fewer wake-ups, and bytes wait longer for the next
    /// one. With zero or one, each [`append`](ArrivingFrame::append) wakes them. A subscriber that is not waiting receives
    /// whatever is there, without regard to this number. Samples that are [sent](FanOut::send) whole always wake
    /// subscribers.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::fan_out::FanOut;
    ///
    /// // 40 ms of a stream of 3 Mbit/s: a picture.
    /// let video = FanOut::new(4, 3).notify_every(15_000);
    /// # let _ = video;
    /// ```
    #[must_use]
    pub fn notify_every(mut self, bytes: usize) -> Self {
        self.notify_every = bytes;
        self
    }

    /// Starts a frame that is sent while it arrives. Never waits.
    ///
    /// `sync_point` says whether the frame can be used without earlier ones. It also is a sync point if the properties of
    /// its first sample say so. Nothing is sent before the first [`append`](ArrivingFrame::append). A frame that is still
    /// arriving is aborted: a source that comes back takes the place of its predecessor.
    ///
    /// The result does not borrow the fan-out. While it exists it keeps the backlog of a fan-out that was dropped.
    ///
    /// # Errors
    ///
    /// [`SendError`] after [`close`](FanOut::close). Trying again cannot help.
    ///
    /// # Examples
    ///
    /// See [`ArrivingFrame`].
    pub fn start_frame(&self, sync_point: bool) -> Result<ArrivingFrame, SendError> {
        let mut id = None;
        self.window.send_if_modified(|window| {
            let is_aborted = window.abort();
            id = (!window.closed).then(|| window.start());
            is_aborted
        });
        Ok(ArrivingFrame {
            window: self.window.clone(),
            sent: self.sent.clone(),
            backlog: self.backlog,
            id: id.ok_or_else(SendError::new)?,
            sync_point,
            has_begun: false,
            notify_every: self.notify_every,
            unnotified: 0,
        })
    }
}

impl ArrivingFrame {
    /// Sends the next bytes of the frame. Never waits, and allocates nothing.
    ///
    /// If they lie directly behind the bytes before them, they join the same sample. Otherwise they begin another sample
    /// of the frame; if the backlog is full, its oldest sample is dropped. So a frame of more samples than the backlog
    /// has is received whole only by subscribers that keep up with it. No bytes are no change.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if the frame was aborted, or the fan-out is closed. The bytes were dropped. Trying again cannot
    /// help.
    ///
    /// # Examples
    ///
    /// See [`ArrivingFrame`].
    pub fn append(&mut self, bytes: SharedSample) -> Result<(), AppendError> {
        self.add(Some(bytes), false)
    }

    /// Completes the frame. A frame without any bytes sends nothing.
    ///
    /// A subscriber that has received all bytes by now receives an empty delivery that
    /// [ends the frame](super::Delivery::ends_frame). If the last bytes are at hand, prefer
    /// [`finish_with`](ArrivingFrame::finish_with).
    ///
    /// # Errors
    ///
    /// [`AppendError`] if the frame was aborted, or the fan-out is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// use sample_pool::fan_out::{AppendError, FanOut};
    ///
    /// let video = FanOut::new(4, 3);
    /// let frame = video.start_frame(true)?;
    /// video.send(pool.try_get_buffer()?.freeze())?; // takes the place of the frame
    /// assert_eq!(frame.finish(), Err(AppendError::Aborted));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn finish(mut self) -> Result<(), AppendError> {
        self.add(None, true)
    }

    /// Sends the last bytes of the frame and completes it, with one wake-up.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if the frame was aborted, or the fan-out is closed. The bytes were dropped.
    ///
    /// # Examples
    ///
    /// See [`ArrivingFrame`].
    pub fn finish_with(mut self, bytes: SharedSample) -> Result<(), AppendError> {
        self.add(Some(bytes), true)
    }

    fn add(&mut self, bytes: Option<SharedSample>, is_last: bool) -> Result<(), AppendError> {
        // An empty handle is a handle: it would keep its buffer in the window. What is left here is dropped after the
        // lock is released, because the drop may run a release callback (FO2).
        let mut bytes = bytes.filter(|bytes| !bytes.is_empty());
        let mut oldest = None;
        let mut result = Ok(());
        let window = &self.window;
        window.send_if_modified(|window| {
            if window.arriving != Some(self.id) {
                result = Err(match window.closed {
                    true => AppendError::Closed,
                    false => AppendError::Aborted,
                });
                return false;
            }
            let mut notify = false;
            if let Some(bytes) = bytes.take() {
                self.unnotified = self.unnotified.saturating_add(bytes.len());
                notify = self.unnotified >= self.notify_every;
                if let Err(bytes) = window.grow(bytes) {
                    window.end_sample(State::Continued);
                    oldest = window.make_room(self.backlog);
                    let begins = !self.has_begun;
                    let marked = self.sync_point || bytes.properties().sync_point();
                    window.samples.push_back(Sent {
                        sample: bytes,
                        sync_point: begins && marked,
                        begins,
                        state: State::Arriving,
                    });
                    self.has_begun = true;
                    self.sent.store(window.end(), Ordering::Relaxed);
                    // A subscriber that waits for more bytes of the sample before must not lose it to the backlog.
                    notify = true;
                }
            }
            if is_last {
                window.arriving = None;
                notify = window.end_sample(State::Complete);
            }
            if notify {
                self.unnotified = 0;
            }
            notify
        });
        drop(oldest);
        result
    }
}

/// Aborts the frame, if it was not finished.
impl Drop for ArrivingFrame {
    fn drop(&mut self) {
        let id = self.id;
        self.window
            .send_if_modified(|window| window.arriving == Some(id) && window.abort());
    }
}

/// Shows whether bytes were sent; never the bytes.
impl fmt::Debug for ArrivingFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrivingFrame")
            .field("sync_point", &self.sync_point)
            .field("has_begun", &self.has_begun)
            .finish_non_exhaustive()
    }
}
