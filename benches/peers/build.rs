//! Hands the compiler's version and the profile to the program, which prints them beside its figures.

use std::{env, path::Path, process::Command};

fn main() {
    let compiler = env::var_os("RUSTC").expect("cargo says which compiler it uses");
    let output = Command::new(compiler)
        .arg("--version")
        .output()
        .expect("the compiler starts");
    let version = String::from_utf8(output.stdout).expect("a version");
    println!("cargo::rustc-env=COMPILER_VERSION={}", version.trim());
    // `target/PROFILE/build/PACKAGE/out`
    let out = env::var_os("OUT_DIR").expect("cargo says where the output goes");
    let profile = Path::new(&out).ancestors().nth(3).and_then(Path::file_name);
    let profile = profile.and_then(|name| name.to_str()).expect("a profile");
    println!("cargo::rustc-env=BUILD_PROFILE={profile}");
    println!("cargo::rerun-if-changed=build.rs");
}
