//! Subprograms gathered into one program.

use super::BuildError;
use crate::asm::{Code, Subprogram, link};

/// The subprograms of one program under way, the entry first. Routines ask [`Program::has`] before they add themselves, so that each is there once.
#[derive(Debug, Default)]
pub struct Program {
    subprograms: Vec<Subprogram>,
}

impl Program {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a subprogram of this name was added.
    pub fn has(&self, name: &str) -> bool {
        self.subprograms.iter().any(|subprogram| subprogram.name == name)
    }

    /// Adds a finished subprogram behind the others.
    pub fn add(&mut self, subprogram: Subprogram) {
        self.subprograms.push(subprogram);
    }

    /// Links the program; `entry` comes first.
    ///
    /// # Errors
    /// [`BuildError::Link`].
    pub fn link(mut self, entry: Subprogram) -> Result<Code, BuildError> {
        self.subprograms.insert(0, entry);
        Ok(link(self.subprograms)?)
    }
}
