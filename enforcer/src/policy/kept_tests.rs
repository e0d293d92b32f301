#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::sys::stat::Mode as Permission;
use tempfile::TempDir;

use super::*;

fn identity(name: &str, domain: &str) -> Identity {
    Identity { namespace: "ns".to_owned(), name: name.to_owned(), domain: domain.to_owned() }
}

fn definition(text: &str, enabled: bool, mode: Option<Mode>) -> Definition {
    Definition { source: SourceText::new("x", text), enabled, mode }
}

fn kept() -> (TempDir, KeptPolicies) {
    let directory = tempfile::tempdir().unwrap();
    let kept = KeptPolicies::open(&directory.path().join("kept")).unwrap();
    (directory, kept)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

// proves: SEC-06, API-14 (files)
#[test]
fn what_is_kept_is_private_and_reads_as_it_was_written() {
    let (_directory, kept) = kept();
    let text = "name: \"x\"\n\t\u{1f600}\n";
    let cases = [
        (identity("p", "grpc"), definition(text, true, Some(Mode::Enforce))),
        (identity("p", "other"), definition("", false, Some(Mode::Monitor))),
        (identity("q.r-1", "../a/b:c%\0é"), definition("a", true, Some(Mode::MonitorOnly))),
        (identity("r", "grpc"), definition("a", true, None)),
    ];
    for (identity, definition) in &cases {
        kept.write(identity, definition).unwrap();
        assert_eq!(mode(&kept.path(identity).unwrap()), 0o600);
    }
    assert_eq!(mode(&kept.directory), 0o700);
    assert!(kept.directory.join("p:ns:grpc.json").exists(), "upstream's name");
    let found = kept.read().unwrap();
    assert_eq!(found.len(), cases.len(), "nothing is left beside them, and nothing is elsewhere");
    for (found, (identity, definition)) in found.into_iter().zip(&cases) {
        let (of, what) = found.read.unwrap();
        assert_eq!((&of, what.source.text()), (identity, definition.source.text()));
        assert_eq!((what.enabled, what.mode), (definition.enabled, definition.mode));
    }
    kept.write(&cases[0].0, &cases[1].1).unwrap();
    assert!(!kept.read().unwrap()[0].read.as_ref().unwrap().1.enabled, "the new one is in its place");
    kept.erase(&cases[0].0).unwrap();
    kept.erase(&cases[0].0).unwrap();
    assert_eq!(kept.read().unwrap().len(), cases.len() - 1);
}

#[test]
fn a_file_of_upstream_is_read_and_has_the_mode_of_its_text() {
    let (_directory, kept) = kept();
    write_new(&kept.directory.join("p::grpc.json"), br#"{"yaml":"p f","enabled":false}"#).unwrap();
    let (identity, definition) = kept.read().unwrap().remove(0).read.unwrap();
    assert_eq!((&*identity.name, &*identity.namespace, &*identity.domain), ("p", "", "grpc"));
    assert_eq!((definition.source.text(), definition.enabled, definition.mode), ("p f", false, None));
}

// proves: API-14 (foreign files)
#[test]
fn a_file_that_is_not_ours_is_told_and_the_others_are_read() {
    let (_directory, kept) = kept();
    kept.write(&identity("good", "grpc"), &definition("a", true, None)).unwrap();
    let at = |name: &str| kept.directory.join(format!("{name}::grpc.json"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, content) in [
        ("empty", ""),
        ("text", "yaml"),
        ("deep", &*deep),
        ("no-yaml", r#"{"enabled":true}"#),
        ("no-enabled", r#"{"yaml":"a"}"#),
        ("odd-mode", r#"{"yaml":"a","enabled":true,"mode":"loud"}"#),
        ("open", r#"{"yaml":"a","enabled":true}"#),
    ] {
        write_new(&at(name), content.as_bytes()).unwrap();
    }
    fs::set_permissions(at("open"), Permissions::from_mode(0o620)).unwrap();
    write_new(&at("large"), b"").unwrap();
    OpenOptions::new().write(true).open(at("large")).unwrap().set_len(MAX_FILE as u64 + 1).unwrap();
    symlink(at("good"), at("link")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), Permission::S_IRWXU).unwrap();
    for name in ["x.json", "a:b:c:d.json", "::grpc.json", "a::%4.json", "a::%ff.json", "readme"] {
        write_new(&kept.directory.join(name), br#"{"yaml":"a","enabled":true}"#).unwrap();
    }
    write_new(&kept.directory.join("cut::grpc.json.tmp"), b"{").unwrap();
    let found = kept.read().unwrap();
    assert_eq!(found.iter().filter(|found| found.read.is_ok()).count(), 1);
    let why = |path: &Path| {
        let found = found.iter().find(|found| found.path == path).unwrap();
        found.read.as_ref().unwrap_err().to_string()
    };
    for (name, expected) in [
        ("empty", "no JSON"),
        ("text", "no JSON"),
        ("deep", "recursion limit"),
        ("no-yaml", "`yaml`"),
        ("no-enabled", "`enabled`"),
        ("odd-mode", "`mode`"),
        ("open", "mode 620"),
        ("large", "larger"),
        ("link", "no regular file"),
        ("directory", "no regular file"),
        ("pipe", "no regular file"),
    ] {
        assert!(why(&at(name)).contains(expected), "{name}: {}", why(&at(name)));
    }
    for name in ["x.json", "a:b:c:d.json", "::grpc.json", "a::%4.json", "a::%ff.json", "readme"] {
        assert!(why(&kept.directory.join(name)).contains("NAME:NAMESPACE:DOMAIN"), "{name}");
    }
    assert!(!kept.directory.join("cut::grpc.json.tmp").exists());
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_written() {
    let (_directory, kept) = kept();
    let long = identity("p", &"d".repeat(250));
    let error = kept.write(&long, &definition("a", true, None)).unwrap_err();
    assert!(matches!(error, KeptError::Name { length: 264 }), "{error}");
    // Each of these becomes six bytes.
    let text = "\u{1}".repeat(MAX_FILE / 6 + 1);
    let error = kept.write(&identity("p", "grpc"), &definition(&text, true, None)).unwrap_err();
    assert!(matches!(error, KeptError::Size { .. }), "{error}");
    assert!(kept.read().unwrap().is_empty());
}

// proves: SEC-06
#[test]
fn a_directory_that_others_can_write_to_is_refused_and_one_they_can_read_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    KeptPolicies::open(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    KeptPolicies::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    for open in [0o770, 0o702] {
        fs::set_permissions(&path, Permissions::from_mode(open)).unwrap();
        let error = KeptPolicies::open(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("mode {open:o}")), "{error}");
    }
    fs::write(directory.path().join("file"), "").unwrap();
    assert!(matches!(KeptPolicies::open(&directory.path().join("file")), Err(KeptError::Directory { .. })));
    symlink(&path, directory.path().join("link")).unwrap();
    assert!(matches!(KeptPolicies::open(&directory.path().join("link")), Err(KeptError::Directory { .. })));
}

// proves: SEC-06
#[test]
fn root_what_belongs_to_another_user_is_refused() {
    let (_directory, kept) = kept();
    kept.write(&identity("p", "grpc"), &definition("a", true, None)).unwrap();
    let file = kept.path(&identity("p", "grpc")).unwrap();
    std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
    let error = kept.read().unwrap().remove(0).read.unwrap_err();
    assert!(error.to_string().contains("user 65534"), "{error}");
    std::os::unix::fs::chown(&kept.directory, Some(65_534), None).unwrap();
    let error = KeptPolicies::open(&kept.directory).unwrap_err();
    assert!(error.to_string().contains("user 65534"), "{error}");
}
