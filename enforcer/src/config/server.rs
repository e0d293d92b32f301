//! The options of what the daemon serves: addresses, encryption, whom to let in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::flags::Flags;
use super::settings::{Settings, SettingsError, non_empty, value_error};

const DEFAULT_PORT: u16 = 54321;
const METRICS_PORT: u16 = 2112;
const HEALTH_PORT: u16 = 6789;
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);
const MAX_HEALTH_INTERVAL: u64 = 3600;

/// Where and how clients are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where gRPC is served; empty for nowhere.
    pub addresses: Vec<ServerAddress>,
    /// Where it is told that the daemon lives.
    pub health: Option<HealthSettings>,
}

/// An address to serve gRPC on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServerAddress {
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
    /// A TCP socket on the loopback interface, unencrypted.
    Loopback(SocketAddr),
    /// A TCP socket, encrypted.
    Tls(SocketAddr, TlsSettings),
}

/// Files for encryption, and who is let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsSettings {
    /// PEM file with the certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
    /// PEM files with the authorities of clients' certificates.
    pub client_authorities: Vec<PathBuf>,
    /// Which clients are let in.
    pub clients: Clients,
}

/// Which clients are let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clients {
    /// Those with a certificate of the authorities.
    Certified,
    /// Those, and those that show none.
    CertifiedOrNot,
    /// All; none is asked.
    All,
}

/// Where it is told that the daemon lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HealthSettings {
    /// The address.
    pub address: SocketAddr,
    /// Between two looks at whether it does.
    pub interval: Duration,
    /// What to do where the address is taken.
    pub wish: Wish,
}

/// How much an address is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// The user named it.
    Named,
    /// It is the default: the daemon starts without.
    Default,
}

impl ServerSettings {
    /// What `flags` ask for; the default socket is in `run_dir`.
    pub(super) fn new(flags: &Flags, run_dir: &Path) -> Result<Self, SettingsError> {
        Ok(Self {
            addresses: addresses(flags.server_address.as_deref(), run_dir, tls(flags)?)?,
            health: health(flags)?,
        })
    }

    /// The settings by the names of their options, for people.
    pub(super) fn describe(&self) -> impl Iterator<Item = (&'static str, String)> {
        let server = |server: &ServerAddress| match server {
            ServerAddress::Unix(path) => format!("unix://{}", path.display()),
            ServerAddress::Loopback(address) | ServerAddress::Tls(address, _) => address.to_string(),
        };
        let servers: Vec<String> = self.addresses.iter().map(server).collect();
        let address = |address: Option<SocketAddr>| address.map(|it| it.to_string()).unwrap_or_default();
        let tls = self.addresses.iter().find_map(|address| match address {
            ServerAddress::Tls(_, tls) => Some(tls),
            ServerAddress::Unix(_) | ServerAddress::Loopback(_) => None,
        });
        let certified = tls.is_some_and(|tls| tls.clients == Clients::Certified);
        [
            ("server-address", servers.join(",")),
            (
                "server-tls-cert-file",
                tls.map(|tls| tls.certificate.display().to_string()).unwrap_or_default(),
            ),
            ("server-tls-require-client-cert", certified.to_string()),
            ("health-server-address", address(self.health.map(|health| health.address))),
        ]
        .into_iter()
    }
}

fn tls(flags: &Flags) -> Result<Option<TlsSettings>, SettingsError> {
    let certificate = non_empty(flags.server_tls_cert_file.clone());
    let key = non_empty(flags.server_tls_key_file.clone());
    let authorities = flags.server_tls_client_ca_files.as_deref().unwrap_or_default();
    let client_authorities: Vec<PathBuf> =
        authorities.split(',').map(str::trim).filter(|file| !file.is_empty()).map(PathBuf::from).collect();
    let required = flags.server_tls_require_client_cert;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (PathBuf::from(certificate), PathBuf::from(key)),
        (None, None) if client_authorities.is_empty() && required != Some(true) => return Ok(None),
        (Some(given), None) => {
            let reason = "it needs its key, --server-tls-key-file";
            return Err(value_error("server-tls-cert-file", given, reason));
        }
        (None, given) => {
            let reason = "clients' certificates are asked for by a server that has one itself";
            let (option, value, reason) = match given {
                Some(key) => ("server-tls-key-file", key, "it needs its certificate, --server-tls-cert-file"),
                None if required == Some(true) => {
                    ("server-tls-require-client-cert", "true".to_owned(), reason)
                }
                None => ("server-tls-client-ca-files", authorities.to_owned(), reason),
            };
            return Err(value_error(option, value, reason));
        }
    };
    let clients = match (client_authorities.is_empty(), required) {
        (true, Some(true)) => {
            let reason = "it needs --server-tls-client-ca-files";
            return Err(value_error("server-tls-require-client-cert", "true", reason));
        }
        (true, _) => Clients::All,
        (false, Some(false)) => Clients::CertifiedOrNot,
        (false, _) => Clients::Certified,
    };
    Ok(Some(TlsSettings { certificate, key, client_authorities, clients }))
}

