//! The command line.

use crate::{
    limits::{Limits, SOURCE_TIMEOUT},
    memory::{FEWEST_BUFFERS, MOST_BUFFERS},
};
use axum::http::Uri;
use clap::{Args, Parser, builder::RangedU64ValueParser};
use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    ops::{RangeBounds, RangeInclusive},
    time::Duration,
};

const BUFFERS: RangeInclusive<u64> = FEWEST_BUFFERS as u64..=MOST_BUFFERS as u64;

/// The smallest frame that a camera sends is larger than this.
const SMALLEST_SIZE: u64 = 1024;

/// More seconds than these are no time that a clock can add.
const MOST_SECONDS: u64 = u32::MAX as u64;

/// What `--help` says below the options.
pub(crate) const ENVIRONMENT: &str = "\
With INGEST_TOKEN in the environment, sources must send it as Authorization: Bearer TOKEN, and so must a client that
removes a channel: DELETE /ingest/CHANNEL ends its source and its viewers.";

/// The options of a live server, on one machine or on many.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)))]
    pub(crate) listen: SocketAddr,

    /// Buffers of the pool, at least 32 and at most 1000000; MP4 needs 42
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = within::<usize>(BUFFERS))]
    pub(crate) buffers: usize,

    /// The largest picture, and an eighth of the largest fragment
    #[arg(long, value_name = "BYTES", default_value_t = 512 * 1024, value_parser = within::<usize>(SMALLEST_SIZE..))]
    pub(crate) size: usize,

    /// Connections together
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections, value_parser = within::<usize>(1..))]
    connections: usize,

    /// Connections from one address
    #[arg(long, value_name = "N", default_value_t = Limits::default().per_address, value_parser = within::<usize>(1..))]
    per_address: usize,

    /// Longest time between two pictures of a source, three times as long between two fragments; a timelapse camera needs
    /// more
    #[arg(long, value_name = "SECONDS", default_value_t = SOURCE_TIMEOUT.as_secs(), value_parser = within::<u64>(1..=MOST_SECONDS))]
    source_timeout: u64,

    /// The site whose pages may read what is shown, such as https://example.org, or * for all
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) allow_origin: Option<String>,
}

impl Arguments {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            per_address: self.per_address,
        }
    }

    /// How long a source may take for a picture.
    pub(crate) fn source_timeout(&self) -> Duration {
        Duration::from_secs(self.source_timeout)
    }
}

/// What is given on the command line of `P`.
///
/// Scripts pass on what they are given, and an error repeats it on a terminal or in a log. No option takes a control
/// character, so they are escaped before anything else is done.
pub(crate) fn parse<P: Parser>(
    given: impl IntoIterator<Item = OsString>,
) -> Result<P, clap::Error> {
    P::try_parse_from(given.into_iter().map(|argument| {
        let argument = argument.to_string_lossy();
        let printable = argument.chars().map(|c| match c {
            ' '..='~' => c.to_string(),
            other => other.escape_debug().to_string(),
        });
        printable.collect::<String>()
    }))
}

fn within<T: TryFrom<u64>>(range: impl RangeBounds<u64>) -> RangedU64ValueParser<T> {
    RangedU64ValueParser::new().range(range)
}

