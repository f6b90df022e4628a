//! The live server under load, as its own package measured it last.

use super::root;
use std::{error::Error, fs};

/// What `benches/server` writes, from the root of the repository.
const FILE: &str = "benches/server/LOAD.md";

/// The table of `LOAD.md`; an error if it has none.
pub(crate) fn section() -> Result<String, Box<dyn Error>> {
    let page = fs::read_to_string(root().join(FILE)).map_err(|error| format!("{FILE}: {error}"))?;
    let is_it = |block: &&str| block.starts_with("| |") && block.contains("per delivered GB");
    let table = page.split("\n\n").find(is_it);
    let table = table.ok_or_else(|| format!("{FILE} has no table of figures"))?;
    Ok(format!(
        "## The live server under load\n\n\
         1,000 viewers, a tenth of them slow, and sources that come and go, beside the same server with a fresh\n\
         `BytesMut` for each frame. Measured by a command of its own, on the machine that\n\
         [`benches/server/LOAD.md`](benches/server/LOAD.md) names; the ratio is sample-pool's figure divided by the other's.\n\n\
         {}\n",
        table.trim_end()
    ))
}
