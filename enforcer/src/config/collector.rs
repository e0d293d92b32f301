//! The options of the export to an OpenTelemetry collector, as meant.

use std::path::PathBuf;
use std::time::Duration;

use api::filter::FieldFilters;
use api::name::{format_duration, parse_duration};
use export::otlp::{Headers, OtlpOptions};

use super::export::form;
use super::flags::Flags;
use super::settings::{SettingsError, non_empty, value_error};

/// How long a collector's answer may take; upstream's exporters wait as long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of events that may wait for a collector.
const BOUND: usize = 8 << 20;

/// What `flags` ask for, with these fields of events; `None`: there is no collector.
pub(super) fn collector(flags: &Flags, fields: FieldFilters) -> Result<Option<OtlpOptions>, SettingsError> {
    let Some(endpoint) = non_empty(flags.export_otlp_endpoint.clone()) else { return Ok(None) };
    let wrong = |error: export::otlp::EndpointError| {
        // a password may stand in it
        value_error("export-otlp-endpoint", "", error.to_string())
    };
    let headers = flags.export_otlp_headers.as_deref().unwrap_or_default();
    let secret =
        |error: export::otlp::HeadersError| value_error("export-otlp-headers", "", error.to_string());
    Ok(Some(OtlpOptions {
        endpoint: endpoint.parse().map_err(wrong)?,
        headers: Headers::parse(headers).map_err(secret)?,
        authorities: non_empty(flags.export_otlp_ca_file.clone()).map(PathBuf::from),
        timeout: timeout(non_empty(flags.export_otlp_timeout.clone()))?,
        bound: BOUND,
        fields,
        form: form("export-otlp-format", flags.export_otlp_format.as_deref())?,
    }))
}

fn timeout(text: Option<String>) -> Result<Duration, SettingsError> {
    let Some(text) = text else { return Ok(TIMEOUT) };
    let wanted = parse_duration(&text).filter(|wanted| !wanted.is_zero());
    wanted.ok_or_else(|| value_error("export-otlp-timeout", text, "expected a time such as 10s"))
}

/// The settings by the names of their options, for people; of headers their names only.
pub(super) fn describe(collector: &OtlpOptions) -> Vec<(&'static str, String)> {
    let authorities = collector.authorities.as_ref();
    vec![
        ("export-otlp-endpoint", collector.endpoint.to_string()),
        ("export-otlp-headers", collector.headers.names()),
        ("export-otlp-ca-file", authorities.map(|path| path.display().to_string()).unwrap_or_default()),
        ("export-otlp-timeout", format_duration(collector.timeout)),
        ("export-otlp-format", collector.form.name().to_owned()),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use export::siem::Form;

    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Option<OtlpOptions>, SettingsError> {
        collector(&Flags::from_values(values.iter().copied()).unwrap(), FieldFilters::none())
    }

    #[test]
    fn a_collector_is_asked_for_by_its_address_and_secrets_are_not_told() {
        assert!(read(&[("export-otlp-headers", "a=b")]).unwrap().is_none());
        let values = [
            ("export-otlp-endpoint", "https://otel.example"),
            ("export-otlp-headers", "authorization=secret"),
            ("export-otlp-ca-file", "/ca.pem"),
            ("export-otlp-format", "ocsf"),
        ];
        let collector = read(&values).unwrap().unwrap();
        assert_eq!((collector.form, collector.timeout), (Form::Ocsf, TIMEOUT));
        let described = describe(&collector);
        assert_eq!(described[0].1, "https://otel.example:4317");
        assert_eq!(described[1].1, "authorization");
        assert!(!format!("{described:?}{collector:?}").contains("secret"));
    }

    #[test]
    fn wrong_values_name_their_option_and_not_what_may_be_a_secret() {
        let endpoint = ("export-otlp-endpoint", "https://otel.example");
        for (option, value) in [
            ("export-otlp-endpoint", "https://user:secret@otel.example"),
            ("export-otlp-headers", "secret"),
            ("export-otlp-timeout", "0s"),
            ("export-otlp-format", "xml"),
        ] {
            let error = read(&[endpoint, (option, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option} ")) && !error.contains("secret"), "{error}");
        }
    }
}
