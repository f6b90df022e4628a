//! What a sample says of itself beside its bytes: when it is due, what it is, how it follows the one
//! before.
//!
//! A slot holds one for as long as the pool lives, and every release resets it, so it is kept to 64
//! bytes: plain numbers, and one word of flags that says which of them are set. A number that is not
//! set is zero, so that two are equal exactly if every getter agrees.

#![forbid(unsafe_code)]

use std::fmt;

use crate::values::{media_type::MediaType, reference_time::ReferenceTime};

/// When a sample is due, what it holds, and how it follows the one before it.
///
/// A plain value: a new sample has the default, with nothing set, and
/// [`Sample::properties_mut`](crate::Sample::properties_mut) gives it to whoever fills the sample.
/// It is cleared when the sample comes home.
///
/// *Stream time* says when to present the sample, in 100-nanosecond units. *Media time* is a separate
/// number for where in its source it lies, in whatever the stream counts: frames, bytes, packets.
///
/// Mirrors `IMediaSample2` and `AM_SAMPLE2_PROPERTIES`.
///
/// # Examples
///
/// The 250th frame of a channel, a key frame, 40 ms long, that came in at a known second:
///
/// ```
/// use sample_pool::{MediaType, ReferenceTime, SampleProperties};
/// use std::time::Duration;
///
/// let start = ReferenceTime::from_millis(10_000);
/// let mut properties = SampleProperties::default();
/// properties.set_time(Some(start), Some(start + Duration::from_millis(40)));
/// properties.set_media_time(Some(250), None);
/// properties.set_sync_point(true);
/// properties.set_stream_id(0x101);
/// properties.set_media_type(Some(MediaType::new("video/h264")));
/// properties.set_user(1_735_689_600);
///
/// assert_eq!(properties.start(), Some(start));
/// assert_eq!((properties.media_start(), properties.media_stop()), (Some(250), Some(251)));
/// assert!(properties.sync_point() && !properties.preroll());
/// assert_eq!(properties.media_type().unwrap(), "video/h264");
/// assert_eq!((properties.stream_id(), properties.user()), (0x101, 1_735_689_600));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SampleProperties {
    start: i64,
    stop: i64,
    media_start: i64,
    media_stop: i64,
    user: u64,
    media_type: Option<MediaType>,
    stream_id: u32,
    flags: u16,
}

/// A bit of `SampleProperties::flags`.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Flag {
    /// `start` and `stop` are set, `stop` perhaps only to `start + 1`.
    Time = 1 << 0,
    /// `stop` was given. Never without `Time`.
    StopTime = 1 << 1,
    /// `media_start` and `media_stop` are set.
    MediaTime = 1 << 2,
    SyncPoint = 1 << 3,
    Preroll = 1 << 4,
    Discontinuity = 1 << 5,
    TimeDiscontinuity = 1 << 6,
    EndOfStream = 1 << 7,
}

impl SampleProperties {
    /// Properties with nothing set: what a new sample has.
    pub(crate) const fn new() -> Self {
        Self {
            start: 0,
            stop: 0,
            media_start: 0,
            media_stop: 0,
            user: 0,
            media_type: None,
            stream_id: 0,
            flags: 0,
        }
    }

    /// The stream time at which the sample begins, if it is set.
    /// Mirrors `IMediaSample::GetTime`.
    #[must_use]
    pub fn start(&self) -> Option<ReferenceTime> {
        self.has(Flag::Time).then_some(ReferenceTime(self.start))
    }

    /// The stream time at which the sample ends, if a start is set.
    ///
    /// If only a start was given, this is one unit after it, as in DirectShow, and
    /// [`has_stop`](Self::has_stop) is false.
    ///
    /// Mirrors `IMediaSample::GetTime`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{ReferenceTime, SampleProperties};
    /// let mut properties = SampleProperties::default();
    /// properties.set_time(Some(ReferenceTime(400)), None);
    /// assert_eq!(properties.stop(), Some(ReferenceTime(401)));
    /// ```
    #[must_use]
    pub fn stop(&self) -> Option<ReferenceTime> {
        self.has(Flag::Time).then_some(ReferenceTime(self.stop))
    }

    /// Whether [`stop`](Self::stop) is a time that was given, not one that stands in for it.
    ///
    /// Mirrors `AM_SAMPLE_STOPVALID`; false is where `IMediaSample::GetTime` returns
    /// `VFW_S_NO_STOP_TIME`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{ReferenceTime, SampleProperties};
    /// let mut properties = SampleProperties::default();
    /// properties.set_time(Some(ReferenceTime(400)), Some(ReferenceTime(401)));
    /// assert!(properties.has_stop());
    /// properties.set_time(Some(ReferenceTime(400)), None);
    /// assert!(!properties.has_stop());
    /// ```
    #[must_use]
    pub fn has_stop(&self) -> bool {
        self.has(Flag::StopTime)
    }

