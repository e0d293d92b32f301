//! What all machines of the chores have in common: which kernel, and what lies in the initramfs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use e2e::kernels::{self, KERNELS};
use e2e::vm::{BootError, Cache, Image, KernelFiles, MODULE_DIR};

use crate::terminal;

/// Real programs that replace busybox's where the host has them; a policy names their paths.
const HOST_PROGRAMS: [&str; 9] = ["cat", "true", "sleep", "ls", "env", "bash", "dash", "ln", "tac"];

/// Says that a boot is repeated.
pub(crate) fn again(error: &BootError) {
    terminal::progress(&format!("REPEATED, a fault of the emulation: {error}"));
}

/// The kernel of that name, fetched, and what its command line needs; or an image at that path.
pub(crate) fn kernel(name: &str) -> Result<(KernelFiles, &'static str)> {
    let (kernel, append) = match (kernels::variant(name), kernels::kernel(name)) {
        (Some(variant), _) => (variant.kernel, variant.append),
        (None, Some(kernel)) => (kernel, ""),
        (None, None) if Path::new(name).is_file() => {
            return Ok((KernelFiles::from_image(fs::canonicalize(name)?), ""));
        }
        (None, None) => {
            let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
            bail!("kernel {name}: neither one of {} nor a file", known.join(", "));
        }
    };
    Ok((Cache::from_environment()?.fetch(kernel, &mut |text| terminal::progress(text))?, append))
}

/// Busybox, a few real programs of the host, the kernel's modules, and `binaries` in `/usr/bin`.
pub(crate) fn image(kernel: &KernelFiles, binaries: &BTreeMap<String, PathBuf>) -> Result<Image> {
    let mut image = Image::new();
    for (name, path) in binaries {
        image.program(path, &format!("/usr/bin/{name}"))?;
    }
    for name in HOST_PROGRAMS {
        let path = Path::new("/usr/bin").join(name);
        if path.exists() {
            image.program(&path, &format!("/usr/bin/{name}"))?;
        }
    }
    image.busybox(Path::new("/usr/bin/busybox"))?;
    for (index, module) in kernel.modules.iter().enumerate() {
        let name = module.file_name().and_then(|name| name.to_str()).context("module without a name")?;
        image.host_file(module, &format!("{MODULE_DIR}/{index:02}-{name}"))?;
    }
    Ok(image)
}

/// A file, or a folder with all below it.
pub(crate) fn add(image: &mut Image, host: &Path, path: &str) -> Result<()> {
    if !host.is_dir() {
        return Ok(image.program(host, path)?);
    }
    image.folder(path, 0o755);
    for entry in fs::read_dir(host)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("{}: a name that is not UTF-8", host.display()))?;
        add(image, &entry.path(), &format!("{path}/{name}"))?;
    }
    Ok(())
}
