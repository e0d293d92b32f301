//! The options of the export file, as meant.

use std::path::PathBuf;
use std::time::Duration;

use export::json::Rotation;

use super::duration::{format_duration, parse_duration};
use super::flags::Flags;
use super::settings::{SettingsError, non_empty, value_error};

/// Bytes of what upstream calls MB.
pub(crate) const MEBIBYTE: u64 = 1 << 20;
/// What upstream's 0 stands for.
const DEFAULT_MEBIBYTES: u64 = 100;

/// The export file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExportSettings {
    /// Its path.
    pub path: PathBuf,
    /// Its access mode.
    pub mode: u32,
    /// When a new one is begun.
    pub rotation: Rotation,
}

impl ExportSettings {
    /// What `flags` ask for; `None`: nothing is written.
    pub(super) fn new(flags: &Flags) -> Result<Option<Self>, SettingsError> {
        let mode = file_mode(flags.export_file_perm.as_deref().unwrap_or("600"))?;
        let interval =
            non_empty(flags.export_file_rotation_interval.clone()).unwrap_or_else(|| "0".to_owned());
        let interval = parse_duration(&interval).ok_or_else(|| {
            value_error("export-file-rotation-interval", &interval, "expected a time such as 30m or 24h")
        })?;
        let size = flags.export_file_max_size_mb.unwrap_or(10);
        let rotation = Rotation {
            max_bytes: file_bytes(size)
                .ok_or_else(|| value_error("export-file-max-size-mb", size, "a file cannot be that large"))?,
            interval: rotation_interval(interval),
            backups: flags.export_file_max_backups.unwrap_or(5),
            compress: flags.export_file_compress.unwrap_or(false),
        };
        let path = non_empty(flags.export_filename.clone()).map(PathBuf::from);
        Ok(path.map(|path| Self { path, mode, rotation }))
    }

    /// The settings by the names of their options, for people.
    pub(super) fn describe(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Rotation { max_bytes, interval, backups, compress } = self.rotation;
        [
            ("export-filename", self.path.display().to_string()),
            ("export-file-perm", format!("{:o}", self.mode)),
            ("export-file-max-size-mb", (max_bytes / MEBIBYTE).to_string()),
            ("export-file-rotation-interval", format_duration(interval.unwrap_or_default())),
            ("export-file-max-backups", backups.to_string()),
            ("export-file-compress", compress.to_string()),
        ]
        .into_iter()
    }
}

/// The bytes of a file of so many MiB; `None` where no file is so large.
pub(crate) fn file_bytes(mebibytes: u64) -> Option<u64> {
    let mebibytes = if mebibytes == 0 { DEFAULT_MEBIBYTES } else { mebibytes };
    mebibytes.checked_mul(MEBIBYTE).filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// 0 stands for never.
pub(crate) fn rotation_interval(interval: Duration) -> Option<Duration> {
    Some(interval).filter(|interval| !interval.is_zero())
}

fn file_mode(text: &str) -> Result<u32, SettingsError> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode != 0 && *mode <= 0o777);
    mode.ok_or_else(|| value_error("export-file-perm", text, "expected an octal mode from 1 to 777"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Result<Option<ExportSettings>, SettingsError> {
        ExportSettings::new(&Flags::from_values(values.iter().copied()).unwrap())
    }

    #[test]
    fn rotation_has_the_defaults_of_upstream() {
        assert_eq!(settings(&[]).unwrap(), None);
        let export = settings(&[("export-filename", "/x")]).unwrap().unwrap();
        let rotation = Rotation { max_bytes: 10 << 20, interval: None, backups: 5, compress: false };
        assert_eq!((export.mode, export.rotation), (0o600, rotation));
        let values = [
            ("export-filename", "/x"),
            ("export-file-max-size-mb", "0"),
            ("export-file-rotation-interval", "1h"),
            ("export-file-max-backups", "0"),
            ("export-file-compress", "true"),
        ];
        let rotation = Rotation {
            max_bytes: 100 << 20,
            interval: Some(Duration::from_hours(1)),
            backups: 0,
            compress: true,
        };
        assert_eq!(settings(&values).unwrap().unwrap().rotation, rotation);
    }

    #[test]
    fn wrong_values_name_their_option() {
        for (option, value) in [
            ("export-file-perm", "888"),
            ("export-file-rotation-interval", "-1h"),
            ("export-file-max-size-mb", "99999999999999"),
        ] {
            let error = settings(&[(option, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option} ")), "{error}");
        }
    }
}
