//! What the server is told on its command line.

use crate::{
    limits::{Limits, SOURCE_TIMEOUT},
    memory::{FEWEST_BUFFERS, MOST_BUFFERS},
};
use axum::http::Uri;
use std::{fmt, net::SocketAddr, time::Duration};

/// How to call the program.
pub(crate) const USAGE: &str = "\
live_server [--listen ADDR] [--buffers N] [--size BYTES] [--connections N] [--per-address N] [--source-timeout SECONDS] [--allow-origin ORIGIN]

  --listen ADDR          address and port to listen on (default 127.0.0.1:8000; port 0 picks one)
  --buffers N            how many buffers the pool has (default 256, at least 32, at most 1000000); 42 for MP4
  --size BYTES           the largest picture, and an eighth of the largest fragment (default 524288)
  --connections N        how many connections there may be (default 900, at least 1)
  --per-address N        how many of them from one address (default 300, at least 1)
  --source-timeout SECONDS
                         how long a source may be silent between two pictures (default 10, at least 1), and three times
                         as long between two fragments; a timelapse camera needs more
  --allow-origin ORIGIN  the site whose pages may read what is shown here, such as https://example.org,
                         or * for all (default none)

With INGEST_TOKEN in the environment, sources must send it as Authorization: Bearer TOKEN, and so must whoever removes
a channel: DELETE /ingest/CHANNEL ends its source and its viewers.";

/// The smallest frame that a camera sends is larger than this.
const SMALLEST_SIZE: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) buffers: usize,
    pub(crate) size: usize,
    pub(crate) limits: Limits,
    /// How long a source may take for a picture.
    pub(crate) source_timeout: Duration,
    /// Whose pages may read what is shown; `*` for all.
    pub(crate) allow_origin: Option<String>,
}

/// Why the arguments cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It was asked how to call the program.
    Help,
    Wrong(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Help => f.write_str(USAGE),
            Refused::Wrong(what) => write!(f, "{what}\n\n{USAGE}"),
        }
    }
}

impl Arguments {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Refused> {
        let mut parsed = Arguments {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            buffers: 256,
            size: 512 * 1024,
            limits: Limits::default(),
            source_timeout: SOURCE_TIMEOUT,
            allow_origin: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--help" | "-h" => return Err(Refused::Help),
                "--listen" => parsed.listen = value(&name, arguments.next())?,
                "--buffers" => parsed.buffers = value(&name, arguments.next())?,
                "--size" => parsed.size = value(&name, arguments.next())?,
                "--connections" => parsed.limits.connections = value(&name, arguments.next())?,
                "--per-address" => parsed.limits.per_address = value(&name, arguments.next())?,
                "--source-timeout" => {
                    // More seconds than these are no time that a clock can add.
                    let seconds: u32 = value(&name, arguments.next())?;
                    parsed.source_timeout = Duration::from_secs(seconds.into());
                }
                "--allow-origin" => {
                    parsed.allow_origin = Some(origin(value(&name, arguments.next())?)?)
                }
                _ => {
                    return Err(Refused::Wrong(format!(
                        "unknown argument {}",
                        name.escape_debug()
                    )));
                }
            }
        }
        at_least("--buffers", parsed.buffers, FEWEST_BUFFERS)?;
        at_most("--buffers", parsed.buffers, MOST_BUFFERS)?;
        at_least("--size", parsed.size, SMALLEST_SIZE)?;
        at_least("--connections", parsed.limits.connections, 1)?;
        at_least("--per-address", parsed.limits.per_address, 1)?;
        if parsed.source_timeout.is_zero() {
            at_least("--source-timeout", 0, 1)?;
        }
        Ok(parsed)
    }
}

fn value<T: std::str::FromStr>(name: &str, value: Option<String>) -> Result<T, Refused> {
    let value = value.ok_or_else(|| Refused::Wrong(format!("{name} needs a value")))?;
    value
        .parse()
        .map_err(|_unreadable| Refused::Wrong(format!("{name} cannot be {}", value.escape_debug())))
}

/// Browsers compare it letter by letter with what they call the site themselves.
fn origin(origin: String) -> Result<String, Refused> {
    let as_written = || {
        let site: Uri = origin.parse().ok()?;
        let name = format!("{}://{}", site.scheme()?, site.authority()?);
        Some(name.to_ascii_lowercase() == origin)
    };
    if origin == "*" || as_written() == Some(true) {
        return Ok(origin);
    }
    let said = "is one site as browsers write it, such as https://example.org, or *";
    Err(Refused::Wrong(format!(
        "--allow-origin {said}, and not {}",
        origin.escape_debug()
    )))
}

