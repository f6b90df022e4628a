//! What the page shows, as JSON: the pool, the channels, who watches, and who holds the samples.

use crate::{
    channel::{ChannelStatus, Kind},
    jpeg::part,
    server::Server,
};
use axum::{Json, Router, extract::State, routing::get};
use sample_pool::QuotaStatus;
use serde_json::{Value, json};

/// How many viewers are listed, of those that are furthest behind.
const MOST_VIEWERS: usize = 100;

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/viewers", get(viewers))
        .route("/holders", get(holders))
        .with_state(server)
}

/// The pool's status with the names of its fields, durations in seconds, and the server's beside it.
async fn status(State(server): State<Server>) -> Json<Value> {
    let status = server.pool.status();
    let channels = server.channels.status();
    let quotas = server.pool.quotas();
    let channels = channels.iter().map(|one| channel(one, &quotas));
    let (held_by_viewers, closed_viewers) = server.viewers.status();
    let wait_histogram = server.pool.wait_histogram();
    let wait_histogram = wait_histogram.iter().flat_map(|times| times.iter());
    let wait_histogram = wait_histogram
        .map(|(at_most, count)| json!({ "up_to": at_most.as_secs_f64(), "count": count }));
    Json(json!({
        "state": format!("{:?}", status.state),
        "buffers": status.buffers,
        "free": status.free,
        "outstanding": status.outstanding,
        "priority_free": status.priority_free,
        "waiting": status.waiting,
        "high_water": status.high_water,
        "bytes_used": status.bytes_used,
        "bytes_pinned": status.bytes_pinned,
        "memory_kept": status.memory_kept,
        "acquired": status.acquired,
        "released": status.released,
        "waited": status.waited,
        "wait_time": status.wait_time.map(|time| time.as_secs_f64()),
        "max_wait": status.max_wait.map(|time| time.as_secs_f64()),
        "oldest_wait": status.oldest_wait.map(|time| time.as_secs_f64()),
        "wait_histogram": wait_histogram.collect::<Vec<_>>(),
        "exhausted": status.exhausted,
        "timed_out": status.timed_out,
        "cancelled": status.cancelled,
        "callback_panics": status.callback_panics,
        "channels": channels.collect::<Vec<_>>(),
        "held_by_viewers": held_by_viewers,
        "closed_viewers": closed_viewers,
        "uptime": server.epoch.elapsed().as_secs_f64(),
    }))
}

/// How many samples came from the sources of a channel and have not returned: its backlog, what is being filled, and what
/// viewers hold. Each source has a quota in its name.
pub(crate) fn samples_of(channel: &str, quotas: &[QuotaStatus]) -> usize {
    let of_channel = quotas.iter().filter(|quota| *quota.name == *channel);
    of_channel.map(|quota| quota.in_use).sum()
}

fn channel(channel: &ChannelStatus, quotas: &[QuotaStatus]) -> Value {
    let (kind, media_type) = match &channel.kind {
        None => (None, None),
        Some(Kind::Jpeg) => (Some("jpeg"), Some(part::CONTENT_TYPE)),
        Some(Kind::Mp4(init)) => (Some("mp4"), Some(init.media_type.as_str())),
    };
    json!({
        "name": &*channel.name,
        "live": channel.live,
        "sequence": channel.sequence,
        "skipped_bytes": channel.skipped.bytes,
        "skipped_pictures": channel.skipped.pictures,
        "viewers": channel.viewers,
        "samples": samples_of(&channel.name, quotas),
        "kind": kind,
        "media_type": media_type,
    })
}

/// How far behind each viewer is, and what it holds.
async fn viewers(State(server): State<Server>) -> Json<Value> {
    let (all, viewers) = server.viewers.everybody().status(MOST_VIEWERS);
    let viewers = viewers.into_iter().map(|viewer| {
        json!({
            "channel": &*viewer.channel,
            "address": viewer.peer.to_string(),
            "lag": viewer.lag,
            "skipped": viewer.skipped,
            "holds": viewer.holds,
            "since": viewer.watches.as_secs_f64(),
        })
    });
    Json(json!({ "all": all, "viewers": viewers.collect::<Vec<_>>() }))
}

/// The pool's own report, and the lines of this program that asked for what is out.
async fn holders(State(server): State<Server>) -> Json<Value> {
    let report = server.pool.report();
    let call_sites = report.call_sites.iter().flatten().map(|site| {
        json!({
            "where": site.location.to_string(),
            "channel": site.quota.as_deref(),
            "samples": site.samples,
            "oldest": site.oldest.as_secs_f64(),
            "bytes_used": site.bytes_used,
            "bytes_pinned": site.bytes_pinned,
            "handles": site.handles,
        })
    });
    Json(json!({
        "call_sites": call_sites.collect::<Vec<_>>(),
        "text": report.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::Channels,
        memory::{self, FEWEST_BUFFERS},
        viewers::Viewers,
    };
    use std::time::Instant;
    use tokio::sync::watch;

    /// A field that the pool has since would be missing here, unnoticed.
    #[tokio::test]
    async fn every_field_of_the_pools_status_is_shown() {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let viewers = Viewers::new(FEWEST_BUFFERS);
        let (_end, ending) = watch::channel(false);
        let server = Server {
            channels: Channels::new(&pool, viewers.hold_limit()),
            viewers,
            most: 1024,
            source_timeout: crate::limits::SOURCE_TIMEOUT,
            epoch: Instant::now(),
            ending,
            token: None,
            pool,
        };
        let fields = format!("{:#?}", server.pool.status());
        let fields = fields.lines().filter_map(|line| line.split_once(": "));
        let names: Vec<_> = fields.map(|(name, _)| name.trim_start()).collect();
        let Json(shown) = status(State(server)).await;
        assert!(names.contains(&"priority_free"), "{names:?}");
        for name in names {
            assert!(shown.get(name).is_some(), "{name}");
        }
    }
    /// A source that comes again has another quota of the same name, while viewers still hold samples of the first.
    #[test]
    fn a_channel_has_the_samples_of_all_its_sources() {
        let pool = memory::pool(FEWEST_BUFFERS, 1024).unwrap();
        let quotas = ["cam", "cam", "film"].map(|name| pool.quota(name, 4));
        let _taken = quotas
            .each_ref()
            .map(|quota| quota.try_get_buffers(2).unwrap());
        let quotas = pool.quotas();
        let samples = ["cam", "film", "none"].map(|name| samples_of(name, &quotas));
        assert_eq!(samples, [4, 2, 0]);
    }
}
