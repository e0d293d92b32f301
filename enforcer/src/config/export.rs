//! The options of the export file, as meant.

use std::path::PathBuf;
use std::time::Duration;

use api::filter::{
    AGGREGATION_HELD, AGGREGATION_WINDOW, FieldFilters, FilterError, FilterLists, Redaction,
    read_field_filters, read_filters, read_redaction_filters,
};
use api::name::{format_duration, parse_duration};
use api::wire;
use export::json::Rotation;

use super::flags::Flags;
use super::settings::{SettingsError, non_empty, value_error};

/// Bytes of what upstream calls MB.
pub(crate) const MEBIBYTE: u64 = 1 << 20;
/// What upstream's 0 stands for.
const DEFAULT_MEBIBYTES: u64 = 100;

/// The export file.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportSettings {
    /// Its path.
    pub path: PathBuf,
    /// Its access mode.
    pub mode: u32,
    /// When a new one is begun.
    pub rotation: Rotation,
    /// Which events are written, and which fields of them.
    pub filters: ExportFilters,
    /// How many events a minute are written at most.
    pub rate_limit: Option<u32>,
    /// How events that say the same become one.
    pub aggregation: Option<AggregationSettings>,
}

/// Which events are written, and which fields of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportFilters {
    /// Any must match, if there is any.
    pub allow: Vec<wire::Filter>,
    /// None may match.
    pub deny: Vec<wire::Filter>,
    /// Which fields.
    pub fields: Vec<wire::FieldFilter>,
}

/// How events that say the same become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AggregationSettings {
    /// How long they are gathered.
    pub window: Duration,
    /// How many are held at most.
    pub held: usize,
}

impl ExportSettings {
    /// What `flags` ask for; `None`: nothing is written.
    pub(super) fn new(flags: &Flags) -> Result<Option<Self>, SettingsError> {
        let mode = file_mode(flags.export_file_perm.as_deref().unwrap_or("600"))?;
        let interval =
            duration("export-file-rotation-interval", flags.export_file_rotation_interval.as_ref())?;
        let size = flags.export_file_max_size_mb.unwrap_or(10);
        let rotation = Rotation {
            max_bytes: file_bytes(size)
                .ok_or_else(|| value_error("export-file-max-size-mb", size, "a file cannot be that large"))?,
            interval: interval.and_then(rotation_interval),
            backups: flags.export_file_max_backups.unwrap_or(5),
            compress: flags.export_file_compress.unwrap_or(false),
        };
        let filters = ExportFilters::new(flags)?;
        let rate_limit = flags.export_rate_limit.unwrap_or(-1);
        let aggregation = aggregation(flags)?;
        let path = non_empty(flags.export_filename.clone()).filter(|_| rate_limit != 0).map(PathBuf::from);
        let rate_limit = u64::try_from(rate_limit).ok().map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        Ok(path.map(|path| Self { path, mode, rotation, filters, rate_limit, aggregation }))
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
            ("export-rate-limit", self.rate_limit.map_or("-1".to_owned(), |limit| limit.to_string())),
            ("enable-export-aggregation", self.aggregation.is_some().to_string()),
        ]
        .into_iter()
    }
}

impl ExportFilters {
    fn new(flags: &Flags) -> Result<Self, SettingsError> {
        let follows = flags.enable_pid_set_filter == Some(true);
        Ok(Self {
            allow: event_filters("export-allowlist", flags.export_allowlist.as_deref(), follows)?,
            deny: event_filters("export-denylist", flags.export_denylist.as_deref(), follows)?,
            fields: filters(
                "field-filters",
                flags.field_filters.as_deref(),
                read_field_filters,
                FieldFilters::compile,
            )?,
        })
    }
}

/// The redaction filters that `flags` ask for.
pub(super) fn redaction(flags: &Flags) -> Result<Vec<wire::RedactionFilter>, SettingsError> {
    let text = flags.redaction_filters.as_deref();
    filters("redaction-filters", text, read_redaction_filters, Redaction::compile)
}

