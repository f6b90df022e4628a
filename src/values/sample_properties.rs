//! The properties of a sample: its times, its kind of data, and how it follows the previous sample.
//!
//! Each slot stores one for as long as the pool exists, and every release resets it. So its size is limited to 64
//! bytes: plain numbers, and one word of flags that says which of them are set. A number that is not set is zero, so
//! two values are equal exactly if all their getters return the same.

#![forbid(unsafe_code)]

use std::fmt;

use crate::values::{
    media_type::MediaType,
    reference_time::ReferenceTime,
    sample_flags::{Flag, Flags},
};

/// The times of a sample, its kind of data, and how it follows the previous sample.
///
/// A plain value. A new sample has the default, in which nothing is set. Change it with
/// [`Sample::properties_mut`](crate::Sample::properties_mut). It is reset when the sample is returned to the pool.
///
/// *Stream time* says when to present the sample, in units of 100 nanoseconds. *Media time* is a separate number: the
/// position of the sample in its source, in the unit that the stream uses, such as frames, bytes or packets.
///
/// Mirrors `IMediaSample2` and `AM_SAMPLE2_PROPERTIES`.
///
/// # Examples
///
/// A key frame: number 250 of its channel, 40 ms long, with its arrival time in seconds as the user number:
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
    flags: Flags,
}

