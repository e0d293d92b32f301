//! What the fuzz targets do with an input, and the words that inputs are made of.
//!
//! The oracle is an invariant: a target panics where something does not hold. `cargo xtask fuzz` builds the targets with libFuzzer, which follows what an input
//! reaches; built as anything else they try the files that they are given, and the tests here try every policy of the compiler's tests.

mod memory;
mod parse;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};

pub use parse::parse;
pub use run::compile_and_run;

/// What became of an input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tried {
    /// It is refused, as most are.
    Refused,
    /// It went all the way.
    Valid,
}

/// A target.
pub type Target = fn(&[u8]) -> Tried;

/// Inputs between two lines about how many were valid.
const EVERY: u64 = 1024;

/// Tries an input and says now and then how many were valid: `valid: 12 of 1024`.
#[expect(clippy::print_stderr, reason = "libFuzzer reports there too")]
pub fn count(target: Target, input: &[u8]) {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    static VALID: AtomicU64 = AtomicU64::new(0);
    if target(input) == Tried::Valid {
        VALID.fetch_add(1, Ordering::Relaxed);
    }
    let tried = TRIED.fetch_add(1, Ordering::Relaxed) + 1;
    if tried.is_multiple_of(EVERY) {
        eprintln!("valid: {} of {tried}", VALID.load(Ordering::Relaxed));
    }
}

/// Tries the files of the command line.
///
/// # Errors
/// A file that cannot be read.
#[expect(clippy::print_stderr, clippy::use_debug, reason = "the whole output of the command")]
pub fn replay(target: Target) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        let tried = target(&std::fs::read(&path)?);
        eprintln!("{}: {tried:?}", path.display());
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::{Path, PathBuf};

    use tracing_policy::schema::{ArgumentType, Operator, Word};

    use super::*;

    /// What fuzzing begins with.
    fn seeds() -> Vec<PathBuf> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracing-policy/tests");
        let files = ["valid", "invalid"].into_iter().flat_map(|folder| {
            std::fs::read_dir(tests.join(folder)).unwrap().map(|entry| entry.unwrap().path())
        });
        let mut files: Vec<_> = files.collect();
        files.sort_unstable();
        files
    }

    #[test]
    fn all_that_must_hold_holds_for_every_policy_of_the_tests() {
        let (mut parsed, mut ran) = (0, 0);
        for path in seeds() {
            let bytes = std::fs::read(&path).unwrap();
            parsed += usize::from(parse(&bytes) == Tried::Valid);
            ran += usize::from(compile_and_run(&bytes) == Tried::Valid);
        }
        assert!(parsed > 10 && ran > 5, "{parsed} are read, {ran} run");
    }

    #[test]
    fn the_dictionary_has_every_operator_and_type() {
        let dictionary = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.dict"));
        let dictionary = dictionary.unwrap();
        let words = Operator::WORDS.iter().map(|(word, _)| *word);
        for word in words.chain(ArgumentType::WORDS.iter().map(|(word, _)| *word)) {
            assert!(dictionary.lines().any(|line| line == format!("\"{word}\"")), "policy.dict lacks {word}");
        }
    }
}
