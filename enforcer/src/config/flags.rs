//! The options as typed, by the names that Tetragon gives them.
//!
//! Every field is optional here: an option that was not given must be told apart from one that was given its default, because the same
//! type also holds what the environment and the configuration files say. [`Flags::over`] joins two such layers.

use clap::{CommandFactory, Parser};

/// A Tetragon-compatible runtime security daemon that compiles its policies to eBPF.
///
/// Each option can also come from the environment (`TETRAGON_RB_SIZE` for `--rb-size`) or from configuration files; the command line wins
/// over the environment, the environment over files.
#[derive(Clone, Debug, Default, Eq, Parser, PartialEq)]
#[command(name = "enforcer", version, max_term_width = 100, args_override_self = true)]
pub struct Flags {
    /// Directory of configuration files, one option a file, read after the standard places
    #[arg(long, value_name = "DIRECTORY")]
    pub config_dir: Option<String>,
    /// Address of the gRPC server: `unix:///PATH`; or HOST:PORT, encrypted, or without certificate on the loopback interface; empty for none
    #[arg(long, value_name = "ADDRESS")]
    pub server_address: Option<String>,
    /// PEM file with the certificate for HOST:PORT; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub server_tls_cert_file: Option<String>,
    /// PEM file with the key of that certificate
    #[arg(long, value_name = "FILE")]
    pub server_tls_key_file: Option<String>,
    /// PEM files, between commas, with the authorities that clients' certificates must come from
    #[arg(long, value_name = "FILES")]
    pub server_tls_client_ca_files: Option<String>,
    /// Let only clients with a certificate in [default: true, if there are authorities for them]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub server_tls_require_client_cert: Option<bool>,
    /// Address of the gRPC health service, HOST:PORT; empty for none [default: :6789]
    #[arg(long, value_name = "ADDRESS")]
    pub health_server_address: Option<String>,
    /// Seconds between two looks at whether the daemon lives [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub health_server_interval: Option<u64>,
    /// File with a policy to load at start; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub tracing_policy: Option<Vec<String>>,
    /// Directory with policies to load at start [default: /etc/tetragon/tetragon.tp.d]
    #[arg(long, value_name = "DIRECTORY")]
    pub tracing_policy_dir: Option<String>,
    /// Keep the policies that clients add, and load them again at start
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub persist_grpc_policies: Option<bool>,
    /// Directory to keep them in, private to root [default: /var/run/tetragon/grpc-policies]
    #[arg(long, value_name = "DIRECTORY")]
    pub persist_grpc_policies_dir: Option<String>,
    /// File to write events to as JSON lines; - for standard output, empty for none
    #[arg(long, value_name = "FILE")]
    pub export_filename: Option<String>,
    /// How events look in the export file: tetragon, ecs (Elastic Common Schema) or ocsf (Open Cybersecurity Schema Framework) [default: tetragon]
    #[arg(long, value_name = "FORMAT")]
    pub export_format: Option<String>,
    /// Access mode of the export file, in octal [default: 600]
    #[arg(long, value_name = "MODE")]
    pub export_file_perm: Option<String>,
    /// Size in MiB at which a new export file is begun; 0 for 100 [default: 10]
    #[arg(long, value_name = "MIB")]
    pub export_file_max_size_mb: Option<u64>,
    /// Time after which a new export file is begun, such as 24h; 0 for never [default: 0]
    #[arg(long, value_name = "DURATION")]
    pub export_file_rotation_interval: Option<String>,
    /// Export files to keep besides the current one; 0 for all [default: 5]
    #[arg(long, value_name = "COUNT")]
    pub export_file_max_backups: Option<usize>,
    /// Compress export files that are not written to any more, with gzip
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub export_file_compress: Option<bool>,
    /// OpenTelemetry collector to send events to as logs (OTLP): `http://HOST:PORT` or `https://HOST:PORT`; empty for none
    #[arg(long, value_name = "URL")]
    pub export_otlp_endpoint: Option<String>,
    /// How to speak to it: grpc or http/protobuf [default: grpc]
    #[arg(long, value_name = "PROTOCOL")]
    pub export_otlp_protocol: Option<String>,
    /// How to make what is sent to it smaller: none or gzip [default: none]
    #[arg(long, value_name = "COMPRESSION")]
    pub export_otlp_compression: Option<String>,
    /// Headers to send to it: NAME=VALUE, with commas between, and %2C for a comma in a value
    #[arg(long, value_name = "HEADERS")]
    pub export_otlp_headers: Option<String>,
    /// PEM file with the authorities that its certificate must come from [default: those of the machine]
    #[arg(long, value_name = "FILE")]
    pub export_otlp_ca_file: Option<String>,
    /// PEM file with the certificate to show it
    #[arg(long, value_name = "FILE")]
    pub export_otlp_cert_file: Option<String>,
    /// PEM file with the private key of that certificate
    #[arg(long, value_name = "FILE")]
    pub export_otlp_key_file: Option<String>,
    /// How long its answer may take [default: 10s]
    #[arg(long, value_name = "DURATION")]
    pub export_otlp_timeout: Option<String>,
    /// How events look in the bodies of the logs: tetragon, ecs or ocsf [default: tetragon]
    #[arg(long, value_name = "FORMAT")]
    pub export_otlp_format: Option<String>,
    /// Which events to export: filters as JSON objects, one after the other; any must match; empty for all
    #[arg(long, value_name = "FILTERS")]
    pub export_allowlist: Option<String>,
    /// Which events not to export: filters as JSON objects, one after the other; none may match
    #[arg(long, value_name = "FILTERS")]
    pub export_denylist: Option<String>,
    /// Which fields of events to export: field filters as JSON objects, one after the other
    #[arg(long, value_name = "FILTERS")]
    pub field_filters: Option<String>,
    /// What to take out of the arguments of processes, for good: redaction filters as JSON objects, one after the other
    #[arg(long, value_name = "FILTERS")]
    pub redaction_filters: Option<String>,
    /// Events to export a minute at most; -1 for all, 0 for no export [default: -1]
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub export_rate_limit: Option<i64>,
    /// Export events of hooks that say the same as one, with their number
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_export_aggregation: Option<bool>,
    /// How long such events are gathered before they are exported [default: 15s]
    #[arg(long, value_name = "DURATION")]
    pub export_aggregation_window_size: Option<String>,
    /// How many such events are held at most [default: 10000]
    #[arg(long, value_name = "COUNT")]
    pub export_aggregation_buffer_size: Option<usize>,
    /// Take `pid_set` in the filters of the export
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_pid_set_filter: Option<bool>,
    /// Show the credentials of processes in events
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_process_cred: Option<bool>,
    /// Show the namespaces of processes in events
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_process_ns: Option<bool>,
    /// Show the addresses of stack frames in events
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub expose_stack_addresses: Option<bool>,
    /// Show the ancestors of processes in events of these kinds: base, kprobe, tracepoint, loader, uprobe, lsm, usdt
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub enable_ancestors: Option<Vec<String>>,
    /// Show the environment variables of processes in events
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_process_environment_variables: Option<bool>,
    /// Of the environment variables show only these
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub filter_environment_variables: Option<Vec<String>>,
    /// Show the names of the host's users in events: unix or disabled [default: disabled]
    #[arg(long, value_name = "WHERE")]
    pub username_metadata: Option<String>,
    /// Size of the event ring for each CPU, with K, M or G
    #[arg(long, value_name = "SIZE")]
    pub rb_size: Option<String>,
    /// Size of the event ring in all, with K, M or G [default: 1M]
    #[arg(long, value_name = "SIZE")]
    pub rb_size_total: Option<String>,
    /// Processes to remember in the daemon [default: 65536]
    #[arg(long, value_name = "COUNT")]
    pub process_cache_size: Option<usize>,
    /// Time between two steps of forgetting ended processes; two it takes [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub process_cache_gc_interval: Option<String>,
    /// Long values, such as arguments, that may be incomplete at a time [default: 1024]
    #[arg(long, value_name = "COUNT")]
    pub data_cache_size: Option<usize>,
    /// Processes to remember in the kernel [default: 32768]
    #[arg(long, value_name = "COUNT")]
    pub execve_map_entries: Option<u32>,
    /// Calls to remember in the daemon until they return [default: 4096]
    #[arg(long, value_name = "COUNT")]
    pub retprobes_cache_size: Option<usize>,
    /// Events that wait for a slow listener before some are dropped [default: 10000]
    #[arg(long, value_name = "COUNT")]
    pub event_queue_size: Option<usize>,
    /// Withhold execs and exits of a cgroup that has more forks, execs and exits on a CPU than EVENTS in INTERVAL, such as 1000,1s; empty for never
    #[arg(long, value_name = "EVENTS,INTERVAL")]
    pub cgroup_rate: Option<String>,
    /// Where the host's proc file system is mounted [default: /proc]
    #[arg(long, value_name = "DIRECTORY")]
    pub procfs: Option<String>,
    /// File with the kernel's BTF [default: /sys/kernel/btf/vmlinux]
    #[arg(long, value_name = "FILE")]
    pub btf: Option<String>,
    /// Name of the cluster to show in events
    #[arg(long, value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// Make the requests (HTTP, DNS) that policies ask for
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub allow_policy_requests: Option<bool>,
    /// DNS server that is asked for policies [default: 1.1.1.1:53]
    #[arg(long, value_name = "ADDRESS")]
    pub policy_resolver: Option<String>,
    /// How much to log: trace, debug, info, warning, error [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How to log: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// File to log to as well
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<String>,
    /// Log debug messages, whatever --log-level says
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub debug: Option<bool>,
    /// Address of the metrics server, HOST:PORT; empty for none
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_server: Option<String>,
    /// Count events by program and policy in the metrics [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_event_metrics: Option<bool>,
    /// Labels of these counts that are filled [default: namespace,workload,pod,binary]
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    pub metrics_label_filter: Option<Vec<String>>,
    /// Measure how long each record takes, for the metrics
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub enable_msg_handling_latency: Option<bool>,
    /// Directory under the BPF file system, for what stays there when the daemon ends [default: tetragon]
    #[arg(long, value_name = "NAME")]
    pub bpf_dir: Option<String>,
    /// Leave policies and all programs running in the kernel when the daemon ends, until the next one has taken over
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = boolean)]
    pub keep_sensors_on_exit: Option<bool>,
    /// Directory of the socket, the pid file and tetragon-info.json [default: /var/run/tetragon]
    #[arg(long, value_name = "DIRECTORY")]
    pub run_dir: Option<String>,
}

