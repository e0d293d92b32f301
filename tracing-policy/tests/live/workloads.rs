//! Workloads on the running kernel: a cgroup of the test's own stands for a container.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use bpf_probes::load::probe::{ProbeOptions, kernel_view};

use crate::acts::secret;
use crate::running::{Running, resolve};

/// Cgroups of this test, one in the other; gone when dropped.
struct Nested {
    outer: PathBuf,
    inner: PathBuf,
}

impl Nested {
    fn make() -> Self {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (place, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(place))
        });
        let outer = root.unwrap().join(format!("enforcer-test-{}", std::process::id()));
        let inner = outer.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        Self { outer, inner }
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        for folder in [&self.inner, &self.outer] {
            // a process that has ended leaves its cgroup a little later
            let gone = (0..200).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                std::fs::remove_dir(folder).is_ok()
            });
            assert!(gone, "{} stays", folder.display());
        }
    }
}

// proves: SEL-13 (live)
#[test]
fn root_a_process_belongs_to_the_container_whose_cgroup_it_is_below() {
    let kernel = kernel_view(&ProbeOptions::default()).unwrap();
    let (_dir, path) = secret("scoped");
    let shown = path.to_str().unwrap();
    let text = |scope: &str| {
        format!(
            "{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: p}}, spec: {{{scope}, kprobes: [{{call: sys_openat, args: [{{index: 1, type: string}}], selectors: [{{matchArgs: [{{index: 1, operator: Equal, values: ['{shown}']}}]}}]}}]}}}}"
        )
    };
    let texts = [text("hostSelector: {}"), text("podSelector: {matchLabels: {app: web}}")];
    let policies: Vec<_> = texts.iter().map(|text| resolve(text, &kernel)).collect();
    let mut running = Running::start(&policies, &kernel);
    let nested = Nested::make();
    running.put_workload(std::fs::metadata(&nested.outer).unwrap().ino(), 1, 1);
    let mut reporters =
        || -> Vec<u32> { running.reports().iter().map(|report| report.record.layout - 100).collect() };
    drop(std::fs::File::open(&path).unwrap());
    assert_eq!(reporters(), [0], "the test itself is in no container");
    for folder in [&nested.outer, &nested.inner] {
        let script = format!("echo $$ > {}/cgroup.procs && exec cat {shown}", folder.display());
        assert!(
            Command::new("sh")
                .args(["-c", &script])
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(reporters(), [1], "{}", folder.display());
    }
}
