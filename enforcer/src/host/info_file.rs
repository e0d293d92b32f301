//! `tetragon-info.json`: where clients find the daemon.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

/// What the file says. Clients read these keys; what this daemon does not have is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Info {
    /// The export file.
    pub export_filename: String,
    /// The BTF file.
    pub btf: String,
    /// The gRPC address as clients take it.
    pub server_address: String,
    /// The address of the metrics server.
    pub metrics_address: String,
    /// Largest message in bytes that the server takes.
    pub max_recv_size: usize,
    /// The daemon.
    pub pid: u32,
}

/// The written file; dropping it removes it.
#[derive(Debug)]
pub struct InfoFile {
    path: PathBuf,
}

impl InfoFile {
    /// Writes the file with mode 0744, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(path: &Path, info: &Info) -> io::Result<Self> {
        let text = json!({
            "export_fname": info.export_filename,
            "lib_dir": "",
            "btf_fname": info.btf,
            "server_address": info.server_address,
            "metrics_address": info.metrics_address,
            "gops_address": "",
            "map_dir": "",
            "bpftool_path": "",
            "gops_path": "",
            "max_recv_size": info.max_recv_size,
            "pid": info.pid,
        });
        let next = path.with_extension("json.tmp");
        fs::write(&next, format!("{text}\n"))?;
        fs::set_permissions(&next, Permissions::from_mode(0o744))?;
        fs::rename(&next, path)?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for InfoFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!("{} could not be removed: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_keys_that_clients_read_and_goes_with_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon-info.json");
        let info = Info { server_address: "unix:///x.sock".to_owned(), pid: 7, ..Info::default() };
        let file = InfoFile::write(&path, &info).unwrap();
        let read: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            (read["server_address"].as_str(), read["pid"].as_u64()),
            (Some("unix:///x.sock"), Some(7))
        );
        assert_eq!(read.as_object().unwrap().len(), 11);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o744);
        drop(file);
        assert!(!path.exists());
    }
}
