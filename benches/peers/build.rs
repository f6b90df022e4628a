//! Hands the compiler's version to the program, which prints it beside its figures.

use std::{env, process::Command};

fn main() {
    let compiler = env::var_os("RUSTC").expect("cargo says which compiler it uses");
    let output = Command::new(compiler)
        .arg("--version")
        .output()
        .expect("the compiler starts");
    let version = String::from_utf8(output.stdout).expect("a version");
    println!("cargo::rustc-env=COMPILER_VERSION={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
