//! The options of the export, as meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::filter::{
    AGGREGATION_HELD, AGGREGATION_WINDOW, FieldFilters, FilterLists, Redaction, read_field_filters,
    read_filters, read_redaction_filters,
};
use api::name::{format_duration, parse_duration};
use export::json::{FileOptions, Rotation};
use export::otlp::OtlpOptions;
use export::siem::Form;

use super::collector;
use super::flags::Flags;
use super::settings::{SettingsError, non_empty, value_error};

/// Bytes of what upstream calls MB.
pub(crate) const MEBIBYTE: u64 = 1 << 20;
/// What upstream's 0 stands for.
const DEFAULT_MEBIBYTES: u64 = 100;

/// Where events go besides clients.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// Where lines go.
    pub target: Option<ExportTarget>,
    /// How lines are written, and which fields of events.
    pub file: FileOptions,
    /// The collector that gets events.
    pub collector: Option<OtlpOptions>,
    /// Which events are exported.
    pub events: FilterLists,
    /// How many events a minute are exported at most.
    pub rate_limit: Option<u32>,
    /// How events that say the same become one.
    pub aggregation: Option<AggregationSettings>,
}

/// Where lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ExportTarget {
    /// To the file at this path.
    File(PathBuf),
    /// To standard output.
    Stdout,
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
    /// What `flags` ask for; `None`: nothing is exported.
    pub(super) fn new(flags: &Flags) -> Result<Option<Self>, SettingsError> {
        let file = file_options(flags)?;
        let events = event_filters(flags)?;
        let rate_limit = flags.export_rate_limit.unwrap_or(-1);
        let aggregation = aggregation(flags)?;
        let collector = collector::collector(flags, file.fields.clone())?;
        let target = non_empty(flags.export_filename.clone()).map(|name| match name.as_str() {
            "-" => ExportTarget::Stdout,
            _ => ExportTarget::File(name.into()),
        });
        if rate_limit == 0 || (target.is_none() && collector.is_none()) {
            return Ok(None);
        }
        let rate_limit = u64::try_from(rate_limit).ok().map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        Ok(Some(Self { target, file, collector, events, rate_limit, aggregation }))
    }

    /// The file that lines go to.
    pub fn path(&self) -> Option<&Path> {
        match self.target.as_ref()? {
            ExportTarget::File(path) => Some(path),
            ExportTarget::Stdout => None,
        }
    }

    /// The settings by the names of their options, for people.
    pub(super) fn describe(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Rotation { max_bytes, interval, backups, compress } = self.file.rotation;
        let target = match &self.target {
            Some(ExportTarget::File(path)) => path.display().to_string(),
            Some(ExportTarget::Stdout) => "-".to_owned(),
            None => String::new(),
        };
        let collector = self.collector.iter().flat_map(collector::describe);
        [
            ("export-filename", target),
            ("export-format", self.file.form.name().to_owned()),
            ("export-file-perm", format!("{:o}", self.file.mode)),
            ("export-file-max-size-mb", (max_bytes / MEBIBYTE).to_string()),
            ("export-file-rotation-interval", format_duration(interval.unwrap_or_default())),
            ("export-file-max-backups", backups.to_string()),
            ("export-file-compress", compress.to_string()),
            ("export-rate-limit", self.rate_limit.map_or("-1".to_owned(), |limit| limit.to_string())),
            ("enable-export-aggregation", self.aggregation.is_some().to_string()),
        ]
        .into_iter()
        .chain(collector)
    }
}

/// The defaults, but for what `flags` say.
fn file_options(flags: &Flags) -> Result<FileOptions, SettingsError> {
    let mut file = FileOptions { fields: field_filters(flags)?, ..FileOptions::default() };
    if let Some(text) = &flags.export_file_perm {
        file.mode = file_mode(text)?;
    }
    file.form = choice("export-format", flags.export_format.as_deref(), &Form::NAMES)?;
    let rotation = &mut file.rotation;
    let option = "export-file-rotation-interval";
    if let Some(interval) = duration(option, flags.export_file_rotation_interval.as_ref())? {
        rotation.interval = rotation_interval(interval);
    }
    if let Some(size) = flags.export_file_max_size_mb {
        let too_large = || value_error("export-file-max-size-mb", size, "a file cannot be that large");
        rotation.max_bytes = file_bytes(size).ok_or_else(too_large)?;
    }
    if let Some(backups) = flags.export_file_max_backups {
        rotation.backups = backups;
    }
    if let Some(compress) = flags.export_file_compress {
        rotation.compress = compress;
    }
    Ok(file)
}

/// The one of that name; without a name, the default.
pub(super) fn choice<T: Copy + Default>(
    option: &'static str,
    name: Option<&str>,
    names: &[(&str, T)],
) -> Result<T, SettingsError> {
    let Some(name) = name else { return Ok(T::default()) };
    let chosen = names.iter().find(|(known, _)| *known == name).map(|(_, chosen)| *chosen);
    let all = || names.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(" or ");
    chosen.ok_or_else(|| value_error(option, name, format!("expected {}", all())))
}

/// The lists of events that `flags` ask for; those by `pid_set` only where processes are followed.
fn event_filters(flags: &Flags) -> Result<FilterLists, SettingsError> {
    let follows = flags.enable_pid_set_filter == Some(true);
    let read = |option, text| {
        let filters = read_filters(text).map_err(refused(option, text))?;
        if !follows && filters.iter().any(|filter| !filter.pid_set.is_empty()) {
            return Err(value_error(option, "pid_set", "needs --enable-pid-set-filter"));
        }
        Ok(filters)
    };
    let (option, text) = ("export-allowlist", flags.export_allowlist.as_deref().unwrap_or_default());
    let allowed = FilterLists::compile(&read(option, text)?, &[]).map_err(refused(option, text))?;
    let (option, text) = ("export-denylist", flags.export_denylist.as_deref().unwrap_or_default());
    allowed.denying(&read(option, text)?).map_err(refused(option, text))
}

