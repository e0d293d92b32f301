//! The options of the export to an OpenTelemetry collector, as meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::filter::FieldFilters;
use api::name::{format_duration, parse_duration};
use export::otlp::{
    Compression, Endpoint, EndpointError, Headers, HeadersError, Identity, OtlpOptions, Protocol, TlsFiles,
};
use export::siem::Form;

use super::export::choice;
use super::flags::Flags;
use super::settings::{SettingsError, non_empty, value_error};

/// How long a collector's answer may take; upstream's exporters wait as long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of events that may wait for a collector.
const BOUND: usize = 8 << 20;

/// What `flags` ask for, with these fields of events; `None`: there is no collector.
pub(super) fn collector(flags: &Flags, fields: FieldFilters) -> Result<Option<OtlpOptions>, SettingsError> {
    let Some(address) = non_empty(flags.export_otlp_endpoint.clone()) else { return Ok(None) };
    let protocol = choice("export-otlp-protocol", flags.export_otlp_protocol.as_deref(), &Protocol::NAMES)?;
    // a password may stand in it
    let wrong = |error: EndpointError| value_error("export-otlp-endpoint", "", error.to_string());
    let endpoint = Endpoint::new(&address, protocol).map_err(wrong)?;
    let headers = flags.export_otlp_headers.as_deref().unwrap_or_default();
    let secret = |error: HeadersError| value_error("export-otlp-headers", "", error.to_string());
    let compression = flags.export_otlp_compression.as_deref();
    Ok(Some(OtlpOptions {
        tls: tls(flags, &endpoint)?,
        endpoint,
        headers: Headers::parse(headers).map_err(secret)?,
        compression: choice("export-otlp-compression", compression, &Compression::NAMES)?,
        timeout: timeout(non_empty(flags.export_otlp_timeout.clone()))?,
        bound: BOUND,
        fields,
        form: choice("export-otlp-format", flags.export_otlp_format.as_deref(), &Form::NAMES)?,
    }))
}

/// The files of the encryption, which must be one.
fn tls(flags: &Flags, endpoint: &Endpoint) -> Result<TlsFiles, SettingsError> {
    let file = |name: &Option<String>| non_empty(name.clone()).map(PathBuf::from);
    let (certificate, key) = (file(&flags.export_otlp_cert_file), file(&flags.export_otlp_key_file));
    let authorities = file(&flags.export_otlp_ca_file);
    let wrong = |option, path: &Path, reason: &str| Err(value_error(option, path.display(), reason));
    let plain = "it is for an endpoint with https";
    let encrypted = endpoint.is_encrypted();
    let identity = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), _) if !encrypted => return wrong("export-otlp-cert-file", &certificate, plain),
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        (Some(certificate), None) => {
            return wrong("export-otlp-cert-file", &certificate, "it needs its key, --export-otlp-key-file");
        }
        (None, Some(key)) => {
            let reason = "it needs its certificate, --export-otlp-cert-file";
            return wrong("export-otlp-key-file", &key, reason);
        }
    };
    match authorities {
        Some(path) if !encrypted => wrong("export-otlp-ca-file", &path, plain),
        authorities => Ok(TlsFiles { authorities, identity }),
    }
}

fn timeout(text: Option<String>) -> Result<Duration, SettingsError> {
    let Some(text) = text else { return Ok(TIMEOUT) };
    let wanted = parse_duration(&text).filter(|wanted| !wanted.is_zero());
    wanted.ok_or_else(|| value_error("export-otlp-timeout", text, "expected a time such as 10s"))
}

/// The settings by the names of their options, for people; of headers their names only.
pub(super) fn describe(collector: &OtlpOptions) -> Vec<(&'static str, String)> {
    let file = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
    let identity = collector.tls.identity.as_ref();
    vec![
        ("export-otlp-endpoint", collector.endpoint.to_string()),
        ("export-otlp-protocol", collector.endpoint.protocol().name().to_owned()),
        ("export-otlp-compression", collector.compression.name().to_owned()),
        ("export-otlp-headers", collector.headers.names()),
        ("export-otlp-ca-file", file(collector.tls.authorities.as_ref())),
        ("export-otlp-cert-file", file(identity.map(|identity| &identity.certificate))),
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
            ("export-otlp-endpoint", "https://otel.example/secret"),
            ("export-otlp-protocol", "http/protobuf"),
            ("export-otlp-compression", "gzip"),
            ("export-otlp-headers", "authorization=secret"),
            ("export-otlp-ca-file", "/ca.pem"),
            ("export-otlp-cert-file", "/cert.pem"),
            ("export-otlp-key-file", "/key.pem"),
            ("export-otlp-format", "ocsf"),
        ];
        let collector = read(&values).unwrap().unwrap();
        assert_eq!((collector.form, collector.timeout), (Form::Ocsf, TIMEOUT));
        assert_eq!(collector.compression, Compression::Gzip);
        assert_eq!(collector.tls.identity.as_ref().unwrap().key, Path::new("/key.pem"));
        let described = describe(&collector);
        let values: Vec<_> = described.iter().map(|(_, value)| value.as_str()).collect();
        let expected =
            ["https://otel.example:443", "http/protobuf", "gzip", "authorization", "/ca.pem", "/cert.pem"];
        assert_eq!(values[..6], expected);
        assert!(!format!("{described:?}{collector:?}").contains("secret"));
    }

    #[test]
    fn by_itself_it_is_grpc_and_nothing_is_compressed() {
        let collector = read(&[("export-otlp-endpoint", "http://localhost")]).unwrap().unwrap();
        assert_eq!(collector.endpoint.protocol(), Protocol::Grpc);
        assert_eq!(collector.compression, Compression::None);
    }

    #[test]
    fn wrong_values_name_their_option_and_not_what_may_be_a_secret() {
        let https = "https://otel.example";
        for (endpoint, option, value) in [
            ("", "export-otlp-endpoint", "https://user:secret@otel.example"),
            ("", "export-otlp-endpoint", "https://otel.example/secret"),
            (https, "export-otlp-headers", "secret"),
            (https, "export-otlp-headers", "Bearer secret="),
            (https, "export-otlp-timeout", "0s"),
            (https, "export-otlp-format", "xml"),
            (https, "export-otlp-protocol", "http/json"),
            (https, "export-otlp-compression", "zstd"),
            (https, "export-otlp-cert-file", "/cert.pem"),
            (https, "export-otlp-key-file", "/key.pem"),
            ("http://localhost", "export-otlp-cert-file", "/cert.pem"),
            ("http://localhost", "export-otlp-ca-file", "/ca.pem"),
        ] {
            let error = read(&[("export-otlp-endpoint", endpoint), (option, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{option} ")) && !error.contains("secret"), "{error}");
        }
    }
}
