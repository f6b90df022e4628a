//! The live server under load: a thousand viewers, a tenth of them slow, and sources that come and go.
//!
//! | file      | idea                                                      |
//! |-----------|-----------------------------------------------------------|
//! | `plan`    | who takes part                                            |
//! | `sources` | those that stay, and those that come and go               |
//! | `crowd`   | all viewers, and the healthy ones                         |
//! | `slow`    | the slow ones                                             |
//! | `gaps`    | the times between two frames                              |
//! | `process` | the server's process from outside                         |
//! | `waits`   | what it, and this process, had no core for                |
//! | `run`     | one contender's server, from its start to its end         |
//! | `verdict` | what must hold                                            |
//! | `page`    | the figures                                               |

mod crowd;
mod gaps;
mod page;
mod plan;
mod process;
mod run;
mod slow;
mod sources;
mod verdict;
mod waits;

use crate::contender::Contender;
pub(crate) use plan::VIEWERS;
use std::{fs, io, path::Path, time::Duration};

/// Long enough for those who stop to be closed, and to find out.
const CHECKED: Duration = Duration::from_secs(26);

/// Short, and only what must hold: writes nothing.
pub(crate) fn check(contenders: &[Contender]) -> io::Result<()> {
    println!("{}", page::table(&all(contenders, CHECKED)?));
    Ok(())
}

/// Each for so long, and writes the page.
pub(crate) fn measure(
    contenders: &[Contender],
    length: Duration,
    package: &Path,
) -> io::Result<()> {
    let all = all(contenders, length)?;
    let file = package.join(page::file(length));
    fs::write(file, page::page(&all, package)?)?;
    println!("{}", page::table(&all));
    Ok(())
}

fn all(contenders: &[Contender], length: Duration) -> io::Result<Vec<run::Loaded>> {
    let mut all = Vec::new();
    for &contender in contenders {
        let named = |what: String| io::Error::other(format!("{contender} under load: {what}"));
        let seconds = length.as_secs();
        eprintln!("{contender}: {VIEWERS} viewers for {seconds} s");
        let loaded = run::run(contender, length).map_err(|error| named(error.to_string()))?;
        let complaints = loaded.complaints();
        // Also if all is well: the next may take another hour.
        eprintln!("{}", page::table(std::slice::from_ref(&loaded)));
        if !complaints.is_empty() {
            return Err(named(complaints.join("; ")));
        }
        all.push(loaded);
    }
    Ok(all)
}
