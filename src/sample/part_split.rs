//! How a sample becomes parts, and how parts are split, joined, frozen and become a sample again.

#![forbid(unsafe_code)]

use crate::{
    core::handle,
    sample::{exclusive::Sample, part::SamplePart, shared::SharedSample},
    slot::part::PartBytes,
};
use bytes::Bytes;

impl Sample {
    /// Makes the sample a part, which can be split. It copies nothing and allocates nothing.
    ///
    /// The part has the sample's bytes and its spare capacity. The headroom before them cannot be used by a part. The
    /// properties are fixed from here on. [`SamplePart::try_into_sample`] of the only handle leads back.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"head body");
    /// let mut body = sample.into_part();
    /// let head = body.split_to(5);
    /// assert_eq!((&head[..], &body[..]), (&b"head "[..], &b"body"[..]));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn into_part(self) -> SamplePart {
        SamplePart::new(PartBytes::of(self.into_slot()))
    }
}

impl SamplePart {
    /// Splits off the first `at` bytes and returns them. `self` keeps the rest, and all the spare capacity.
    ///
    /// It is [`BytesMut::split_to`](bytes::BytesMut::split_to). The returned part has no spare capacity.
    ///
    /// # Panics
    ///
    /// If fewer than `at` bytes were written.
    ///
    /// # Examples
    ///
    /// Messages with their length before them are cut out of a batch:
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut sample = pool.try_get_buffer()?;
    /// sample.put_slice(b"\x02hi\x05there");
    /// let mut batch = sample.into_part();
    /// let mut messages = Vec::new();
    /// while let Some(&len) = batch.first() {
    ///     let mut message = batch.split_to(1 + usize::from(len));
    ///     messages.push(message.split_off(1));
    /// }
    /// assert_eq!((&messages[0][..], &messages[1][..]), (&b"hi"[..], &b"there"[..]));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use = "the first bytes are dropped if the result is not used"]
    pub fn split_to(&mut self, at: usize) -> SamplePart {
        SamplePart::new(self.bytes_mut().split_to(at))
    }

    /// Splits off what begins at `at`, written or spare, and returns it. `self` keeps what is before it.
    ///
    /// It is [`BytesMut::split_off`](bytes::BytesMut::split_off): `at` may lie in the spare capacity. Then `self` keeps
    /// all that was written, and the spare capacity up to `at`.
    ///
    /// # Panics
    ///
    /// If `at` is more than the [capacity](SamplePart::capacity).
    ///
    /// # Examples
    ///
    /// Room for a header of eight bytes, which is written after the body:
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut header = pool.try_get_buffer()?.into_part();
    /// let mut body = header.split_off(8);
    /// body.put_slice(b"a body of unknown length");
    /// header.put_u64(body.len() as u64);
    /// header.try_join(body).expect("the header is full");
    /// assert_eq!(header.len(), 8 + 24);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use = "the last bytes are dropped if the result is not used"]
    pub fn split_off(&mut self, at: usize) -> SamplePart {
        SamplePart::new(self.bytes_mut().split_off(at))
    }

    /// Freezes what was written and returns it. `self` goes on behind it, empty, with all the spare capacity.
    ///
    /// Readers get what has arrived so far while the rest is still being written. If nothing was written, the result is
    /// empty, and a handle to the buffer like any other. It is `BytesMut::split().freeze()`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut frame = pool.try_get_buffer()?.into_part();
    /// frame.put_slice(b"what has arrived, ");
    /// let mut seen = frame.split_written();
    /// frame.put_slice(b"and what came then");
    /// seen.try_unsplit(frame.split_written()).expect("it begins where the first ends");
    /// assert_eq!(seen, *b"what has arrived, and what came then");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use = "what was written is dropped if the result is not used"]
    pub fn split_written(&mut self) -> SharedSample {
        self.split_to(self.len()).freeze()
    }

