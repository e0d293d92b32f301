//! Facts of the kernel and the machine.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bpf_probes::kernel::Feature;
use bpf_probes::load::probe::{Prober, all_traceable, kernel_btf, kernel_configuration};

use super::bounded::{head, output};
use super::files::{BTF_FOLDER, FILES, SETTINGS};
use super::item::{Collected, Item, ItemError};
use super::kernel_log;
use crate::command::probe;

/// Most bytes of the kernel's types.
const BTF: u64 = 64 << 20;
/// Most bytes of another file.
const FILE: u64 = 1 << 20;

/// All of them.
pub(super) fn items() -> Vec<Item> {
    let mut items: Vec<Item> =
        FILES.iter().map(|(name, path)| Item::settings(name, move || head(Path::new(path), FILE))).collect();
    items.extend([
        Item::settings("kernel/settings", || Ok(settings().into_bytes())),
        Item::figures("kernel/config", || {
            kernel_configuration().map(String::into_bytes).ok_or(ItemError::Absent(
                "neither /boot/config-RELEASE, /usr/lib/modules/RELEASE/config nor /proc/config.gz is there",
            ))
        }),
        Item::figures("kernel/features", features),
        Item::figures("kernel/btf", types),
        Item::figures("btf", || head(&Path::new(BTF_FOLDER).join("vmlinux"), BTF)),
        Item::figures("kernel/traceable", || {
            let functions =
                all_traceable().ok_or(ItemError::Absent("the kernel tells no traceable functions"))?;
            Ok(format!("{} functions\n", functions.iter().count()).into_bytes())
        }),
        Item::settings("dmesg.out", kernel_log::ours),
        Item::figures("uname", || output(Path::new("uname"), &["-a"])),
    ]);
    items
}

/// A line `PATH = VALUE` for each switch of the kernel that changes what programs may do.
fn settings() -> String {
    let mut lines = String::new();
    for path in SETTINGS {
        let value =
            fs::read_to_string(path).map_or_else(|error| error.to_string(), |value| value.trim().to_owned());
        writeln!(lines, "{path} = {value}").expect("a String takes all text");
    }
    lines
}

/// What `tetra probe` prints, and what it says besides.
fn features() -> Collected {
    let types = kernel_btf().map_err(ItemError::answer)?;
    let answers = Prober::new(&types).map_err(ItemError::answer)?.answers(Feature::ALL);
    let (mut text, doubts) = probe::features(&answers);
    for doubt in doubts {
        writeln!(text, "# {doubt}").expect("a String takes all text");
    }
    Ok(text.into_bytes())
}

/// The files with types, and their sizes.
fn types() -> Collected {
    let entries =
        fs::read_dir(BTF_FOLDER).map_err(|source| ItemError::file(Path::new(BTF_FOLDER), source))?;
    let mut lines: Vec<String> = entries
        .flatten()
        .map(|entry| {
            let size = entry
                .metadata()
                .map_or_else(|error| error.to_string(), |metadata| metadata.len().to_string());
            format!("{} {size}\n", entry.file_name().to_string_lossy())
        })
        .collect();
    lines.sort();
    Ok(lines.concat().into_bytes())
}
