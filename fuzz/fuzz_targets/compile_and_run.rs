//! Whatever the policy and the memory, its programs do nothing that a kernel would refuse. Without `cargo xtask fuzz`: tries the files that it is given.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::count(fuzz::compile_and_run, bytes));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    fuzz::replay(fuzz::compile_and_run)
}