    /// Sets the stream times at which the sample begins and ends.
    ///
    /// Without a start both are cleared, whatever `stop` is. A start without a stop reads as one
    /// that ends a unit later, or at the same time at [`ReferenceTime::MAX`]. The times are kept as
    /// given: nothing checks that the stop comes after the start.
    ///
    /// Mirrors `IMediaSample::SetTime`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{ReferenceTime, SampleProperties};
    /// let mut properties = SampleProperties::default();
    /// properties.set_time(Some(ReferenceTime(0)), Some(ReferenceTime(400_000)));
    /// assert_eq!(properties.stop(), Some(ReferenceTime(400_000)));
    /// properties.set_time(None, None);
    /// assert_eq!((properties.start(), properties.stop()), (None, None));
    /// ```
    pub fn set_time(&mut self, start: Option<ReferenceTime>, stop: Option<ReferenceTime>) {
        let (start, stop) = (start.map(|time| time.0), stop.map(|time| time.0));
        (self.start, self.stop) = resolve(start, stop);
        self.put(Flag::Time, start.is_some());
        self.put(Flag::StopTime, start.is_some() && stop.is_some());
    }

    /// Where in its source the sample begins, if it is set; in whatever unit the stream counts.
    /// Mirrors `IMediaSample::GetMediaTime`.
    #[must_use]
    pub fn media_start(&self) -> Option<i64> {
        self.has(Flag::MediaTime).then_some(self.media_start)
    }

    /// Where in its source the sample ends, if a media start is set; in the unit of
    /// [`media_start`](Self::media_start).
    /// Mirrors `IMediaSample::GetMediaTime`.
    #[must_use]
    pub fn media_stop(&self) -> Option<i64> {
        self.has(Flag::MediaTime).then_some(self.media_stop)
    }

    /// Sets where in its source the sample begins and ends. Says nothing about stream time.
    ///
    /// Follows the same rules as [`set_time`](Self::set_time): without a start both are cleared, and
    /// a start without a stop reads as one that ends a unit later, or at the same place at
    /// [`i64::MAX`]. DirectShow asks for both or neither.
    ///
    /// Mirrors `IMediaSample::SetMediaTime`, of which the length is not limited to 32 bits here.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::SampleProperties;
    /// let mut properties = SampleProperties::default();
    /// properties.set_media_time(Some(250), None);
    /// assert_eq!(properties.media_stop(), Some(251));
    /// assert_eq!(properties.stop(), None);
    /// ```
    pub fn set_media_time(&mut self, start: Option<i64>, stop: Option<i64>) {
        (self.media_start, self.media_stop) = resolve(start, stop);
        self.put(Flag::MediaTime, start.is_some());
    }

    /// Whether decoding can begin at this sample: a key frame, or the start of a group.
    /// Mirrors `IMediaSample::IsSyncPoint`.
    #[must_use]
    pub fn sync_point(&self) -> bool {
        self.has(Flag::SyncPoint)
    }

    /// Sets whether decoding can begin at this sample.
    /// Mirrors `IMediaSample::SetSyncPoint`.
    pub fn set_sync_point(&mut self, sync_point: bool) {
        self.put(Flag::SyncPoint, sync_point);
    }

    /// Whether this sample is only decoded on the way to the first that is shown.
    /// Mirrors `IMediaSample::IsPreroll`.
    #[must_use]
    pub fn preroll(&self) -> bool {
        self.has(Flag::Preroll)
    }

    /// Sets whether this sample is only decoded on the way to the first that is shown.
    /// Mirrors `IMediaSample::SetPreroll`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::SampleProperties;
    /// let mut properties = SampleProperties::default();
    /// assert!(!properties.preroll());
    /// properties.set_preroll(true);
    /// assert!(properties.preroll());
    /// ```
    pub fn set_preroll(&mut self, preroll: bool) {
        self.put(Flag::Preroll, preroll);
    }

    /// Whether the data does not continue that of the sample before: something was lost or skipped.
    /// Mirrors `IMediaSample::IsDiscontinuity`.
    #[must_use]
    pub fn discontinuity(&self) -> bool {
        self.has(Flag::Discontinuity)
    }

