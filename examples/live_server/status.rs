//! What `/status` answers: the pool's own numbers, the channels, and who holds the samples.

use crate::server::Server;
use serde_json::{Value, json};

/// The pool's status with the names of its fields, durations in seconds, and the server's beside it.
pub(crate) fn json(server: &Server) -> Value {
    let status = server.pool.status();
    let channels = server.channels.status().into_iter().map(|channel| {
        json!({
            "name": channel.name,
            "live": channel.live,
            "sequence": channel.sequence,
            "viewers": channel.viewers,
        })
    });
    let (held_by_viewers, closed_viewers) = server.viewers.status();
    json!({
        "state": format!("{:?}", status.state),
        "buffers": status.buffers,
        "free": status.free,
        "outstanding": status.outstanding,
        "waiting": status.waiting,
        "high_water": status.high_water,
        "acquired": status.acquired,
        "released": status.released,
        "waited": status.waited,
        "wait_time": status.wait_time.map(|time| time.as_secs_f64()),
        "max_wait": status.max_wait.map(|time| time.as_secs_f64()),
        "exhausted": status.exhausted,
        "timed_out": status.timed_out,
        "cancelled": status.cancelled,
        "callback_panics": status.callback_panics,
        "channels": channels.collect::<Vec<_>>(),
        "held_by_viewers": held_by_viewers,
        "closed_viewers": closed_viewers,
        "uptime": server.epoch.elapsed().as_secs_f64(),
    })
}
