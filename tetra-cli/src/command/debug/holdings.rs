//! Which programs and maps of the kernel are the daemon's.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::path::{Path, PathBuf};

use bpf_probes::load::{
    HeldObject, ObjectKind, SysError, maps_of_program, objects_of_process, pinned_objects, programs_in_map,
};

use crate::client::Description;

/// It could not be found out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldingsError {
    /// Nothing is the daemon's.
    #[error(
        "no daemon is found: {} has no pinned programs ({pins}), and {} names no daemon that can be looked at ({process}); run tetra as root, \
         on the node of the daemon",
        folder.display(), run.display()
    )]
    Nobody {
        /// Where pins were looked for.
        folder: PathBuf,
        /// Why there are none.
        pins: String,
        /// The daemon's run directory.
        run: PathBuf,
        /// Why its process does not tell.
        process: String,
    },
    /// The kernel did not answer.
    #[error("the kernel does not tell about its BPF objects: {0}; run tetra as root")]
    Kernel(#[from] SysError),
}

/// The daemon's objects by their numbers, with the name of each in a BPF file system where it has one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ours {
    /// Programs that are open, pinned, behind a link of these, or in an array of programs.
    pub(crate) programs: BTreeMap<u32, Option<PathBuf>>,
    /// Maps that are open or pinned.
    pub(crate) maps: BTreeMap<u32, Option<PathBuf>>,
    /// Maps that those programs use.
    pub(crate) used: BTreeSet<u32>,
}

impl Ours {
    /// What is pinned in `folder`, and what the daemon of the run directory `run` has open.
    pub(crate) fn find(folder: &Path, run: &Path) -> Result<Self, HoldingsError> {
        let pinned = pinned_objects(folder);
        let opened = Description::read(run)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .and_then(|said| objects_of_process(Path::new(&format!("/proc/{}", said.pid))));
        if let (Err(pins), Err(process)) = (&pinned, &opened) {
            let (pins, process) = (pins.to_string(), process.to_string());
            return Err(HoldingsError::Nobody {
                folder: folder.to_owned(),
                pins,
                run: run.to_owned(),
                process,
            });
        }
        let mut ours = Self::default();
        for object in pinned.unwrap_or_default().into_iter().chain(opened.unwrap_or_default()) {
            ours.add(object);
        }
        ours.follow()?;
        Ok(ours)
    }

    fn add(&mut self, HeldObject { kind, id, program, pin }: HeldObject) {
        let (known, id) = match (kind, program) {
            (ObjectKind::Map, _) => (&mut self.maps, id),
            (ObjectKind::Program, _) => (&mut self.programs, id),
            (ObjectKind::Link, Some(program)) => (&mut self.programs, program),
            (ObjectKind::Link, None) | (ObjectKind::Btf, _) => return,
        };
        let known = known.entry(id).or_default();
        *known = known.take().or(pin);
    }

    /// Adds the maps of programs, and the programs in these.
    fn follow(&mut self) -> Result<(), HoldingsError> {
        let mut open: Vec<u32> = self.programs.keys().copied().collect();
        while let Some(program) = open.pop() {
            for map in maps_of_program(program)? {
                if !self.used.insert(map) {
                    continue;
                }
                for inner in programs_in_map(map)? {
                    if let Entry::Vacant(place) = self.programs.entry(inner) {
                        place.insert(None);
                        open.push(inner);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn object(kind: ObjectKind, id: u32, program: Option<u32>, pin: Option<&str>) -> HeldObject {
        HeldObject { kind, id, program, pin: pin.map(PathBuf::from) }
    }

    #[test]
    fn a_program_is_known_by_its_descriptor_and_by_the_name_of_its_link() {
        let mut ours = Ours::default();
        ours.add(object(ObjectKind::Program, 9, None, None));
        ours.add(object(ObjectKind::Link, 3, Some(9), Some("/b/link")));
        ours.add(object(ObjectKind::Link, 4, None, Some("/b/other")));
        ours.add(object(ObjectKind::Map, 9, None, None));
        assert_eq!(ours.programs, [(9, Some("/b/link".into()))].into());
        assert_eq!(ours.maps, [(9, None)].into());
    }

    #[test]
    fn without_a_daemon_it_is_said_what_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let error = Ours::find(&folder.path().join("pins"), folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("/pins has no pinned programs") && error.contains("run tetra as root"),
            "{error}"
        );
    }
}