/// The addresses: a TCP address brings the default Unix socket along, as upstream does.
fn addresses(
    option: Option<&str>,
    run_dir: &Path,
    tls: Option<TlsSettings>,
) -> Result<Vec<ServerAddress>, SettingsError> {
    let unix = ServerAddress::Unix(Settings::default_socket(run_dir));
    let wrong = |text: &str, reason: &str| Err(value_error("server-address", text, reason));
    let no_tcp = "--server-tls-cert-file is given: that is for HOST:PORT, a Unix socket is not encrypted";
    let text = match option {
        None if tls.is_none() => return Ok(vec![unix]),
        Some("") => return Ok(Vec::new()),
        None => return wrong("", no_tcp),
        Some(text) => text,
    };
    if let Some(path) = text.strip_prefix("unix://") {
        let path = PathBuf::from(path);
        if !path.is_absolute() || path.file_name().is_none() {
            return wrong(text, "unix:// needs an absolute path, as in unix:///run/x.sock");
        }
        return if tls.is_some() { wrong(text, no_tcp) } else { Ok(vec![ServerAddress::Unix(path)]) };
    }
    let Some(address) = socket_address(text, DEFAULT_PORT) else {
        return wrong(text, "expected unix:///PATH or HOST:PORT");
    };
    match tls {
        Some(tls) => Ok(vec![ServerAddress::Tls(address, tls), unix]),
        None if address.ip().is_loopback() => Ok(vec![ServerAddress::Loopback(address), unix]),
        None => wrong(
            text,
            "an address that others can reach needs --server-tls-cert-file and --server-tls-key-file; without them \
             use unix:///PATH or localhost:PORT",
        ),
    }
}

pub(super) fn metrics_address(text: &str) -> Result<SocketAddr, SettingsError> {
    let text_or_any = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    socket_address(&text_or_any, METRICS_PORT).ok_or_else(|| {
        value_error("metrics-server", text, "expected HOST:PORT, with HOST a number or localhost")
    })
}

fn health(flags: &Flags) -> Result<Option<HealthSettings>, SettingsError> {
    let interval = match flags.health_server_interval {
        None => HEALTH_INTERVAL,
        Some(seconds @ 1..=MAX_HEALTH_INTERVAL) => Duration::from_secs(seconds),
        Some(seconds) => {
            let reason = format!("seconds, from 1 to {MAX_HEALTH_INTERVAL}");
            return Err(value_error("health-server-interval", seconds, reason));
        }
    };
    let (address, wish) = match flags.health_server_address.as_deref() {
        None => (SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), HEALTH_PORT), Wish::Default),
        Some("") => return Ok(None),
        Some(text) => {
            let reason = "expected HOST:PORT, with HOST a number or localhost";
            let address = socket_address(text, HEALTH_PORT)
                .ok_or_else(|| value_error("health-server-address", text, reason))?;
            (address, Wish::Named)
        }
    };
    Ok(Some(HealthSettings { address, interval, wish }))
}