impl Flags {
    /// What is set here, and for the rest what is set in `under`.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a line for each option")]
    pub fn over(self, under: Self) -> Self {
        Self {
            config_dir: self.config_dir.or(under.config_dir),
            server_address: self.server_address.or(under.server_address),
            server_tls_cert_file: self.server_tls_cert_file.or(under.server_tls_cert_file),
            server_tls_key_file: self.server_tls_key_file.or(under.server_tls_key_file),
            server_tls_client_ca_files: self.server_tls_client_ca_files.or(under.server_tls_client_ca_files),
            server_tls_require_client_cert: self
                .server_tls_require_client_cert
                .or(under.server_tls_require_client_cert),
            health_server_address: self.health_server_address.or(under.health_server_address),
            health_server_interval: self.health_server_interval.or(under.health_server_interval),
            tracing_policy: self.tracing_policy.or(under.tracing_policy),
            tracing_policy_dir: self.tracing_policy_dir.or(under.tracing_policy_dir),
            persist_grpc_policies: self.persist_grpc_policies.or(under.persist_grpc_policies),
            persist_grpc_policies_dir: self.persist_grpc_policies_dir.or(under.persist_grpc_policies_dir),
            export_filename: self.export_filename.or(under.export_filename),
            export_format: self.export_format.or(under.export_format),
            export_file_perm: self.export_file_perm.or(under.export_file_perm),
            export_file_max_size_mb: self.export_file_max_size_mb.or(under.export_file_max_size_mb),
            export_file_rotation_interval: self
                .export_file_rotation_interval
                .or(under.export_file_rotation_interval),
            export_file_max_backups: self.export_file_max_backups.or(under.export_file_max_backups),
            export_file_compress: self.export_file_compress.or(under.export_file_compress),
            export_otlp_endpoint: self.export_otlp_endpoint.or(under.export_otlp_endpoint),
            export_otlp_protocol: self.export_otlp_protocol.or(under.export_otlp_protocol),
            export_otlp_compression: self.export_otlp_compression.or(under.export_otlp_compression),
            export_otlp_headers: self.export_otlp_headers.or(under.export_otlp_headers),
            export_otlp_ca_file: self.export_otlp_ca_file.or(under.export_otlp_ca_file),
            export_otlp_cert_file: self.export_otlp_cert_file.or(under.export_otlp_cert_file),
            export_otlp_key_file: self.export_otlp_key_file.or(under.export_otlp_key_file),
            export_otlp_timeout: self.export_otlp_timeout.or(under.export_otlp_timeout),
            export_otlp_format: self.export_otlp_format.or(under.export_otlp_format),
            export_allowlist: self.export_allowlist.or(under.export_allowlist),
            export_denylist: self.export_denylist.or(under.export_denylist),
            field_filters: self.field_filters.or(under.field_filters),
            redaction_filters: self.redaction_filters.or(under.redaction_filters),
            export_rate_limit: self.export_rate_limit.or(under.export_rate_limit),
            enable_export_aggregation: self.enable_export_aggregation.or(under.enable_export_aggregation),
            export_aggregation_window_size: self
                .export_aggregation_window_size
                .or(under.export_aggregation_window_size),
            export_aggregation_buffer_size: self
                .export_aggregation_buffer_size
                .or(under.export_aggregation_buffer_size),
            enable_pid_set_filter: self.enable_pid_set_filter.or(under.enable_pid_set_filter),
            enable_process_cred: self.enable_process_cred.or(under.enable_process_cred),
            enable_process_ns: self.enable_process_ns.or(under.enable_process_ns),
            expose_stack_addresses: self.expose_stack_addresses.or(under.expose_stack_addresses),
            enable_ancestors: self.enable_ancestors.or(under.enable_ancestors),
            enable_process_environment_variables: self
                .enable_process_environment_variables
                .or(under.enable_process_environment_variables),
            filter_environment_variables: self
                .filter_environment_variables
                .or(under.filter_environment_variables),
            username_metadata: self.username_metadata.or(under.username_metadata),
            rb_size: self.rb_size.or(under.rb_size),
            rb_size_total: self.rb_size_total.or(under.rb_size_total),
            process_cache_size: self.process_cache_size.or(under.process_cache_size),
            process_cache_gc_interval: self.process_cache_gc_interval.or(under.process_cache_gc_interval),
            data_cache_size: self.data_cache_size.or(under.data_cache_size),
            execve_map_entries: self.execve_map_entries.or(under.execve_map_entries),
            retprobes_cache_size: self.retprobes_cache_size.or(under.retprobes_cache_size),
            event_queue_size: self.event_queue_size.or(under.event_queue_size),
            cgroup_rate: self.cgroup_rate.or(under.cgroup_rate),
            procfs: self.procfs.or(under.procfs),
            btf: self.btf.or(under.btf),
            cluster_name: self.cluster_name.or(under.cluster_name),
            allow_policy_requests: self.allow_policy_requests.or(under.allow_policy_requests),
            policy_resolver: self.policy_resolver.or(under.policy_resolver),
            log_level: self.log_level.or(under.log_level),
            log_format: self.log_format.or(under.log_format),
            log_file: self.log_file.or(under.log_file),
            debug: self.debug.or(under.debug),
            metrics_server: self.metrics_server.or(under.metrics_server),
            enable_event_metrics: self.enable_event_metrics.or(under.enable_event_metrics),
            metrics_label_filter: self.metrics_label_filter.or(under.metrics_label_filter),
            enable_msg_handling_latency: self
                .enable_msg_handling_latency
                .or(under.enable_msg_handling_latency),
            bpf_dir: self.bpf_dir.or(under.bpf_dir),
            keep_sensors_on_exit: self.keep_sensors_on_exit.or(under.keep_sensors_on_exit),
            run_dir: self.run_dir.or(under.run_dir),
        }
    }

