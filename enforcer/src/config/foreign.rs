//! Upstream's options that do nothing here: an existing configuration starts, and is told what serves in their place.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// One of them.
struct Foreign {
    name: &'static str,
    /// Upstream's default; a configuration that sets it is not told of it.
    default: &'static str,
    /// What serves in its place, or why nothing does.
    instead: &'static str,
}

const KUBERNETES: &str = "this version does not speak with Kubernetes yet";
const RUNTIMES: &str = "containers are known by their cgroups; container runtimes are not asked yet";
const COMPILED: &str = "programs are compiled for the running kernel, in the form that it takes";
const PARENTS: &str = "the parents of processes are kept in one table with them: --execve-map-entries";
const WAITING: &str = "no event waits for its process: one that is not known yet is read from /proc";
const PODS: &str = "policies for pods are decided in the kernel without further options";
const PROFILES: &str = "tetra bugtool tells what each thread takes, perf takes a profile; --metrics-server shows what programs cost";

const fn foreign(name: &'static str, default: &'static str, instead: &'static str) -> Foreign {
    Foreign { name, default, instead }
}

const OPTIONS: &[Foreign] = &[
    foreign(
        "bpf-lib",
        "/var/lib/tetragon/",
        "there are no object files: programs are compiled when a policy is loaded",
    ),
    foreign("cpuprofile", "", PROFILES),
    foreign("cri-endpoint", "", RUNTIMES),
    foreign("deleted-pod-cache-size", "1024", KUBERNETES),
    foreign(
        "disable-kprobe-multi",
        "false",
        "a policy's option disable-kprobe-multi does it for that policy",
    ),
    foreign("disable-process-cache", "false", "--process-cache-size bounds the table of processes"),
    foreign("enable-cgidmap", "false", RUNTIMES),
    foreign("enable-cgidmap-debug", "false", RUNTIMES),
    foreign("enable-cgtrackerid", "true", RUNTIMES),
    foreign("enable-cri", "false", RUNTIMES),
    foreign(
        "enable-deprecated-tracingpolicy-grpc",
        "false",
        "the calls by name and namespace are served always",
    ),
    foreign("enable-k8s-api", "false", KUBERNETES),
    foreign("enable-pod-annotations", "false", KUBERNETES),
    foreign("enable-pod-info", "false", KUBERNETES),
    foreign("enable-policy-filter", "false", PODS),
    foreign("enable-policy-filter-cgroup-map", "false", PODS),
    foreign("enable-policy-filter-debug", "false", PODS),
    foreign("enable-tracing-policy-crd", "true", KUBERNETES),
    foreign("event-cache-retries", "15", WAITING),
    foreign("event-cache-retry-delay", "2", WAITING),
    foreign("execve-map-size", "", "--execve-map-entries says it in processes"),
    foreign("force-large-progs", "false", COMPILED),
    foreign("force-small-progs", "false", COMPILED),
    foreign("generate-docs", "false", "--help lists the options; docs/reference is part of the source"),
    foreign("gops-address", "", PROFILES),
    foreign("k8s-controlplane-retry", "1", KUBERNETES),
    foreign("k8s-kubeconfig-path", "", KUBERNETES),
    foreign("kernel", "", "the kernel is probed for what it can do; its version is not asked"),
    foreign("memprofile", "", PROFILES),
    foreign("netns-dir", "/var/run/docker/netns/", "namespaces come from the processes themselves"),
    foreign("parents-map-enabled", "false", PARENTS),
    foreign("parents-map-entries", "0", PARENTS),
    foreign("parents-map-size", "", PARENTS),
    foreign("pprof-address", "", PROFILES),
    foreign(
        "rb-queue-size",
        "65535",
        "records are handled as they are read; --event-queue-size bounds what waits for listeners",
    ),
    foreign(
        "release-pinned-bpf",
        "true",
        "what an earlier daemon left running is released as soon as this one has taken over",
    ),
    foreign("sleepable-preload-size", "32768", "nothing is read ahead"),
    foreign("use-perf-ring-buffer", "false", "the ring buffer of the kernel (5.8) is used always"),
    foreign("verbose", "0", "what the verifier says is part of the error; --log-level=debug shows more"),
];

fn find(name: &str) -> Option<&'static Foreign> {
    OPTIONS.iter().find(|option| option.name == name)
}

impl Foreign {
    fn is_switch(&self) -> bool {
        matches!(self.default, "true" | "false")
    }

    /// What to say of it, if it asks for anything but the default.
    fn note(&self, value: &str, from: &str) -> Option<String> {
        let Self { name, default, instead } = self;
        (value != *default).then(|| format!("{from} {name} has no effect here: {instead}"))
    }
}