/// Reads an address without asking a name server: a start that waits for DNS is no start. `:PORT` is every address of the machine.
fn socket_address(text: &str, default_port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default_port),
    };
    let ip = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "" if text.starts_with(':') => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Result<ServerSettings, SettingsError> {
        let flags = Flags::from_values(values.iter().copied()).unwrap();
        ServerSettings::new(&flags, Path::new("/var/run/tetragon"))
    }

    #[test]
    fn without_options_it_serves_on_the_default_socket_alone() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.addresses, [ServerAddress::Unix("/var/run/tetragon/tetragon.sock".into())]);
        let health = settings.health.unwrap();
        assert_eq!(
            (health.address.port(), health.interval, health.wish),
            (6789, HEALTH_INTERVAL, Wish::Default)
        );
    }

    #[test]
    fn without_encryption_a_server_address_is_a_socket_or_the_loopback_interface() {
        let servers = |text| settings(&[("server-address", text)]).map(|settings| settings.addresses);
        assert!(servers("").unwrap().is_empty());
        assert_eq!(servers("unix:///x/y.sock").unwrap(), [ServerAddress::Unix("/x/y.sock".into())]);
        let tcp = servers("localhost").unwrap();
        assert_eq!(tcp.first(), Some(&ServerAddress::Loopback("127.0.0.1:54321".parse().unwrap())));
        assert_eq!(tcp.len(), 2, "the Unix socket comes along");
        assert!(servers("[::1]:1").is_ok());
        for everybody in ["0.0.0.0:54321", ":54321", "192.0.2.1"] {
            assert!(servers(everybody).unwrap_err().to_string().contains("needs --server-tls-cert-file"));
        }
        assert!(servers("unix://relative").is_err());
        assert!(servers("nowhere.example:1").is_err());
    }

    const FILES: [(&str, &str); 2] = [("server-tls-cert-file", "/c"), ("server-tls-key-file", "/k")];
    const ADDRESS: (&str, &str) = ("server-address", "0.0.0.0");
    const AUTHORITY: (&str, &str) = ("server-tls-client-ca-files", "/a, /b");

    #[test]
    fn with_encryption_every_address_has_it_and_authorities_mean_that_clients_need_a_certificate() {
        let with = |more: &[(&'static str, &'static str)]| {
            let addresses = settings(&[&FILES, [ADDRESS].as_slice(), more].concat()).unwrap().addresses;
            assert_eq!(addresses.len(), 2, "the Unix socket comes along");
            addresses.into_iter().next().unwrap()
        };
        let tls = TlsSettings {
            certificate: "/c".into(),
            key: "/k".into(),
            client_authorities: vec!["/a".into(), "/b".into()],
            clients: Clients::Certified,
        };
        assert_eq!(with(&[AUTHORITY]), ServerAddress::Tls("0.0.0.0:54321".parse().unwrap(), tls));
        let clients = |more| match with(more) {
            ServerAddress::Tls(_, tls) => Some(tls.clients),
            ServerAddress::Unix(_) | ServerAddress::Loopback(_) => None,
        };
        for (more, expected) in [
            (&[AUTHORITY, ("server-tls-require-client-cert", "true")][..], Clients::Certified),
            (&[AUTHORITY, ("server-tls-require-client-cert", "false")], Clients::CertifiedOrNot),
            (&[], Clients::All),
        ] {
            assert_eq!(clients(more), Some(expected));
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let refused = |values: &[(&str, &str)]| settings(values).unwrap_err().to_string();
        let [certificate, key] = FILES;
        for (values, expected) in [
            (vec![ADDRESS, certificate], "--server-tls-cert-file \"/c\": it needs its key"),
            (vec![ADDRESS, key], "--server-tls-key-file \"/k\": it needs its certificate"),
            (vec![AUTHORITY], "--server-tls-client-ca-files"),
            (vec![("server-tls-require-client-cert", "true")], "--server-tls-require-client-cert"),
            (
                vec![ADDRESS, certificate, key, ("server-tls-require-client-cert", "true")],
                "needs --server-tls-client-ca-files",
            ),
            (vec![certificate, key], "a Unix socket is not encrypted"),
            (vec![("server-address", "unix:///x"), certificate, key], "a Unix socket is not encrypted"),
            (vec![("health-server-address", "host:1")], "--health-server-address "),
            (vec![("health-server-interval", "0")], "--health-server-interval "),
        ] {
            assert!(refused(&values).contains(expected), "{expected}: {}", refused(&values));
        }
    }

    #[test]
    fn the_health_server_can_be_moved_or_left_out() {
        let health = |values: &[(&str, &str)]| settings(values).unwrap().health;
        assert_eq!(health(&[("health-server-address", "")]), None);
        let moved = health(&[("health-server-address", ":1"), ("health-server-interval", "3")]).unwrap();
        assert_eq!((moved.address, moved.interval.as_secs()), ("[::]:1".parse().unwrap(), 3));
        assert_eq!(moved.wish, Wish::Named);
    }
}