    /// Sets whether the data does not continue that of the sample before.
    /// Mirrors `IMediaSample::SetDiscontinuity`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::SampleProperties;
    /// let mut properties = SampleProperties::default();
    /// assert!(!properties.discontinuity());
    /// properties.set_discontinuity(true);
    /// assert!(properties.discontinuity());
    /// ```
    pub fn set_discontinuity(&mut self, discontinuity: bool) {
        self.put(Flag::Discontinuity, discontinuity);
    }

    /// Whether the times do not continue those of the sample before, though the data may.
    /// Mirrors `AM_SAMPLE_TIMEDISCONTINUITY`.
    #[must_use]
    pub fn time_discontinuity(&self) -> bool {
        self.has(Flag::TimeDiscontinuity)
    }

    /// Sets whether the times do not continue those of the sample before.
    /// Mirrors `AM_SAMPLE_TIMEDISCONTINUITY`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::SampleProperties;
    /// let mut properties = SampleProperties::default();
    /// assert!(!properties.time_discontinuity());
    /// properties.set_time_discontinuity(true);
    /// assert!(properties.time_discontinuity());
    /// ```
    pub fn set_time_discontinuity(&mut self, time_discontinuity: bool) {
        self.put(Flag::TimeDiscontinuity, time_discontinuity);
    }

    /// Whether this is the last sample of its stream.
    /// Mirrors `AM_SAMPLE_ENDOFSTREAM`.
    #[must_use]
    pub fn end_of_stream(&self) -> bool {
        self.has(Flag::EndOfStream)
    }

    /// Sets whether this is the last sample of its stream.
    /// Mirrors `AM_SAMPLE_ENDOFSTREAM`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::SampleProperties;
    /// let mut properties = SampleProperties::default();
    /// assert!(!properties.end_of_stream());
    /// properties.set_end_of_stream(true);
    /// assert!(properties.end_of_stream());
    /// ```
    pub fn set_end_of_stream(&mut self, end_of_stream: bool) {
        self.put(Flag::EndOfStream, end_of_stream);
    }

    /// Which of several streams the sample belongs to; zero unless it was set.
    /// Mirrors `AM_SAMPLE2_PROPERTIES::dwStreamId`, where zero is `AM_STREAM_MEDIA`.
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Sets which of several streams the sample belongs to. Any number will do.
    /// Mirrors `AM_SAMPLE2_PROPERTIES::dwStreamId`.
    pub fn set_stream_id(&mut self, id: u32) {
        self.stream_id = id;
    }

    /// What kind of data the sample holds, if it was said.
    ///
    /// In DirectShow the absence of a type means that it is the same as before; here it means what
    /// the two ends agree on.
    ///
    /// Mirrors `IMediaSample::GetMediaType`.
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// Says what kind of data the sample holds, or no longer says it.
    /// Mirrors `IMediaSample::SetMediaType`.
    pub fn set_media_type(&mut self, media_type: Option<MediaType>) {
        self.media_type = media_type;
    }

    /// A number that means something to the user only; zero unless it was set.
    #[must_use]
    pub fn user(&self) -> u64 {
        self.user
    }

    /// Sets the number that means something to the user only: an index, a key, a time stamp of
    /// arrival.
    pub fn set_user(&mut self, value: u64) {
        self.user = value;
    }

    fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u16 != 0
    }

    fn put(&mut self, flag: Flag, on: bool) {
        if on {
            self.flags |= flag as u16;
        } else {
            self.flags &= !(flag as u16);
        }
    }
}

/// What to store for a pair of times of which either may be missing.
fn resolve(start: Option<i64>, stop: Option<i64>) -> (i64, i64) {
    match (start, stop) {
        (Some(start), Some(stop)) => (start, stop),
        (Some(start), None) => (start, start.saturating_add(1)),
        (None, _) => (0, 0),
    }
}

/// By what the getters say, not by how it is stored.
impl fmt::Debug for SampleProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleProperties")
            .field("start", &self.start())
            .field("stop", &self.stop())
            .field("media_start", &self.media_start())
            .field("media_stop", &self.media_stop())
            .field("sync_point", &self.sync_point())
            .field("preroll", &self.preroll())
            .field("discontinuity", &self.discontinuity())
            .field("time_discontinuity", &self.time_discontinuity())
            .field("end_of_stream", &self.end_of_stream())
            .field("stream_id", &self.stream_id)
            .field("media_type", &self.media_type)
            .field("user", &self.user)
            .finish()
    }
}

/// For whoever must lend properties where no slot has any.
pub(crate) static EMPTY: SampleProperties = SampleProperties::new();

#[cfg(test)]
#[test]
fn what_is_lent_without_a_slot_has_nothing_set() {
    assert_eq!(EMPTY, SampleProperties::default());
}