impl SampleProperties {
    /// Creates the properties of a new sample: nothing is set. As `default`, for a `const` or a `static`.
    ///
    /// # Examples
    ///
    /// ```
    /// use sample_pool::SampleProperties;
    ///
    /// const NONE: SampleProperties = SampleProperties::new();
    /// assert_eq!(NONE, SampleProperties::default());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: 0,
            stop: 0,
            media_start: 0,
            media_stop: 0,
            user: 0,
            media_type: None,
            stream_id: 0,
            flags: Flags::NONE,
        }
    }

    /// Returns the stream time at which the sample begins, if it is set.
    ///
    /// Mirrors `IMediaSample::GetTime`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{ReferenceTime, SampleProperties};
    /// let mut properties = SampleProperties::default();
    /// assert_eq!(properties.start(), None);
    /// properties.set_time(Some(ReferenceTime(400)), None);
    /// assert_eq!(properties.start(), Some(ReferenceTime(400)));
    /// ```
    #[must_use]
    pub fn start(&self) -> Option<ReferenceTime> {
        self.flags
            .has(Flag::Time)
            .then_some(ReferenceTime(self.start))
    }

    /// Returns the stream time at which the sample ends, if a start is set.
    ///
    /// If only a start was given, this is one unit after the start, as in DirectShow, and
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
        self.flags
            .has(Flag::Time)
            .then_some(ReferenceTime(self.stop))
    }

    /// Returns `true` if the [`stop`](Self::stop) time was given, and `false` if it was derived from the start.
    ///
    /// Mirrors `AM_SAMPLE_STOPVALID`. Where this is false, `IMediaSample::GetTime` returns `VFW_S_NO_STOP_TIME`.
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
        self.flags.has(Flag::StopTime)
    }

    /// Sets the stream times at which the sample begins and ends.
    ///
    /// Without a start both are cleared, and `stop` is ignored. With a start and no stop, the stop is one unit after
    /// the start, or equal to it at [`ReferenceTime::MAX`]. The times are stored as given: nothing checks that the
    /// stop is after the start.
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
        self.flags.put(Flag::Time, start.is_some());
        self.flags
            .put(Flag::StopTime, start.is_some() && stop.is_some());
    }

    /// Returns the position in the source at which the sample begins, if it is set, in the unit that the stream uses.
    ///
    /// Mirrors `IMediaSample::GetMediaTime`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// assert_eq!(properties.media_start(), None);
    /// properties.set_media_time(Some(250), None);
    /// assert_eq!(properties.media_start(), Some(250));
    /// ```
    #[must_use]
    pub fn media_start(&self) -> Option<i64> {
        self.flags.has(Flag::MediaTime).then_some(self.media_start)
    }

    /// Returns the position in the source at which the sample ends, if a media start is set, in the unit of
    /// [`media_start`](Self::media_start).
    ///
    /// Mirrors `IMediaSample::GetMediaTime`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_media_time(Some(250), Some(260));
    /// assert_eq!(properties.media_stop(), Some(260));
    /// ```
    #[must_use]
    pub fn media_stop(&self) -> Option<i64> {
        self.flags.has(Flag::MediaTime).then_some(self.media_stop)
    }

    /// Sets the positions in the source at which the sample begins and ends. The stream time does not change.
    ///
    /// Follows the same rules as [`set_time`](Self::set_time). Without a start both are cleared. With a start and no
    /// stop, the stop is one unit after the start, or equal to it at [`i64::MAX`]. DirectShow requires both or neither.
    ///
    /// Mirrors `IMediaSample::SetMediaTime`, but the length is not limited to 32 bits.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_media_time(Some(250), None);
    /// assert_eq!(properties.media_stop(), Some(251));
    /// assert_eq!(properties.stop(), None);
    /// ```
    pub fn set_media_time(&mut self, start: Option<i64>, stop: Option<i64>) {
        (self.media_start, self.media_stop) = resolve(start, stop);
        self.flags.put(Flag::MediaTime, start.is_some());
    }

    /// Returns `true` if decoding can begin at this sample: a key frame, or the start of a group of pictures.
    ///
    /// Mirrors `IMediaSample::IsSyncPoint`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!sample_pool::SampleProperties::default().sync_point());
    /// ```
    #[must_use]
    pub fn sync_point(&self) -> bool {
        self.flags.has(Flag::SyncPoint)
    }

    /// Sets whether decoding can begin at this sample.
    ///
    /// Mirrors `IMediaSample::SetSyncPoint`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_sync_point(true);
    /// assert!(properties.sync_point());
    /// ```
    pub fn set_sync_point(&mut self, sync_point: bool) {
        self.flags.put(Flag::SyncPoint, sync_point);
    }

    /// Returns `true` if this sample is decoded but not shown, because it is before the first sample that is shown.
    ///
    /// Mirrors `IMediaSample::IsPreroll`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!sample_pool::SampleProperties::default().preroll());
    /// ```
    #[must_use]
    pub fn preroll(&self) -> bool {
        self.flags.has(Flag::Preroll)
    }

    /// Sets whether this sample is decoded but not shown.
    ///
    /// Mirrors `IMediaSample::SetPreroll`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_preroll(true);
    /// assert!(properties.preroll());
    /// ```
    pub fn set_preroll(&mut self, preroll: bool) {
        self.flags.put(Flag::Preroll, preroll);
    }

    /// Returns `true` if the data does not continue the data of the previous sample: something was lost or skipped.
    ///
    /// Mirrors `IMediaSample::IsDiscontinuity`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!sample_pool::SampleProperties::default().discontinuity());
    /// ```
    #[must_use]
    pub fn discontinuity(&self) -> bool {
        self.flags.has(Flag::Discontinuity)
    }

    /// Sets whether the data does not continue the data of the previous sample.
    ///
    /// Mirrors `IMediaSample::SetDiscontinuity`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_discontinuity(true);
    /// assert!(properties.discontinuity());
    /// ```
    pub fn set_discontinuity(&mut self, discontinuity: bool) {
        self.flags.put(Flag::Discontinuity, discontinuity);
    }

    /// Returns `true` if the times do not continue the times of the previous sample. The data may still continue.
    ///
    /// Mirrors `AM_SAMPLE_TIMEDISCONTINUITY`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!sample_pool::SampleProperties::default().time_discontinuity());
    /// ```
    #[must_use]
    pub fn time_discontinuity(&self) -> bool {
        self.flags.has(Flag::TimeDiscontinuity)
    }

    /// Sets whether the times do not continue the times of the previous sample.
    ///
    /// Mirrors `AM_SAMPLE_TIMEDISCONTINUITY`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_time_discontinuity(true);
    /// assert!(properties.time_discontinuity());
    /// ```
    pub fn set_time_discontinuity(&mut self, time_discontinuity: bool) {
        self.flags.put(Flag::TimeDiscontinuity, time_discontinuity);
    }

    /// Returns `true` if this is the last sample of its stream.
    ///
    /// Mirrors `AM_SAMPLE_ENDOFSTREAM`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!sample_pool::SampleProperties::default().end_of_stream());
    /// ```
    #[must_use]
    pub fn end_of_stream(&self) -> bool {
        self.flags.has(Flag::EndOfStream)
    }

    /// Sets whether this is the last sample of its stream.
    ///
    /// Mirrors `AM_SAMPLE_ENDOFSTREAM`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_end_of_stream(true);
    /// assert!(properties.end_of_stream());
    /// ```
    pub fn set_end_of_stream(&mut self, end_of_stream: bool) {
        self.flags.put(Flag::EndOfStream, end_of_stream);
    }

    /// Returns the number of the stream that the sample belongs to; zero if it is not set.
    ///
    /// Mirrors `AM_SAMPLE2_PROPERTIES::dwStreamId`, where zero is `AM_STREAM_MEDIA`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(sample_pool::SampleProperties::default().stream_id(), 0);
    /// ```
    #[must_use]
    pub fn stream_id(&self) -> u32 {
        self.stream_id
    }

    /// Sets the number of the stream that the sample belongs to. Any number is allowed.
    ///
    /// Mirrors `AM_SAMPLE2_PROPERTIES::dwStreamId`.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_stream_id(0x101);
    /// assert_eq!(properties.stream_id(), 0x101);
    /// ```
    pub fn set_stream_id(&mut self, id: u32) {
        self.stream_id = id;
    }

    /// Returns the kind of data in the sample, if it is set.
    ///
    /// In DirectShow, no type means the same type as before. Here the producer and the consumer agree on what it means.
    ///
    /// Mirrors `IMediaSample::GetMediaType`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(sample_pool::SampleProperties::default().media_type(), None);
    /// ```
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        self.media_type.as_ref()
    }

    /// Sets or clears the kind of data in the sample.
    ///
    /// Mirrors `IMediaSample::SetMediaType`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sample_pool::{MediaType, SampleProperties};
    /// let mut properties = SampleProperties::default();
    /// properties.set_media_type(Some(MediaType::new("video/mp2t")));
    /// assert_eq!(properties.media_type().unwrap(), "video/mp2t");
    /// ```
    pub fn set_media_type(&mut self, media_type: Option<MediaType>) {
        self.media_type = media_type;
    }

    /// Returns the user number; zero if it is not set. The pool does not interpret it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(sample_pool::SampleProperties::default().user(), 0);
    /// ```
    #[must_use]
    pub fn user(&self) -> u64 {
        self.user
    }

    /// Sets the user number, for example an index, a key or an arrival time. The pool does not interpret it.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut properties = sample_pool::SampleProperties::default();
    /// properties.set_user(7);
    /// assert_eq!(properties.user(), 7);
    /// ```
    pub fn set_user(&mut self, value: u64) {
        self.user = value;
    }
}

/// The pair to store for a start and a stop, either of which can be missing.
fn resolve(start: Option<i64>, stop: Option<i64>) -> (i64, i64) {
    match (start, stop) {
        (Some(start), Some(stop)) => (start, stop),
        (Some(start), None) => (start, start.saturating_add(1)),
        (None, _) => (0, 0),
    }
}

/// Prints what the getters return, not the stored fields.
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

/// Returned by reference for a sample that has no slot, such as an empty one.
pub(crate) static EMPTY: SampleProperties = SampleProperties::new();

#[cfg(test)]
#[test]
fn the_properties_of_a_sample_without_a_slot_are_the_default() {
    assert_eq!(EMPTY, SampleProperties::default());
}
