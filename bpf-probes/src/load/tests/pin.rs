use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::link::{counting, run_true};
use super::support::{alone, can, kernel_context};
use crate::kernel::Feature;
use crate::load::{Collection, MapSet, MappedArray, PinError, PinFolder};
use crate::spec::AttachSpec;

/// A BPF file system of the test's own.
struct BpfFs(PathBuf);

impl BpfFs {
    fn mount(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bpf-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        assert!(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&path).status().unwrap().success());
        Self(path)
    }

    fn folder(&self) -> Arc<PinFolder> {
        PinFolder::create(self.0.join("product/run")).unwrap()
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg(&self.0).status();
        let _gone = fs::remove_dir(&self.0);
    }
}

/// A program that counts execs, pinned in the folder and left to it; its counter.
fn pinned(folder: &Arc<PinFolder>, target: AttachSpec) -> (Collection, MappedArray) {
    let mut loaded = Collection::load(&counting(target), &MapSet::new(), &kernel_context()).unwrap();
    let cells = loaded.map("counts").unwrap().mapped().unwrap();
    loaded.attach_all().unwrap();
    loaded.links_mut()[0].pin(folder, "link").unwrap();
    (loaded, cells)
}

/// Whether execs are still counted.
fn counts(cells: &MappedArray) -> bool {
    let before = cells.load_u64(0, 0).unwrap();
    run_true();
    cells.load_u64(0, 0).unwrap() > before
}

fn execs() -> AttachSpec {
    AttachSpec::RawTracepoint { name: "sched_process_exec".to_owned() }
}

/// The name is what is left; without it the program ends.
fn goes_on_until_the_name_is_gone(target: AttachSpec) {
    let fs_of_test = BpfFs::mount("kept");
    let folder = fs_of_test.folder();
    let (loaded, cells) = pinned(&folder, target);
    folder.keep();
    drop(loaded);
    let link = folder.path().join("link");
    drop(folder);
    assert!(counts(&cells), "it ended with its owner");
    fs::remove_file(link).unwrap();
    ends(&cells);
}

/// The kernel detaches after a grace period of its own.
fn ends(cells: &MappedArray) {
    assert!((0..100).any(|_| !counts(cells)), "it runs still");
}

#[test]
fn root_a_link_with_a_name_outlives_its_owner_and_not_its_name() {
    let _alone = alone();
    if can(Feature::RawTracepoint) {
        goes_on_until_the_name_is_gone(execs());
    }
}

#[test]
fn root_a_tracepoint_with_a_name_outlives_its_owner_where_it_is_a_link() {
    let _alone = alone();
    if can(Feature::Tracepoint) && can(Feature::PerfEventLink) {
        let (category, name) = ("sched".to_owned(), "sched_process_exec".to_owned());
        goes_on_until_the_name_is_gone(AttachSpec::Tracepoint { category, name });
    }
}

#[test]
fn root_a_name_goes_with_its_link_unless_its_folder_is_kept() {
    let _alone = alone();
    if !can(Feature::RawTracepoint) {
        return;
    }
    let fs_of_test = BpfFs::mount("dropped");
    let folder = fs_of_test.folder();
    let (loaded, cells) = pinned(&folder, execs());
    assert!(counts(&cells));
    drop(loaded);
    assert!(!folder.path().join("link").exists());
    ends(&cells);
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn root_outside_of_such_a_file_system_nothing_is_pinned() {
    let _alone = alone();
    if !can(Feature::RawTracepoint) {
        return;
    }
    let path = std::env::temp_dir().join(format!("no-bpf-fs-{}", std::process::id()));
    let folder = PinFolder::create(path).unwrap();
    let mut loaded = Collection::load(&counting(execs()), &MapSet::new(), &kernel_context()).unwrap();
    loaded.attach_all().unwrap();
    let error = loaded.links_mut()[0].pin(&folder, "link").unwrap_err();
    assert!(matches!(&error, PinError::Refused { path, .. } if path.starts_with(folder.path())), "{error}");
    assert!(PinFolder::create(Path::new(folder.path()).to_owned()).is_err(), "it exists");
}