fn field_filters(flags: &Flags) -> Result<FieldFilters, SettingsError> {
    let (option, text) = ("field-filters", flags.field_filters.as_deref().unwrap_or_default());
    let filters = read_field_filters(text).map_err(refused(option, text))?;
    FieldFilters::compile(&filters).map_err(refused(option, text))
}

/// The redaction that `flags` ask for.
pub(super) fn redaction(flags: &Flags) -> Result<Redaction, SettingsError> {
    let (option, text) = ("redaction-filters", flags.redaction_filters.as_deref().unwrap_or_default());
    let filters = read_redaction_filters(text).map_err(refused(option, text))?;
    Redaction::compile(&filters).map_err(refused(option, text))
}

/// What is wrong with the text of an option.
fn refused<E: std::fmt::Display>(option: &'static str, text: &str) -> impl FnOnce(E) -> SettingsError {
    move |error| value_error(option, text, error.to_string())
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
    use api::json::read_event;
    use api::name::EventType;

    use super::*;

    fn settings(values: &[(&str, &str)]) -> Result<Option<ExportSettings>, SettingsError> {
        ExportSettings::new(&Flags::from_values(values.iter().copied()).unwrap())
    }

    #[test]
    fn rotation_has_the_defaults_of_upstream() {
        assert!(settings(&[]).unwrap().is_none());
        let export = settings(&[("export-filename", "/x")]).unwrap().unwrap();
        let rotation = Rotation { max_bytes: 10 << 20, interval: None, backups: 5, compress: false };
        assert_eq!((export.file.mode, export.file.rotation), (0o600, rotation));
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
        assert_eq!(settings(&values).unwrap().unwrap().file.rotation, rotation);
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

    #[test]
    fn a_dash_is_standard_output_and_a_collector_needs_no_file() {
        let target = |values: &[(&str, &str)]| settings(values).unwrap().map(|export| export.target);
        assert_eq!(target(&[("export-filename", "-")]), Some(Some(ExportTarget::Stdout)));
        assert_eq!(target(&[("export-filename", "")]), None);
        let collector = ("export-otlp-endpoint", "http://localhost");
        assert_eq!(target(&[collector]), Some(None));
        assert_eq!(target(&[collector, ("export-rate-limit", "0")]), None);
    }

    /// What upstream's chart asks for, unless it is told otherwise.
    const CHART_ALLOWS: &str = r#"{"event_set":["PROCESS_EXEC","PROCESS_EXIT","PROCESS_KPROBE","PROCESS_UPROBE","PROCESS_TRACEPOINT","PROCESS_LSM"]}"#;
    const CHART_DENIES: &str = "{\"health_check\":true}\n{\"namespace\":[\"\",\"cilium\",\"kube-system\"]}";

    // proves: EXP-04
    #[test]
    fn the_default_lists_of_the_chart_let_pass_what_pods_do_outside_the_system_and_no_health_checks() {
        let values = [
            ("export-filename", "/x"),
            ("export-allowlist", CHART_ALLOWS),
            ("export-denylist", CHART_DENIES),
        ];
        let export = settings(&values).unwrap().unwrap();
        let is_wanted = |kind: &str, process: &str| {
            let event = format!(r#"{{"{kind}":{{"process":{process}}}}}"#);
            export.events.wants(&read_event(event.as_bytes()).unwrap())
        };
        let pod = r#"{"pid":2,"pod":{"namespace":"shop","name":"a"}}"#;
        for kind in [
            "process_exec",
            "process_exit",
            "process_kprobe",
            "process_uprobe",
            "process_tracepoint",
            "process_lsm",
        ] {
            assert!(is_wanted(kind, pod), "{kind}");
            assert!(!is_wanted(kind, r#"{"pid":2}"#), "{kind} of the host");
        }
        assert!(!is_wanted("process_loader", pod) && !is_wanted("process_usdt", pod));
        for process in [
            r#"{"pid":2,"pod":{"namespace":"kube-system","name":"a"}}"#,
            r#"{"pid":2,"pod":{"namespace":"cilium","name":"a"}}"#,
            r#"{"pid":2,"pod":{"namespace":"shop","container":{"maybe_exec_probe":true}}}"#,
        ] {
            assert!(!is_wanted("process_exec", process), "{process}");
        }
        let everything = settings(&[("export-filename", "/x")]).unwrap().unwrap();
        let host = read_event(br#"{"process_exec":{"process":{"pid":2}}}"#).unwrap();
        assert!(everything.events.wants(&host), "without lists all is exported");
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
        let is_wanted = |event: &str| export.events.wants(&read_event(event.as_bytes()).unwrap());
        let events = [
            r#"{"process_exec":{"process":{"pid":2}}}"#,
            r#"{"process_kprobe":{"process":{"pid":1}}}"#,
            r#"{"process_kprobe":{"process":{"pid":2}}}"#,
            r#"{"process_exec":{"process":{"pid":2,"pod":{"container":{"maybe_exec_probe":true}}}}}"#,
        ];
        assert_eq!(events.map(is_wanted), [true, true, false, false]);
        let mut line = Vec::new();
        let whole = br#"{"process_exec":{"process":{"exec_id":"a","pid":2}}}"#;
        export.file.fields.copy_json(whole, EventType::ProcessExec, &mut line);
        assert_eq!(str::from_utf8(&line).unwrap(), r#"{"process_exec":{"process":{"exec_id":"a"}}}"#);
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