/// Browsers compare it letter by letter with what they call the site themselves.
fn origin(origin: &str) -> Result<String, &'static str> {
    let as_written = || {
        let site: Uri = origin.parse().ok()?;
        let name = format!("{}://{}", site.scheme()?, site.authority()?);
        Some(name.to_ascii_lowercase() == origin)
    };
    if origin == "*" || as_written() == Some(true) {
        return Ok(origin.to_owned());
    }
    Err("it is one site as browsers write it, such as https://example.org, or *")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandLine, token};
    use clap::{CommandFactory, error::ErrorKind};

    fn given(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let given = ["live_server"].iter().chain(arguments);
        parse::<CommandLine>(given.map(OsString::from)).map(|line| line.arguments)
    }

    fn line(line: &str) -> Result<Arguments, clap::Error> {
        given(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn every_option_is_read_and_the_rest_has_its_default() {
        CommandLine::command().debug_assert();
        let default = line("").unwrap();
        assert_eq!(default.listen.to_string(), "127.0.0.1:8000");
        assert_eq!((default.buffers, default.size), (256, 512 * 1024));
        assert_eq!(default.limits(), Limits::default());
        assert_eq!(default.source_timeout(), SOURCE_TIMEOUT);
        assert_eq!(default.allow_origin, None);

        let given = line(
            "--listen 0.0.0.0:0 --buffers 32 --size 4096 --connections 2000 --per-address 1000 --source-timeout 3600 --allow-origin *",
        )
        .unwrap();
        assert_eq!(given.listen.to_string(), "0.0.0.0:0");
        assert_eq!((given.buffers, given.size), (32, 4096));
        let limits = given.limits();
        assert_eq!((limits.connections, limits.per_address), (2000, 1000));
        assert_eq!(given.source_timeout(), Duration::from_secs(3600));
        assert_eq!(given.allow_origin.as_deref(), Some("*"));
    }

    /// The numbers in the text are constants of the program.
    #[test]
    fn the_help_names_the_bounds_and_the_environment_variables() {
        let help = line("--help").unwrap_err();
        assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
        let help = help.to_string();
        let buffers = format!("at least {FEWEST_BUFFERS} and at most {MOST_BUFFERS};");
        for said in [&*buffers, token::VARIABLE, "DELETE /ingest/"] {
            assert!(help.contains(said), "{said}: {help}");
        }
    }

    /// A line break would begin another line of a log, and an escape would reach the terminal.
    #[test]
    fn an_error_repeats_what_was_given_without_its_control_characters() {
        let forged = "cam\nERROR forged\x1b[31m";
        for arguments in [
            &[forged][..],
            &["--buffers", forged],
            &["--allow-origin", forged],
        ] {
            let error = given(arguments).unwrap_err().to_string();
            assert!(error.contains(r"cam\nERROR forged\u{1b}[31m"), "{error}");
            assert!(
                !error.contains('\x1b') && !error.contains("\nERROR"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_site_that_no_browser_would_name_so_is_an_error() {
        for site in ["*", "https://example.org", "http://[::1]:8000"] {
            let given = given(&["--allow-origin", site]).unwrap();
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
            let error = given(&["--allow-origin", site]).unwrap_err().to_string();
            assert!(
                error.contains("it is one site as browsers write it"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_names_the_option_and_what_it_takes() {
        for (given, option, why) in [
            ("--buffers", "--buffers <N>", "a value is required"),
            ("--buffers many", "--buffers <N>", "invalid digit"),
            ("--buffers 31", "--buffers <N>", "31 is not in 32..=1000000"),
            (
                "--buffers 4294967295",
                "--buffers <N>",
                "not in 32..=1000000",
            ),
            ("--size 10", "--size <BYTES>", "10 is not in 1024.."),
            ("--connections 0", "--connections <N>", "0 is not in 1.."),
            ("--per-address 0", "--per-address <N>", "0 is not in 1.."),
            (
                "--source-timeout 0",
                "--source-timeout <SECONDS>",
                "0 is not in 1..",
            ),
            (
                "--source-timeout 1.5",
                "--source-timeout <SECONDS>",
                "invalid digit",
            ),
            (
                "--source-timeout 4294967296",
                "--source-timeout <SECONDS>",
                "is not in 1..",
            ),
            ("--port 80", "--port", "unexpected argument"),
            (
                "--buffers 32 --buffers 33",
                "--buffers <N>",
                "multiple times",
            ),
        ] {
            let error = line(given).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{given}");
            let error = error.to_string();
            assert!(
                error.contains(option) && error.contains(why),
                "{given}: {error}"
            );
        }
    }
}
