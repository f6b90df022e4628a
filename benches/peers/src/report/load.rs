//! The live server under load, as its own package measured it last.

use super::root;
use std::{error::Error, fs};

/// What `benches/server` writes, from the root of the repository: for a minute, and for an hour.
const MINUTE: &str = "benches/server/LOAD.md";
const HOUR: &str = "benches/server/LOAD_60_MINUTES.md";

/// The table of such a page; an error if it has none.
fn table(file: &str) -> Result<String, Box<dyn Error>> {
    let page = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let is_it = |block: &&str| block.starts_with("| |") && block.contains("per delivered GB");
    let table = page.split("\n\n").find(is_it);
    let table = table.ok_or_else(|| format!("{file} has no table of figures"))?;
    Ok(table.trim_end().to_owned())
}

pub(crate) fn section() -> Result<String, Box<dyn Error>> {
    Ok(format!(
        "## The live server under load\n\n\
         1,000 viewers, a tenth of them slow, and sources that come and go, beside the same server with a fresh\n\
         `BytesMut` for each frame. Measured by a command of its own, on the machine that\n\
         [`{MINUTE}`](../{MINUTE}) names; the ratio is sample-pool's figure divided by the other's.\n\n\
         {}\n\n\
         The same for an hour ([`{HOUR}`](../{HOUR})):\n\n\
         {}\n",
        table(MINUTE)?,
        table(HOUR)?
    ))
}
