//! Containers that a runtime's hook tells of.

use std::fs;
use std::path::{Path, PathBuf};

use api::wire::{CreateContainer, RuntimeHookRequest, runtime_hook_request::Event};
use tonic::Code;

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{add, list, of_path, openat_policy};

/// A cgroup of version 2; removed when dropped, when nobody is in it.
struct Cgroup {
    directory: PathBuf,
    name: String,
}

impl Cgroup {
    /// None where this machine has no hierarchy of version 2.
    fn make() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let name = format!("enforcer-test-{}", std::process::id());
        let directory = Path::new(mount.split(' ').nth(1)?).join(&name);
        fs::create_dir(&directory).unwrap();
        Some(Self { directory, name })
    }

    fn take(&self, child: &Waiting) {
        fs::write(self.directory.join("cgroup.procs"), child.child.id().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        wait_until("the cgroup is removed", || {
            fs::remove_dir(&self.directory).is_ok() || !self.directory.exists()
        });
    }
}

fn tell(instance: &Instance, container: CreateContainer) -> Result<(), tonic::Status> {
    let (runtime, mut client) = instance.client();
    let request = RuntimeHookRequest { event: Some(Event::CreateContainer(container)) };
    runtime.block_on(client.runtime_hook(request)).map(drop)
}

fn container(cgroup: &str) -> CreateContainer {
    CreateContainer {
        cgroups_path: cgroup.to_owned(),
        container_name: "cart".to_owned(),
        container_image: "registry/cart:1".to_owned(),
        pod_name: "shop-1".to_owned(),
        pod_namespace: "shop".to_owned(),
        ..CreateContainer::default()
    }
}

// proves: API-07, API-01
#[test]
fn root_a_container_that_a_runtime_tells_of_is_its_pods_for_policies() {
    let cgroup = Cgroup::make().unwrap();
    let instance = Instance::start(&[]);
    let file = instance.directory.path().join("read");
    fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let scoped = |name: &str, scope: &str| {
        openat_policy(name, &of_path(&path)).replace("spec:\n", &format!("spec:\n  {scope}\n"))
    };
    for (cgroup, code) in [("/nobody", Code::NotFound), ("/../x", Code::InvalidArgument)] {
        assert_eq!(tell(&instance, container(cgroup)).unwrap_err().code(), code, "{cgroup}");
    }
    let outside = CreateContainer { pod_namespace: String::new(), ..container("/nobody") };
    tell(&instance, outside).unwrap();
    let (inside, elsewhere) =
        (Waiting::start(&format!(": < {path}")), Waiting::start(&format!(": < {path}; : < {path}")));
    cgroup.take(&inside);
    tell(&instance, container(&format!("/{}", cgroup.name))).unwrap();
    let cart = "containerSelector: {matchLabels: {name: cart, repo: registry/cart}}";
    add(&instance, scoped("cart", &format!("podSelector: {{}}\n  {cart}"))).unwrap();
    add(&instance, scoped("other", "podSelector: {}\n  containerSelector: {matchLabels: {name: other}}"))
        .unwrap();
    add(&instance, scoped("host", "hostSelector: {}")).unwrap();
    assert!(inside.go().1.success());
    assert!(elsewhere.go().1.success());
    let posts = || -> Vec<(String, u64)> {
        let policies = list(&instance).into_iter();
        let mut found: Vec<_> = policies
            .map(|it| (it.name, it.stats.and_then(|stats| stats.action_counters).map_or(0, |it| it.post)))
            .collect();
        found.sort();
        found
    };
    let expected = [("cart", 1), ("host", 2), ("other", 0)].map(|(name, count)| (name.to_owned(), count));
    wait_until("each open is its container's or the host's", || posts() == expected);

    // A container that is gone is forgotten when the next one comes.
    drop(cgroup);
    let next = Cgroup::make().unwrap();
    tell(&instance, container(&format!("/{}", next.name))).unwrap();
}
