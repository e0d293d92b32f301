//! Makes `cfg(fuzzing)` known; `cargo xtask fuzz` sets it.

#[expect(clippy::print_stdout, reason = "that is how cargo is told")]
fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
