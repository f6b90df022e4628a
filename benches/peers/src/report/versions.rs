//! The versions that were measured, read from the lock file that this was built with.

use std::fmt::Write;

const LOCK: &str = include_str!("../../Cargo.lock");

const SHOWN: [&str; 14] = [
    "sample-pool",
    "async-channel",
    "bytes",
    "commonware-runtime",
    "crossbeam-queue",
    "deadpool",
    "flume",
    "kanal",
    "libmimalloc-sys",
    "mimalloc",
    "object-pool",
    "opool",
    "tokio",
    "zeropool",
];

pub(super) fn section() -> String {
    let mut text = "## Versions\n\n| | |\n|---|---|\n".to_owned();
    for name in SHOWN {
        let built = name != "commonware-runtime" || cfg!(feature = "commonware");
        let note = if built { "" } else { ", left out of this run" };
        let _ = writeln!(text, "| {name} | {}{note} |", version(name));
    }
    text
}

fn version(name: &str) -> &'static str {
    let package = LOCK.split("[[package]]").find_map(|package| {
        let rest = package.trim_start().strip_prefix("name = \"")?;
        rest.strip_prefix(name)?.strip_prefix("\"\nversion = \"")
    });
    let version = package.and_then(|rest| rest.split('"').next());
    version.unwrap_or_else(|| panic!("no {name} in Cargo.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that is renamed or left out would otherwise be noticed at the end of a run.
    #[test]
    fn every_version_is_in_the_lock_file() {
        for name in SHOWN {
            assert!(
                version(name).starts_with(|first: char| first.is_ascii_digit()),
                "{name}"
            );
        }
    }
}