    /// The names of all options, without dashes.
    pub fn names() -> Vec<String> {
        let command = Self::command();
        command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
    }

    /// The options that `values` sets, read as the command line would be.
    ///
    /// # Errors
    /// The message of the option whose value is wrong. A name that is no option is the caller's matter: see [`Flags::names`].
    pub fn from_values<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let arguments = values.into_iter().map(|(name, value)| format!("--{name}={value}"));
        Self::try_parse_from(std::iter::once("enforcer".to_owned()).chain(arguments)).map_err(|error| {
            error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
    }
}

/// Reads what Go's `strconv.ParseBool` reads.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Flags {
        Flags::try_parse_from(std::iter::once("enforcer").chain(arguments.iter().copied())).unwrap()
    }

    #[test]
    fn the_command_is_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_boolean_needs_no_value_and_takes_one_behind_an_equals_sign() {
        assert_eq!(parse(&["--enable-process-cred"]).enable_process_cred, Some(true));
        assert_eq!(parse(&["--enable-process-cred=false"]).enable_process_cred, Some(false));
        assert_eq!(parse(&["-d"]).debug, Some(true));
        assert_eq!(parse(&[]).debug, None);
    }

    #[test]
    fn a_higher_layer_hides_a_lower_one_and_lets_the_rest_through() {
        let low = parse(&["--rb-size=64K", "--tracing-policy=a", "--tracing-policy=b"]);
        let high = parse(&["--rb-size=1M"]);
        let both = high.over(low);
        assert_eq!(both.rb_size.as_deref(), Some("1M"));
        assert_eq!(both.tracing_policy.unwrap().len(), 2);
    }

    #[test]
    fn the_last_of_an_option_wins_and_policies_add_up() {
        let flags = parse(&["--rb-size=1", "--rb-size", "2", "--tracing-policy", "a", "--tracing-policy=b"]);
        assert_eq!(flags.rb_size.as_deref(), Some("2"));
        assert_eq!(flags.tracing_policy.unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = Flags::from_values([("process-cache-size", "many")]).unwrap_err();
        assert!(error.contains("many") && error.contains("process-cache-size"), "{error}");
        assert!(!error.contains("error:"), "{error}");
    }

    #[test]
    fn a_value_that_looks_like_an_option_stays_a_value() {
        let flags = Flags::from_values([("cluster-name", "--debug")]).unwrap();
        assert_eq!(flags.cluster_name.as_deref(), Some("--debug"));
        assert_eq!(flags.debug, None);
    }
}
