//! What the example uses of `sample_pool::stream`: a source's bytes as samples that are filled, or that the source ends.
//!
//! A get that is ready at once is not boxed, so that a contender allocates no more than its buffers do.

use crate::{Quota, Sample};
use futures::{FutureExt, Stream, future::BoxFuture};
use original::GetBufferError;
pub use original::stream::ReadError;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

pub trait ReadSample {
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn poll_read_sample(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sample: &mut Sample,
    ) -> Poll<io::Result<usize>>;

    fn ends_sample(&self) -> bool;
}

pub struct SampleReader<S> {
    source: S,
    quota: Quota,
    get: Option<BoxFuture<'static, Result<Sample, GetBufferError>>>,
    filling: Option<Sample>,
    error: Option<io::Error>,
    has_ended: bool,
}

impl<S: ReadSample> SampleReader<S> {
    pub fn new(source: S, quota: &Quota) -> Self {
        SampleReader {
            source,
            quota: quota.clone(),
            get: None,
            filling: None,
            error: None,
            has_ended: false,
        }
    }
}

impl<S> SampleReader<S> {
    /// The only way in which the example uses it.
    pub fn fill_buffers(self, yes: bool) -> Self {
        assert!(yes, "each read would be a sample");
        self
    }

    pub fn get_ref(&self) -> &S {
        &self.source
    }

    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    pub fn into_inner(self) -> S {
        self.source
    }

    fn poll_get(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sample, GetBufferError>> {
        if self.get.is_none() {
            if let Some(got) = self.quota.get_buffer().now_or_never() {
                return Poll::Ready(got);
            }
        }
        let quota = self.quota.clone();
        let waiting = move || async move { quota.get_buffer().await }.boxed();
        let got = ready!(self.get.get_or_insert_with(waiting).poll_unpin(cx));
        self.get = None;
        Poll::Ready(got)
    }
}

impl<S: ReadSample + Unpin> Stream for SampleReader<S> {
    type Item = Result<Sample, ReadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.has_ended {
                let filled = this.filling.take().filter(|sample| !sample.is_empty());
                let error = filled.is_none().then(|| this.error.take()).flatten();
                return Poll::Ready(filled.map(Ok).or(error.map(|error| Err(error.into()))));
            }
            let mut sample = match this.filling.take() {
                Some(sample) => sample,
                None => {
                    if let Err(error) = ready!(Pin::new(&mut this.source).poll_readable(cx)) {
                        this.error = Some(error);
                        this.has_ended = true;
                        continue;
                    }
                    ready!(this.poll_get(cx))?
                }
            };
            let had = sample.len();
            let read = Pin::new(&mut this.source).poll_read_sample(cx, &mut sample);
            let ends = this.source.ends_sample();
            match read {
                Poll::Pending => {
                    this.filling = Some(sample).filter(|sample| !sample.is_empty());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(_)) if ends && !sample.is_empty() => {
                    return Poll::Ready(Some(Ok(sample)));
                }
                Poll::Ready(Ok(_)) => this.has_ended = sample.len() == had && !ends,
                Poll::Ready(Err(error)) => {
                    this.error = Some(error);
                    this.has_ended = true;
                }
            }
            this.filling = Some(sample);
        }
    }
}
