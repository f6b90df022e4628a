//! A source's body, frame by frame into samples.
//!
//! hyper owns the socket's buffer, so each byte is copied once, here, from hyper's chunk into the sample.
//! From then on nothing is copied. A sample is taken when a frame begins, not before, so a source that
//! is idle holds none; with no sample home the source waits, and so do hyper and the sender.

use crate::{
    channel::Source,
    frames::{Event, FrameError, FrameParser},
    limits::FRAME_TIME,
};
use bytes::{BufMut, Bytes};
use futures::{Stream, StreamExt};
use sample_pool::{GetBufferError, Pool, ReferenceTime, Sample};
use std::{fmt, time::Instant};
use tokio::time;

/// Why a source was turned away.
#[derive(Debug)]
pub(crate) enum Rejected {
    NotFrames(FrameError),
    /// `frame` is the frame's size, if it is known beforehand.
    TooLarge {
        frame: Option<usize>,
        most: usize,
    },
    /// No frame was finished for too long.
    TooSlow,
    /// The server ends.
    Ending,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::NotFrames(error) => error.fmt(f),
            Rejected::TooLarge {
                frame: Some(frame),
                most,
            } => write!(f, "a frame of {frame} bytes, and a buffer holds {most}"),
            Rejected::TooLarge { frame: None, most } => {
                write!(
                    f,
                    "a frame of more than {most} bytes, and a buffer holds {most}"
                )
            }
            Rejected::TooSlow => {
                write!(f, "no frame was finished for {} s", FRAME_TIME.as_secs())
            }
            Rejected::Ending => f.write_str("the server is ending"),
        }
    }
}

impl From<FrameError> for Rejected {
    fn from(error: FrameError) -> Self {
        Rejected::NotFrames(error)
    }
}

impl From<GetBufferError> for Rejected {
    fn from(_not_committed: GetBufferError) -> Self {
        Rejected::Ending
    }
}

/// What came of a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ingested {
    pub(crate) frames: u64,
    /// Whether it ended in the middle of a frame.
    pub(crate) cut: bool,
}

impl fmt::Display for Ingested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.cut {
            ", and one that was cut"
        } else {
            ""
        };
        write!(f, "{} frames{cut}", self.frames)
    }
}

/// Reads one source.
pub(crate) struct Ingest<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) source: &'a Source,
    /// The largest frame, in bytes.
    pub(crate) most: usize,
    /// What the times of frames are counted from.
    pub(crate) epoch: Instant,
}

impl Ingest<'_> {
    /// Reads the body to its end. A source that vanishes in the middle of a frame loses that frame only.
    pub(crate) async fn read<E>(
        &self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Ingested, Rejected> {
        let mut parser = FrameParser::new();
        let mut filling = None;
        let mut frames = 0;
        let mut due = time::Instant::now() + FRAME_TIME;
        // A deadline, and not a limit for each piece: a source that sends a byte now and then would keep
        // its channel and a sample for ever.
        while let Some(Ok(mut chunk)) = time::timeout_at(due, body.next())
            .await
            .map_err(|_elapsed| Rejected::TooSlow)?
        {
            while let Some(event) = parser.next(&mut chunk)? {
                match event {
                    Event::Begin { length } => {
                        let asked = time::Instant::now();
                        filling = Some(self.begin(length).await?);
                        // Waiting for a sample is not the source's doing.
                        due += asked.elapsed();
                    }
                    Event::Piece(piece) => self.append(&mut filling, &piece)?,
                    Event::End => {
                        frames += 1;
                        due = time::Instant::now() + FRAME_TIME;
                        filling
                            .take()
                            .into_iter()
                            .for_each(|frame| self.source.publish(frame));
                    }
                }
            }
        }
        let cut = !parser.is_between_frames();
        Ok(Ingested { frames, cut })
    }

    async fn begin(&self, length: Option<usize>) -> Result<Sample, Rejected> {
        if let Some(frame) = length.filter(|&frame| frame > self.most) {
            return Err(self.too_large(Some(frame)));
        }
        let mut sample = self.pool.get_buffer().await?;
        stamp(&mut sample, self.epoch);
        Ok(sample)
    }

    fn append(&self, filling: &mut Option<Sample>, piece: &[u8]) -> Result<(), Rejected> {
        let Some(sample) = filling else {
            return Ok(());
        };
        if piece.len() > self.most - sample.len() {
            return Err(self.too_large(None));
        }
        sample.put_slice(piece);
        Ok(())
    }

    fn too_large(&self, frame: Option<usize>) -> Rejected {
        let most = self.most;
        Rejected::TooLarge { frame, most }
    }
}

