//! What the futures have in common that receive several datagrams or batches: [`receive_future`].
//!
//! | stage     | the position in the wait queue                    | next: event → stage                       |
//! |-----------|---------------------------------------------------|-------------------------------------------|
//! | `New`     | the stream's, if it is queued; given up at the first poll | poll → `Waiting` or `Done`        |
//! | `Waiting` | the future's, in its receiver's `PollPool`        | result → `Done`; drop → given up          |
//! | `Done`    | none                                              | polling again panics                      |

#![forbid(unsafe_code)]

/// How far a future is. See the table of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Waiting,
    Done,
}

/// Implements the future of a type with the fields `receiver`, `limit` and `stage`, whose method `$poll` receives.
macro_rules! receive_future {
    ($future:ident, $poll:ident) => {
        impl Future for $future<'_> {
            type Output = Result<usize, ReadError>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let this = &mut *self;
                match this.stage {
                    // The stream may be queued already, with another call site than this one.
                    Stage::New => this.receiver.pool.cancel(),
                    Stage::Waiting => {}
                    Stage::Done => panic!("a receive was polled after it had resolved"),
                }
                this.stage = Stage::Waiting;
                let result = ready!(this.$poll(cx));
                this.stage = Stage::Done;
                Poll::Ready(result)
            }
        }

        impl Drop for $future<'_> {
            fn drop(&mut self) {
                if self.stage == Stage::Waiting {
                    self.receiver.pool.cancel();
                }
            }
        }

        impl FusedFuture for $future<'_> {
            fn is_terminated(&self) -> bool {
                self.stage == Stage::Done
            }
        }

        impl fmt::Debug for $future<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($future))
                    .field("limit", &self.limit)
                    .field("stage", &self.stage)
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use receive_future;