    /// Splits off the spare capacity and returns it as an empty part. `self` keeps what was written, and is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// let mut first = pool.try_get_buffer()?.into_part();
    /// first.put_slice(b"message");
    /// let next = first.split_spare_off();
    /// assert_eq!((&first[..], first.spare_capacity()), (&b"message"[..], 0));
    /// assert_eq!((next.len(), next.spare_capacity()), (0, 57));
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use = "the spare capacity is dropped if the result is not used"]
    pub fn split_spare_off(&mut self) -> SamplePart {
        self.split_off(self.len())
    }

    /// Appends `next`, if it lies directly behind this part. It copies nothing.
    ///
    /// # Errors
    ///
    /// Returns `next`, and changes nothing, unless
    ///
    /// - both are parts of the same sample;
    /// - `next` begins at the end of this part's spare capacity;
    /// - and this part is full, or `next` is empty. Otherwise unwritten bytes would lie between written ones.
    ///   To join such parts, fill this one first, for example with zeroes by
    ///   [`set_len(capacity)`](SamplePart::set_len).
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"one, two");
    /// let mut one = sample.into_part();
    /// let two = one.split_off(5);
    /// let three = pool.try_get_buffer()?.into_part();
    /// one.try_join(three).expect_err("of another sample");
    /// one.try_join(two).expect("they were one");
    /// one.put_slice(b", three");
    /// assert_eq!(&one[..], b"one, two, three");
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    pub fn try_join(&mut self, next: SamplePart) -> Result<(), SamplePart> {
        let joined = self.bytes_mut().try_join(next.into_inner());
        joined.map_err(SamplePart::new)
    }

    /// Makes what was written shared and read-only. It copies nothing and allocates nothing.
    ///
    /// The spare capacity has no owner then, until the buffer is returned to the pool. To go on writing there, use
    /// [`split_written`](SamplePart::split_written).
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let mut part = pool.try_get_buffer()?.into_part();
    /// part.put_slice(b"to everyone");
    /// let shared = part.freeze();
    /// assert_eq!(shared.clone(), shared);
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn freeze(self) -> SharedSample {
        SharedSample::new(self.into_inner().freeze())
    }

    /// Converts what was written into [`Bytes`]. It copies nothing and makes one small allocation.
    ///
    /// If nothing was written, this part is dropped. The result is then an empty `Bytes` that holds no buffer, and
    /// nothing is allocated.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"head body");
    /// let mut body = sample.into_part();
    /// let head = body.split_to(5);
    /// assert_eq!((head.into_bytes(), body.into_bytes()), ("head ".into(), "body".into()));
    /// ```
    #[inline]
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.freeze().into_bytes()
    }

    /// Makes the part a sample again, if this is the only handle to it.
    ///
    /// The result has the same bytes. Everything before them in the buffer becomes headroom, and everything after them
    /// spare capacity, and neither can be read any more. The properties stay, and can be changed again.
    ///
    /// # Errors
    ///
    /// Returns `self` if another part, a shared sample or `Bytes` of the same buffer exists.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().size(64).build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"head body");
    /// let mut body = sample.into_part();
    /// let head = body.split_to(5);
    /// let body = body.try_into_sample().expect_err("there is another part");
    /// drop(head);
    /// let sample = body.try_into_sample().expect("the only handle");
    /// assert_eq!(&sample[..], b"body");
    /// assert_eq!((sample.headroom(), sample.spare_capacity()), (5, 55));
    /// ```
    pub fn try_into_sample(self) -> Result<Sample, SamplePart> {
        let owned = self.into_inner().try_into_owned(handle::geometry_of);
        owned.map(Sample::from_bytes).map_err(SamplePart::new)
    }
}

impl SharedSample {
    /// Appends `next`, if it lies directly behind this handle's bytes. It copies nothing.
    ///
    /// It undoes [`split_off`](SharedSample::split_off), and joins what was frozen bit by bit with
    /// [`SamplePart::split_written`].
    ///
    /// # Errors
    ///
    /// Returns `next`, and changes nothing, if it is of another sample or does not begin where this one ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"hello world");
    /// let mut hello = sample.freeze();
    /// let world = hello.split_off(5);
    /// hello.try_unsplit(world).expect("it was the rest");
    /// assert_eq!(hello, *b"hello world");
    /// hello.try_unsplit(hello.slice(..5)).expect_err("it begins elsewhere");
    /// ```
    pub fn try_unsplit(&mut self, mut next: SharedSample) -> Result<(), SharedSample> {
        match self.bytes_mut().try_unsplit(next.bytes_mut()) {
            true => Ok(()),
            false => Err(next),
        }
    }

    /// Keeps only the first `len` bytes in this handle. Does nothing if it has no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bytes::BufMut;
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// # let mut sample = pool.try_get_buffer().unwrap();
    /// # sample.put_slice(b"hello world");
    /// let mut shared = sample.freeze();
    /// shared.truncate(5);
    /// assert_eq!(shared, *b"hello");
    /// ```
    pub fn truncate(&mut self, len: usize) {
        self.bytes_mut().truncate(len);
    }

    /// Returns `true` if this is the only handle to its buffer: no other handle, slice, part or `Bytes` is left, and
    /// [`try_into_sample`](SharedSample::try_into_sample) would succeed.
    ///
    /// The result may be out of date at once if another thread clones this handle during the call. With exclusive access
    /// (`&mut SharedSample`), `true` remains valid until you make another handle. `false` can become out of date in each
    /// case, because another thread may drop its handle.
    ///
    /// # Examples
    ///
    /// ```
    /// # let pool = sample_pool::Pool::builder().build().unwrap();
    /// let shared = pool.try_get_buffer()?.freeze();
    /// let other = shared.clone();
    /// assert!(!shared.is_unique());
    /// drop(other);
    /// assert!(shared.is_unique());
    /// # Ok::<(), sample_pool::GetBufferError>(())
    /// ```
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.bytes().slot().is_only()
    }
}

impl From<Sample> for SamplePart {
    fn from(sample: Sample) -> SamplePart {
        sample.into_part()
    }
}

impl From<SamplePart> for SharedSample {
    fn from(part: SamplePart) -> SharedSample {
        part.freeze()
    }
}

impl From<SamplePart> for Bytes {
    fn from(part: SamplePart) -> Bytes {
        part.into_bytes()
    }
}
