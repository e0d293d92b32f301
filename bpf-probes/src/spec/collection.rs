//! Blueprint of programs and maps that belong together.

use super::{MapSpec, ProgramSpec};

/// Programs and the maps they use. Inert: no descriptor, nothing of a running kernel but what went into the code; equal for equal
/// input. A map that a program names is either in `maps` (made with the collection) or in `imports` (must be given by whoever loads it, such
/// as the rings and the process table).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CollectionSpec {
    /// Maps to make.
    pub maps: Vec<MapSpec>,
    /// Maps that must exist, as they must be.
    pub imports: Vec<MapSpec>,
    /// Programs to load, in order.
    pub programs: Vec<ProgramSpec>,
}

impl CollectionSpec {
    /// The map with this name, made or imported.
    pub fn map(&self, name: &str) -> Option<&MapSpec> {
        self.maps.iter().chain(&self.imports).find(|map| map.name == name)
    }

    /// The program with this name.
    pub fn program(&self, name: &str) -> Option<&ProgramSpec> {
        self.programs.iter().find(|program| program.name == name)
    }
}
