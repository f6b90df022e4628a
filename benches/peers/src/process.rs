//! The process with the other allocator: a process has one, so its rows are measured in a child, which waits for its turn.
//!
//! A request is one line with scenario, case, row and number of operations, separated by tabs; the answer is one line
//! with the value and the nanoseconds that it took.

use crate::{
    scenarios,
    table::{Measurement, Outcome, Process},
};
use std::{
    error::Error,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// The child, as its parent sees it.
pub(crate) struct OtherProcess {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl OtherProcess {
    pub(crate) fn start(program: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no answers")?);
        Ok(OtherProcess {
            child,
            requests,
            answers,
        })
    }

    pub(crate) fn measure(
        &mut self,
        scenario: &str,
        case: &str,
        row: &str,
        operations: u64,
    ) -> Result<Outcome, Box<dyn Error>> {
        let requests = self
            .requests
            .as_mut()
            .ok_or("the other process has ended")?;
        writeln!(requests, "{scenario}\t{case}\t{row}\t{operations}")?;
        requests.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let read = answer
            .trim()
            .split_once('\t')
            .and_then(|(value, nanoseconds)| {
                let elapsed = Duration::from_nanos(nanoseconds.parse().ok()?);
                Some(Outcome {
                    value: value.parse().ok()?,
                    elapsed,
                    latencies: None,
                })
            });
        read.ok_or_else(|| format!("{row} in the other process: {answer:?}").into())
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // The end of its input is the end of the child.
        drop(self.requests.take());
        if let Ok(status) = self.child.wait() {
            assert!(status.success(), "the other process: {status}");
        }
    }
}

/// Measures what it is asked to, until there are no more requests.
///
/// # Errors
///
/// A request that it does not understand, or a broken pipe.
///
/// # Panics
///
/// If a row finds that its answer is wrong.
pub fn serve() -> Result<(), Box<dyn Error>> {
    let mut name = String::new();
    let mut measure: Option<Measurement> = None;
    for request in io::stdin().lock().lines() {
        let request = request?;
        let (row, operations) = request
            .rsplit_once('\t')
            .ok_or("a request without operations")?;
        if name != row {
            // The old one goes first, or two pools would be in memory.
            drop(measure.take());
            name = row.to_owned();
        }
        let measure = match &mut measure {
            Some(measure) => measure,
            none => none.insert(find(row)?),
        };
        let outcome = measure(operations.parse()?);
        println!("{}\t{}", outcome.value, outcome.elapsed.as_nanos());
    }
    Ok(())
}

fn find(wanted: &str) -> Result<Measurement, String> {
    for table in scenarios::all() {
        for row in table
            .rows
            .iter()
            .filter(|row| row.process == Process::Mimalloc)
        {
            if wanted == format!("{}\t{}\t{}", table.scenario, table.case, row.name) {
                return Ok((row.make)());
            }
        }
    }
    Err(format!("no row {wanted} here"))
}