/// Writes down when a frame came. Each JPEG can be shown without another, so each is a sync point.
pub(crate) fn stamp(sample: &mut Sample, epoch: Instant) {
    let now = ReferenceTime::from_duration(epoch.elapsed());
    let properties = sample.properties_mut();
    properties.set_time(Some(now), None);
    properties.set_sync_point(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{channel::Channels, frame};
    use futures::FutureExt;
    use sample_pool::fan_out::Hands;
    use std::convert::Infallible;

    const MOST: usize = 1024;

    /// Sends `chunks` as one source, and gives the answer and what the channel shows afterwards.
    async fn send(pool: &Pool, chunks: &[&[u8]]) -> (Result<Ingested, Rejected>, Option<Bytes>) {
        let channels = Channels::new(pool, &Hands::new(1));
        let source = channels.open("cam").unwrap();
        let ingest = Ingest {
            pool,
            source: &source,
            most: MOST,
            epoch: Instant::now(),
        };
        let chunks = chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk));
        let body = futures::stream::iter(chunks.map(Ok::<_, Infallible>));
        let answer = ingest.read(body).await;
        let mut frames = channels.find("cam").and_then(|cam| cam.follow()).unwrap();
        let newest = frames.next().now_or_never().flatten();
        (answer, newest.map(frame::jpeg))
    }

    fn pool() -> Pool {
        frame::pool(10, MOST).unwrap()
    }

    const PART: &[u8] = b"--x\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n";

    #[tokio::test]
    async fn the_frames_of_a_source_are_published_and_none_is_kept_back() {
        let pool = pool();
        let (answer, newest) = send(&pool, &[PART, PART, PART]).await;
        assert_eq!(answer.unwrap().to_string(), "3 frames");
        assert_eq!(newest.unwrap(), b"\xff\xd8\xff\xd9"[..]);
        assert_eq!(pool.free_count(), 10);
    }

    #[tokio::test]
    async fn a_source_that_vanishes_in_a_frame_loses_that_frame_only() {
        let pool = pool();
        let (answer, newest) = send(&pool, &[PART, &PART[..PART.len() - 4]]).await;
        assert_eq!(
            answer.unwrap().to_string(),
            "1 frames, and one that was cut"
        );
        assert!(newest.is_some());
        drop(newest);
        assert_eq!(pool.free_count(), 10);
    }

    #[tokio::test]
    async fn a_frame_larger_than_a_buffer_is_refused_with_both_sizes() {
        let pool = pool();
        let announced = b"--x\r\nContent-Length: 5000\r\n\r\n\xff\xd8";
        let (answer, _) = send(&pool, &[announced]).await;
        let said = answer.unwrap_err().to_string();
        assert!(said.contains("5000") && said.contains("1024"), "{said}");
        // Not announced: a segment that goes on and on.
        let (answer, _) = send(&pool, &[b"\xff\xd8\xff\xe0\xff\xff", &[0; 2000]]).await;
        assert!(matches!(
            answer,
            Err(Rejected::TooLarge { frame: None, .. })
        ));
        assert_eq!(pool.free_count(), 10);
    }

    /// A byte now and then is not a frame.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_finishes_no_frame_in_time_is_turned_away_and_leaves_no_sample_behind() {
        let pool = pool();
        let channels = Channels::new(&pool, &Hands::new(1));
        let source = channels.open("cam").unwrap();
        let ingest = Ingest {
            pool: &pool,
            source: &source,
            most: MOST,
            epoch: Instant::now(),
        };
        let trickle = PART
            .iter()
            .take(PART.len() - 3)
            .map(|&byte| Bytes::from(vec![byte]));
        let body = futures::stream::iter(trickle.chain(vec![Bytes::from_static(b"\n"); 100])).then(
            async |byte| {
                time::sleep(FRAME_TIME / 10).await;
                Ok::<_, Infallible>(byte)
            },
        );
        let began = time::Instant::now();
        let answer = ingest.read(std::pin::pin!(body)).await;
        assert!(matches!(answer, Err(Rejected::TooSlow)), "{answer:?}");
        assert!(began.elapsed() <= FRAME_TIME * 2);
        assert_eq!(pool.free_count(), 10);
    }

    #[tokio::test]
    async fn with_no_sample_home_the_source_waits_and_the_status_shows_it() {
        let pool = pool();
        let held = pool.try_get_buffers(10).unwrap();
        let chunks = [PART];
        let mut sending = std::pin::pin!(send(&pool, &chunks));
        assert!((&mut sending).now_or_never().is_none());
        assert_eq!(pool.status().waiting, 1);
        drop(held);
        assert_eq!(sending.await.0.unwrap().frames, 1);
    }
}
