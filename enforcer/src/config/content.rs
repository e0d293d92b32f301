//! What events show of a process, and how long processes are remembered.

use std::time::Duration;

use api::name::parse_duration;

use super::flags::Flags;
use super::settings::{SettingsError, value_error};
use crate::pipeline::{AncestorKind, AncestorKinds, ShownVariables};

/// What events show of a process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "options that do not depend on each other")]
pub struct ContentSettings {
    /// Credentials and capabilities.
    pub credentials: bool,
    /// Namespaces.
    pub namespaces: bool,
    /// Addresses of stack frames.
    pub stack_addresses: bool,
    /// Names of the host's users.
    pub user_names: bool,
    /// Variables of the environment.
    pub environment: ShownVariables,
    /// Which events show ancestors.
    pub ancestors: AncestorKinds,
}

impl ContentSettings {
    pub(super) fn new(flags: &Flags) -> Result<Self, SettingsError> {
        Ok(Self {
            credentials: flags.enable_process_cred.unwrap_or(false),
            namespaces: flags.enable_process_ns.unwrap_or(false),
            stack_addresses: flags.expose_stack_addresses.unwrap_or(false),
            user_names: user_names(flags.username_metadata.as_deref())?,
            environment: environment(flags),
            ancestors: ancestors(flags.enable_ancestors.as_deref().unwrap_or_default())?,
        })
    }

    /// By the names of the options, for people.
    pub(super) fn describe(&self) -> [(&'static str, String); 7] {
        let named = if let ShownVariables::Named(names) = &self.environment {
            names.join(",")
        } else {
            String::new()
        };
        [
            ("enable-process-cred", self.credentials.to_string()),
            ("enable-process-ns", self.namespaces.to_string()),
            ("expose-stack-addresses", self.stack_addresses.to_string()),
            ("username-metadata", if self.user_names { "unix" } else { "disabled" }.to_owned()),
            (
                "enable-process-environment-variables",
                (self.environment != ShownVariables::Hidden).to_string(),
            ),
            ("filter-environment-variables", named),
            ("enable-ancestors", self.ancestors.describe()),
        ]
    }
}

fn user_names(option: Option<&str>) -> Result<bool, SettingsError> {
    match option.unwrap_or_default() {
        "" | "disabled" => Ok(false),
        "unix" => Ok(true),
        other => Err(value_error("username-metadata", other, "expected disabled or unix")),
    }
}

fn environment(flags: &Flags) -> ShownVariables {
    if !flags.enable_process_environment_variables.unwrap_or(false) {
        return ShownVariables::Hidden;
    }
    let names = words(flags.filter_environment_variables.as_deref().unwrap_or_default());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if names.is_empty() { ShownVariables::All } else { ShownVariables::Named(names.into()) }
}

/// All other kinds need the base events, in which clients learn of the ancestors first.
fn ancestors(option: &[String]) -> Result<AncestorKinds, SettingsError> {
    const OPTION: &str = "enable-ancestors";
    let kind = |word: &str| {
        let known = AncestorKind::NAMES.into_iter().find(|(_, name)| *name == word);
        known.map(|(kind, _)| kind).ok_or_else(|| {
            let names = AncestorKind::NAMES.map(|(_, name)| name).join(", ");
            value_error(OPTION, word, format!("expected words out of {names}"))
        })
    };
    let kinds: AncestorKinds = words(option).map(kind).collect::<Result<_, _>>()?;
    if !kinds.is_empty() && !kinds.has(AncestorKind::Base) {
        return Err(value_error(OPTION, option.join(","), "base is needed for all others; add it"));
    }
    Ok(kinds)
}

fn words(option: &[String]) -> impl Iterator<Item = &str> {
    option.iter().map(|word| word.trim()).filter(|word| !word.is_empty())
}

/// The time of `--process-cache-gc-interval`.
pub(super) fn release_interval(option: Option<&str>) -> Result<Duration, SettingsError> {
    let Some(text) = option.filter(|text| !text.is_empty()) else { return Ok(Duration::from_secs(30)) };
    let interval = parse_duration(text).filter(|interval| *interval >= Duration::from_millis(1));
    interval.ok_or_else(|| value_error("process-cache-gc-interval", text, "expected a duration, such as 30s"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::{ContentSettings, release_interval};
    use crate::config::Flags;
    use crate::pipeline::{AncestorKind, ShownVariables};

    fn content(options: &[(&str, &str)]) -> Result<ContentSettings, String> {
        let flags = Flags::from_values(options.iter().copied())?;
        ContentSettings::new(&flags).map_err(|error| error.to_string())
    }

    #[test]
    fn ancestors_are_shown_by_the_kinds_of_events_named_which_need_the_base() {
        let shown = content(&[("enable-ancestors", "base,lsm")]).unwrap().ancestors;
        assert!(shown.has(AncestorKind::Base) && shown.has(AncestorKind::Lsm));
        assert!(!shown.has(AncestorKind::Kprobe));
        assert_eq!(shown.describe(), "base,lsm");
        assert!(content(&[("enable-ancestors", "")]).unwrap().ancestors.is_empty());
        let error = content(&[("enable-ancestors", "kprobe")]).unwrap_err();
        assert!(error.contains("enable-ancestors") && error.contains("base is needed"), "{error}");
        let error = content(&[("enable-ancestors", "base,process")]).unwrap_err();
        assert!(error.contains("\"process\"") && error.contains("usdt"), "{error}");
    }

    #[test]
    fn variables_are_shown_on_request_and_then_all_or_those_named() {
        let on = ("enable-process-environment-variables", "true");
        let named = ("filter-environment-variables", "PATH,LD_PRELOAD");
        assert_eq!(content(&[named]).unwrap().environment, ShownVariables::Hidden);
        assert_eq!(content(&[on]).unwrap().environment, ShownVariables::All);
        let names = ["PATH".to_owned(), "LD_PRELOAD".to_owned()];
        let both = content(&[on, named]).unwrap();
        assert_eq!(both.environment, ShownVariables::Named(names.into()));
        let described = both.describe();
        assert!(described.contains(&("filter-environment-variables", "PATH,LD_PRELOAD".to_owned())));
    }

    #[test]
    fn users_are_named_on_request() {
        assert!(content(&[("username-metadata", "unix")]).unwrap().user_names);
        assert!(!content(&[("username-metadata", "disabled")]).unwrap().user_names);
        assert!(content(&[("username-metadata", "windows")]).unwrap_err().contains("disabled or unix"));
    }

    #[test]
    fn the_interval_of_the_release_is_a_duration() {
        assert_eq!(release_interval(None).unwrap(), Duration::from_secs(30));
        assert_eq!(release_interval(Some("1m30s")).unwrap(), Duration::from_secs(90));
        assert!(release_interval(Some("0s")).is_err() && release_interval(Some("soon")).is_err());
    }
}
