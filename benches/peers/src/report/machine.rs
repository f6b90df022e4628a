//! The machine on which it was measured, as it tells of itself.

use crate::run::Effort;
use std::{error::Error, fs, process::Command, thread};

pub(super) fn section(effort: &Effort) -> Result<String, Box<dyn Error>> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let allocator = answer("getconf", &["GNU_LIBC_VERSION"])?;
    Ok(format!(
        "## Machine\n\n| | |\n|---|---|\n\
         | processor | {model}, {} cores |\n\
         | kernel | Linux {} |\n\
         | compiler | {} |\n\
         | allocator of the process, where no other is named | {allocator} |\n\
         | rounds | {} of about {} ms for each row |\n\
         | date | {} |\n",
        thread::available_parallelism()?,
        kernel.trim(),
        env!("COMPILER_VERSION"),
        effort.rounds,
        effort.each.as_millis(),
        answer("date", &["--utc", "+%Y-%m-%d"])?,
    ))
}

fn answer(program: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{program}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
