//! What the server says of itself to Prometheus, at `/metrics`, as OpenMetrics.
//!
//! Nothing is counted for it: each answer is made of what the pool, the channels and the viewers tell when they are asked.

use crate::{server::Server, status::samples_of};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use std::{fmt, time::Duration};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The histogram's bounds, in seconds.
const BOUNDS: [f64; 9] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, f64::INFINITY];

pub(crate) fn router(server: Server) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(server)
}

async fn metrics(State(server): State<Server>) -> Response {
    let mut registry = Registry::with_prefix("live");
    registry.register_collector(Box::new(Figures(server)));
    let mut said = String::new();
    match text::encode(&mut said, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], said).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

struct Figures(Server);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Figures(server) = self;
        let pool = server.pool.status();
        let (held, closed) = server.viewers.status();
        for (name, help, value) in [
            ("pool_buffers", "Buffers that the pool has", pool.buffers),
            ("pool_free", "Buffers that are free", pool.free),
            ("pool_outstanding", "Samples that are out", pool.outstanding),
            ("pool_waiting", "Gets that wait for a sample", pool.waiting),
            (
                "pool_high_water",
                "Most samples out at a time",
                pool.high_water,
            ),
            (
                "pool_used_bytes",
                "Bytes in the samples that are out",
                pool.bytes_used,
            ),
            (
                "pool_pinned_bytes",
                "Bytes that they keep from others",
                pool.bytes_pinned,
            ),
            ("viewers_hold", "Samples on their way to viewers", held),
        ] {
            gauge(&mut encoder, name, help, value)?;
        }
        for (name, help, value) in [
            ("pool_acquired", "Samples given out", pool.acquired),
            (
                "pool_released",
                "Samples that were returned to the pool",
                pool.released,
            ),
            ("pool_waited", "Gets that had to wait", pool.waited),
            (
                "pool_exhausted",
                "Gets that failed for want of a sample",
                pool.exhausted,
            ),
            (
                "pool_timed_out",
                "Gets that waited too long",
                pool.timed_out,
            ),
            ("viewers_closed", "Viewers closed for stalling", closed),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        self.encode_waits(&mut encoder, pool.wait_time)?;
        self.encode_channels(&mut encoder)
    }
}

impl Figures {
    fn encode_waits(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        sum: Option<Duration>,
    ) -> fmt::Result {
        let times = self.0.pool.wait_histogram();
        let times = times.iter().flat_map(|times| times.iter());
        let (mut all, mut buckets) = (0, BOUNDS.map(|bound| (bound, 0)));
        for (at_most, count) in times {
            let fits = |(bound, _): &&mut (f64, u64)| at_most.as_secs_f64() <= *bound;
            if let Some((_, counted)) = buckets.iter_mut().find(fits) {
                *counted += count;
            }
            all += count;
        }
        let (name, help) = ("pool_wait", "Wait times of gets for a sample");
        let unit = Some(&Unit::Seconds);
        let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        let sum = sum.unwrap_or_default().as_secs_f64();
        metric.encode_histogram::<NoLabelSet>(sum, all, &buckets, None)
    }

    fn encode_channels(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let channels = self.0.channels.status();
        let quotas = self.0.pool.quotas();
        let mut family = |name, help, kind, value: &dyn Fn(usize) -> u64| {
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for (index, channel) in channels.iter().enumerate() {
                let labels = [("channel", &*channel.name)];
                let one = metric.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => ConstCounter::new(value(index)).encode(one)?,
                    _ => ConstGauge::new(value(index)).encode(one)?,
                }
            }
            Ok(())
        };
        let (gauge, counter) = (MetricType::Gauge, MetricType::Counter);
        family(
            "channel_live",
            "Whether a source feeds it",
            gauge,
            &|index| channels[index].live.into(),
        )?;
        family("channel_viewers", "Who watches it", gauge, &|index| {
            channels[index].viewers as u64
        })?;
        family(
            "channel_samples",
            "Samples of its sources that are checked out",
            gauge,
            &|index| samples_of(&channels[index].name, &quotas) as u64,
        )?;
        family(
            "channel_frames",
            "Pictures or fragments",
            counter,
            &|index| channels[index].sequence,
        )?;
        family(
            "channel_skipped_bytes",
            "Bytes of its sources that are in no picture",
            counter,
            &|index| channels[index].skipped.bytes,
        )?;
        family(
            "channel_skipped_pictures",
            "Pictures of its sources that were broken",
            counter,
            &|index| channels[index].skipped.pictures,
        )
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let gauge = ConstGauge::new(value as u64);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}