/// Command-line arguments without those options, and what is to be said of these.
pub fn without_foreign(arguments: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let (mut ours, mut notes) = (Vec::new(), Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            ours.push(argument);
            ours.extend(arguments);
            break;
        }
        let text = argument.to_str().and_then(|text| text.strip_prefix("--")).unwrap_or_default();
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(option) = find(name) else {
            ours.push(argument);
            continue;
        };
        let value = match value {
            Some(value) => value.to_owned(),
            None if option.is_switch() => "true".to_owned(),
            None => arguments.next().unwrap_or_default().to_string_lossy().into_owned(),
        };
        notes.extend(option.note(&value, "option"));
    }
    (ours, notes)
}

/// What is to be said of options in files that are none of ours, which were taken out of them.
pub(super) fn notes(unknown: &BTreeMap<String, String>) -> Vec<String> {
    let note = |(name, value): (&String, &String)| match find(name) {
        Some(option) => option.note(value, "in the configuration files,"),
        None => Some(format!("in the configuration files, {name} is no option; it is ignored")),
    };
    unknown.iter().filter_map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    /// All of upstream's (`tetragon --help` of the version that this one is compatible with).
    const UPSTREAM: &str = "config-dir debug log-level log-format log-file verbose bpf-lib btf procfs kernel bpf-dir netns-dir \
        force-small-progs force-large-progs disable-kprobe-multi use-perf-ring-buffer rb-size rb-size-total rb-queue-size \
        event-queue-size process-cache-size process-cache-gc-interval disable-process-cache data-cache-size deleted-pod-cache-size \
        event-cache-retries event-cache-retry-delay retprobes-cache-size execve-map-entries execve-map-size parents-map-enabled \
        parents-map-entries parents-map-size sleepable-preload-size enable-process-cred enable-process-ns enable-ancestors \
        enable-process-environment-variables filter-environment-variables username-metadata expose-stack-addresses cluster-name \
        enable-pod-annotations export-filename export-file-max-size-mb export-file-rotation-interval export-file-max-backups \
        export-file-compress export-file-perm export-rate-limit export-allowlist export-denylist field-filters redaction-filters \
        enable-export-aggregation export-aggregation-window-size export-aggregation-buffer-size enable-pid-set-filter tracing-policy \
        tracing-policy-dir enable-tracing-policy-crd persist-grpc-policies persist-grpc-policies-dir \
        enable-deprecated-tracingpolicy-grpc enable-policy-filter enable-policy-filter-cgroup-map enable-policy-filter-debug \
        enable-k8s-api k8s-kubeconfig-path k8s-controlplane-retry enable-pod-info enable-cri cri-endpoint enable-cgidmap \
        enable-cgidmap-debug enable-cgtrackerid server-address server-tls-cert-file server-tls-key-file server-tls-client-ca-files \
        server-tls-require-client-cert metrics-server enable-event-metrics metrics-label-filter health-server-address \
        health-server-interval gops-address pprof-address cgroup-rate keep-sensors-on-exit release-pinned-bpf \
        enable-msg-handling-latency cpuprofile memprofile generate-docs";

    #[test]
    fn every_option_of_upstream_is_one_of_ours_or_says_what_serves_in_its_place() {
        let ours = Flags::names();
        for name in UPSTREAM.split_whitespace() {
            let is_ours = ours.iter().any(|flag| flag == name);
            assert!(is_ours != find(name).is_some(), "{name}: {}", if is_ours { "both" } else { "neither" });
        }
        for option in OPTIONS {
            assert!(UPSTREAM.split_whitespace().any(|name| name == option.name), "{}", option.name);
        }
    }

    #[test]
    fn an_existing_command_line_keeps_what_is_ours_and_is_told_of_the_rest() {
        let line = [
            "tetragon",
            "--bpf-lib",
            "/var/lib/tetragon/",
            "--debug",
            "--enable-k8s-api",
            "--verbose=2",
            "--rb-size",
            "1M",
        ];
        let (ours, notes) = without_foreign(line.map(OsString::from));
        assert_eq!(ours, ["tetragon", "--debug", "--rb-size", "1M"]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("enable-k8s-api") && notes[1].contains("verbose"), "{notes:?}");
    }

    #[test]
    fn what_stands_behind_two_dashes_is_left_alone() {
        let (ours, notes) = without_foreign(["tetragon", "--", "--verbose=2"].map(OsString::from));
        assert_eq!(ours, ["tetragon", "--", "--verbose=2"]);
        assert!(notes.is_empty());
    }

    #[test]
    fn files_with_upstreams_defaults_bring_no_notes_and_misspelt_names_do() {
        let files = [("gops-address", ""), ("verbose", "0"), ("rb-queue-size", "10"), ("lug-level", "info")];
        let notes = notes(&files.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("lug-level") && notes[1].contains("rb-queue-size"), "{notes:?}");
    }
}
