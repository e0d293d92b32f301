//! What the daemon is to ask for when a match arrives.

/// A request to somebody else. Nobody looks at the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Fetch this.
    Get(Url),
    /// Ask for the IPv4 addresses of this name.
    Lookup(HostName),
}

/// Where to fetch something from, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

/// How to speak with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the open.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// The port where nothing else is said.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A name that can be looked up, without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl Url {
    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`, and the same of `https`. A fragment is left out; `None` for one with a user, and for what is something else.
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme {
            scheme if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            scheme if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return None,
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let number = port.parse::<u16>().ok().filter(|number| digits && *number != 0);
                (host, number?)
            }
            _ => (authority, scheme.port()),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match address {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => HostName::new(host).is_some(),
        };
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_host || !is_path {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let host = address.unwrap_or(host).to_owned();
        Some(Self { scheme, host, port, path: format!("{slash}{path}") })
    }

    /// How to speak with the server.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, from the first slash on.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl HostName {
    /// The name, if it is one: up to 253 characters, labels of up to 63 letters, digits, hyphens and underscores.
    pub fn new(text: &str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (name.len() <= 253 && name.split('.').all(label)).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{HostName, Scheme, Url};

    #[test]
    fn a_url_has_a_host_and_perhaps_a_port_and_a_path() {
        for (text, expected) in [
            ("http://ebpf.io", ("ebpf.io", 80, "/")),
            ("HTTP://a.b:8080/c/d?e=f#g", ("a.b", 8080, "/c/d?e=f")),
            ("http://127.0.0.1?x", ("127.0.0.1", 80, "/?x")),
            ("http://[::1]:81/", ("::1", 81, "/")),
            ("http://[::1]/", ("::1", 80, "/")),
            ("https://ebpf.io/x", ("ebpf.io", 443, "/x")),
            ("Https://[::1]:8443", ("::1", 8443, "/")),
        ] {
            let url = Url::new(text).unwrap();
            assert_eq!((url.host(), url.port(), url.path()), expected, "{text}");
            let is_secret = text.to_ascii_lowercase().starts_with("https");
            assert_eq!(url.scheme() == Scheme::Https, is_secret, "{text}");
        }
        for bad in [
            "",
            "ebpf.io",
            "ftp://x",
            "http://",
            "http://u:p@x/",
            "http://x:0/",
            "http://x:+8/",
            "http://x:70000",
            "http://x/a b",
            "http://x/\r\nHost: y",
            "http://[::1",
            "http://[x]/",
            "http://\u{e4}.de/",
            "http:/x",
            "https:/x",
            "httpss://x",
        ] {
            assert_eq!(Url::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_has_labels_of_up_to_63_characters() {
        assert_eq!(HostName::new("_dmarc.Example.com.").unwrap().as_str(), "_dmarc.Example.com");
        for bad in ["", ".", "a..b", "a b", "\u{e4}", &"a".repeat(64), &"a.".repeat(128)] {
            assert!(HostName::new(bad).is_none(), "{bad}");
        }
    }
}
