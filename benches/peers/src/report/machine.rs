//! The machine on which it was measured, as it tells of itself.

use crate::run::Effort;
use std::{error::Error, fs, process::Command, thread};

pub(super) fn section(effort: &Effort) -> Result<String, Box<dyn Error>> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let named = |name: &str| {
        let mut fields = processor.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find_map(|(field, value)| (field.trim() == name).then(|| value.trim()));
        value.unwrap_or("unknown")
    };
    let (name, family, model) = (named("model name"), named("cpu family"), named("model"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let allocator = answer("getconf", &["GNU_LIBC_VERSION"])?;
    Ok(format!(
        "## Machine\n\n| | |\n|---|---|\n\
         | processor | {name}, family {family}, model {model}, {} cores |\n\
         | profile | the default of `cargo build --release`: optimised, no LTO across crates, 16 codegen units |\n\
         | profile of the tables that say *thin LTO* | optimised, thin LTO across crates, one codegen unit |\n\
         | kernel | Linux {} |\n\
         | compiler | {} |\n\
         | allocator of the process, where no other is named | {allocator} |\n\
         | rounds | {} of about {} ms for each row |\n\
         | date | {} |\n\n\
         Each figure holds for this processor and for the first profile, or for the second if its table says so. On other\n\
         processors the ratios differ, those to the floor most of all. Only the live server under load was measured\n\
         elsewhere; its pages name the machine.\n",
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
