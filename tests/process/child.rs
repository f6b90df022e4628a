//! Runs a test again in a child process.

use std::{env, io, path::Path, process::Command};

/// Printed when the child has run to its end. A filter that matches no test would exit with success, too.
const DONE: &str = "every assertion of the child held";
const NOT_RUN: &str = "NOT RUN: ";

/// Runs `scene` in a child in which no other test runs. An error of `scene` means that the system does not allow
/// the test to run.
pub(crate) fn in_a_child(test: &str, scene: impl FnOnce() -> io::Result<()>) {
    in_a_child_of(test, |program| Command::new(program), scene);
}

/// The same in a child that `command` makes of the program that it is given.
pub(crate) fn in_a_child_of(
    test: &str,
    command: impl FnOnce(&Path) -> Command,
    scene: impl FnOnce() -> io::Result<()>,
) {
    const CHILD: &str = "SAMPLE_POOL_TEST_IN_A_CHILD";
    if env::var_os(CHILD).is_some() {
        match scene() {
            Ok(()) => println!("{DONE}"),
            Err(refused) => println!("{NOT_RUN}{refused}"),
        }
        return;
    }
    let child = command(&env::current_exe().expect("the test itself"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .expect("it was started once");
    let said = String::from_utf8_lossy(&child.stdout);
    let complained = String::from_utf8_lossy(&child.stderr);
    let ended = child.status;
    assert!(ended.success(), "{ended:?}\n{said}\n{complained}");
    if let Some((_, why)) = said.split_once(NOT_RUN) {
        // Not captured by the harness, which shows no output of a test that passes.
        let why = why.lines().next().unwrap_or_default();
        let line = format!("{NOT_RUN}{test}: {why}\n");
        io::Write::write_all(&mut io::stderr(), line.as_bytes()).expect("a standard error");
        return;
    }
    assert!(said.contains(DONE), "{said}\n{complained}");
}
