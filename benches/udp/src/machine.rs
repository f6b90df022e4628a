//! Where the figures come from.

use std::{fs, io, path::Path, process::Command, thread};

/// The programs whose versions are listed.
const PACKAGES: [&str; 4] = ["sample-pool", "quinn-udp", "bytes", "tokio"];

/// The processor, the kernel, the compiler, the versions of what matters, and how busy the machine was.
pub(crate) fn describe(package: &Path) -> io::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let compiler = Command::new("rustc").arg("--version").output()?;
    let lock = fs::read_to_string(package.join("Cargo.lock"))?;
    let versions: Vec<String> = PACKAGES
        .iter()
        .map(|name| format!("{name} {}", version(&lock, name).unwrap_or("?")))
        .collect();
    Ok(format!(
        "{} cores of {}, Linux {}; {}; {}. At the end of the run the load of the machine was {}.",
        thread::available_parallelism()?,
        model.map_or("an unknown CPU", |(_, model)| model),
        kernel.trim(),
        String::from_utf8_lossy(&compiler.stdout).trim(),
        versions.join(", "),
        load.split(' ').nth(1).unwrap_or("?"),
    ))
}

fn version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    after.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "\n[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"tokio-macros\"\nversion = \"4\"\n";
        assert_eq!(version(lock, "tokio"), Some("1.2.3"));
        assert_eq!(version(lock, "bytes"), None);
    }
}