fn at_least(name: &str, value: usize, least: usize) -> Result<(), Refused> {
    if value < least {
        return Err(Refused::Wrong(format!("{name} must be at least {least}")));
    }
    Ok(())
}

fn at_most(name: &str, value: usize, most: usize) -> Result<(), Refused> {
    if value > most {
        return Err(Refused::Wrong(format!("{name} must be at most {most}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token;

    fn parse(line: &str) -> Result<Arguments, Refused> {
        Arguments::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn every_flag_is_read_and_the_rest_has_its_default() {
        let default = parse("").unwrap();
        assert_eq!(default.listen.port(), 8000);
        assert_eq!(default.allow_origin, None);
        let limits = default.limits;
        assert_eq!((limits.connections, limits.per_address), (900, 300));
        assert_eq!(default.source_timeout, Duration::from_secs(10));
        let given = parse(
            "--listen 0.0.0.0:0 --buffers 32 --size 4096 --connections 2000 --per-address 1000 --source-timeout 3600 --allow-origin *",
        )
        .unwrap();
        assert_eq!(given.allow_origin.as_deref(), Some("*"));
        let limits = given.limits;
        assert_eq!((limits.connections, limits.per_address), (2000, 1000));
        assert_eq!(given.source_timeout, Duration::from_secs(3600));
        assert_eq!((given.buffers, given.size), (32, 4096));
        assert_eq!(given.listen.to_string(), "0.0.0.0:0");
    }

    #[test]
    fn what_is_said_of_the_defaults_is_true() {
        let default = parse("").unwrap();
        for (flag, value) in [
            ("--buffers", default.buffers),
            ("--size", default.size),
            ("--connections", default.limits.connections),
            ("--per-address", default.limits.per_address),
        ] {
            let line = USAGE.lines().find(|line| line.trim().starts_with(flag));
            let line = line.expect("each has a line");
            assert!(line.contains(&format!("(default {value}")), "{line}");
        }
        let buffers = format!("at least {FEWEST_BUFFERS}, at most {MOST_BUFFERS})");
        assert!(USAGE.contains(&buffers));
        let seconds = default.source_timeout.as_secs();
        let said =
            format!("how long a source may be silent between two pictures (default {seconds},");
        assert!(USAGE.contains(&said));
        assert!(USAGE.contains("DELETE /ingest/"));
        assert!(USAGE.contains(token::VARIABLE));
    }

    /// Scripts pass on what they are given, and the message goes to a terminal or a log.
    #[test]
    fn what_is_refused_is_printed_escaped() {
        let forged = "cam\nERROR forged\x1b[31m";
        for arguments in [
            vec![forged],
            vec!["--buffers", forged],
            vec!["--allow-origin", forged],
        ] {
            let refused = Arguments::parse(arguments.iter().map(ToString::to_string)).unwrap_err();
            let told = refused.to_string();
            assert!(told.contains(r"cam\nERROR forged\u{1b}[31m"), "{told}");
            assert!(
                !told.contains('\x1b') && !told.contains("\nERROR"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_site_that_no_browser_would_name_so_is_refused() {
        for site in ["*", "https://example.org", "http://[::1]:8000"] {
            let given = parse(&format!("--allow-origin {site}")).unwrap();
            assert_eq!(given.allow_origin.as_deref(), Some(site));
        }
        for site in [
            "https://example.org/",
            "https://example.org/page",
            "https://Example.org",
            "https://a.org,https://b.org",
            "example.org",
            "null",
            "**",
        ] {
            let refused = parse(&format!("--allow-origin {site}")).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.starts_with("--allow-origin is one site"), "{site}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (line, named) in [
            ("--buffers", "--buffers needs a value"),
            ("--buffers many", "--buffers cannot be many"),
            ("--buffers 31", "--buffers must be at least 32"),
            ("--buffers 4294967295", "--buffers must be at most 1000000"),
            ("--size 10", "--size must be at least 1024"),
            ("--connections 0", "--connections must be at least 1"),
            ("--per-address 0", "--per-address must be at least 1"),
            ("--source-timeout 0", "--source-timeout must be at least 1"),
            ("--source-timeout 1.5", "--source-timeout cannot be 1.5"),
            (
                "--source-timeout 4294967296",
                "--source-timeout cannot be 4294967296",
            ),
            ("--port 80", "unknown argument --port"),
        ] {
            let refused = parse(line).unwrap_err().to_string();
            assert!(refused.starts_with(named), "{line}: {refused}");
        }
        assert_eq!(parse("--help"), Err(Refused::Help));
    }
}