/// Filters of events; those by `pid_set` only where that `follows` processes.
fn event_filters(
    option: &'static str,
    text: Option<&str>,
    follows: bool,
) -> Result<Vec<wire::Filter>, SettingsError> {
    let list = filters(option, text, read_filters, |filters| FilterLists::compile(filters, &[]))?;
    if !follows && list.iter().any(|filter| !filter.pid_set.is_empty()) {
        return Err(value_error(option, "pid_set", "needs --enable-pid-set-filter"));
    }
    Ok(list)
}

/// The filters in `text`, if they compile.
fn filters<T, C, E: std::fmt::Display>(
    option: &'static str,
    text: Option<&str>,
    read: fn(&str) -> Result<Vec<T>, E>,
    compile: fn(&[T]) -> Result<C, FilterError>,
) -> Result<Vec<T>, SettingsError> {
    let text = text.unwrap_or_default();
    let filters = read(text).map_err(|error| value_error(option, text, error.to_string()))?;
    compile(&filters).map_err(|error| value_error(option, text, error.to_string()))?;
    Ok(filters)
}

fn aggregation(flags: &Flags) -> Result<Option<AggregationSettings>, SettingsError> {
    let option = "export-aggregation-window-size";
    let window = duration(option, flags.export_aggregation_window_size.as_ref())?;
    let settings = AggregationSettings {
        window: window.unwrap_or(AGGREGATION_WINDOW),
        held: flags.export_aggregation_buffer_size.unwrap_or(AGGREGATION_HELD),
    };
    Ok(Some(settings).filter(|_| flags.enable_export_aggregation == Some(true)))
}

fn duration(option: &'static str, text: Option<&String>) -> Result<Option<Duration>, SettingsError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || value_error(option, text, "expected a time such as 30m or 24h");
    parse_duration(text).map(Some).ok_or_else(wrong)
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

    // proves: EXP-05
    #[test]
    fn no_rate_is_no_limit_and_none_at_all_is_no_export() {
        let limit = |text: &str| {
            let values = [("export-filename", "/x"), ("export-rate-limit", text)];
            settings(&values).unwrap().map(|export| export.rate_limit)
        };
        assert_eq!([limit("-1"), limit("600"), limit("0")], [Some(None), Some(Some(600)), None]);
    }

    // proves: FLT-03 (option)
    #[test]
    fn filters_are_read_from_their_options() {
        let values = [
            ("export-filename", "/x"),
            ("export-allowlist", "{\"event_set\":[\"PROCESS_EXEC\"]}\n{\"pid_set\":[1]}"),
            ("export-denylist", "{\"health_check\":true}"),
            ("field-filters", "{\"fields\":\"process.exec_id\"}"),
            ("enable-pid-set-filter", "true"),
            ("enable-export-aggregation", "true"),
            ("export-aggregation-window-size", "5s"),
        ];
        let export = settings(&values).unwrap().unwrap();
        let filters = &export.filters;
        assert_eq!((filters.allow.len(), filters.deny.len(), filters.fields.len()), (2, 1, 1));
        let expected = AggregationSettings { window: Duration::from_secs(5), held: 10_000 };
        assert_eq!(export.aggregation, Some(expected));
    }

    #[test]
    fn wrong_values_name_their_option() {
        for (option, value) in [
            ("export-file-perm", "888"),
            ("export-file-rotation-interval", "-1h"),
            ("export-file-max-size-mb", "99999999999999"),
            ("export-allowlist", "{\"pid\":1"),
            ("export-denylist", "{\"binary_regex\":[\"(\"]}"),
            ("export-allowlist", "{\"pid_set\":[1]}"),
            ("field-filters", "{\"fields\":\"nothing\"}"),
            ("export-aggregation-window-size", "x"),
        ] {
            let error = settings(&[(option, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option} ")), "{error}");
        }
    }
}
