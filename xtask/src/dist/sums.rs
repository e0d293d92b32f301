//! Checksums of what is published, and their signature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Name of the file with the checksums: what `sha256sum --check` reads.
const SUMS: &str = "SHA256SUMS";

/// Writes the checksums of `files`, which are in `folder`, into a file beside them.
///
/// # Errors
/// When a file cannot be read or the list not be written.
pub(super) fn sum(folder: &Path, files: &[&str]) -> Result<PathBuf> {
    let output =
        Command::new("sha256sum").arg("--").args(files).current_dir(folder).output().context("sha256sum")?;
    if !output.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = folder.join(SUMS);
    fs::write(&path, output.stdout).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Signs a file with a private key in PEM (ECDSA P-256, as cosign has them unencrypted): `FILE.sig` in base64, which `cosign verify-blob --key` and openssl check.
///
/// # Errors
/// When openssl is not there or does not take the key.
pub(super) fn sign(file: &Path, key: &Path) -> Result<PathBuf> {
    let binary = tempfile::NamedTempFile::new()?;
    let mut sign = Command::new("openssl");
    sign.args(["dgst", "-sha256", "-sign"]).arg(key).arg("-out").arg(binary.path()).arg(file);
    openssl(&mut sign)?;
    let signature = file.with_extension("sig");
    let mut encode = Command::new("openssl");
    encode.args(["base64", "-A", "-in"]).arg(binary.path()).arg("-out").arg(&signature);
    openssl(&mut encode)?;
    Ok(signature)
}

fn openssl(command: &mut Command) -> Result<()> {
    let output = command.output().context("openssl: install it to sign")?;
    if !output.status.success() {
        bail!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn run(folder: &Path, words: &[&str]) -> bool {
        Command::new(words[0]).args(&words[1..]).current_dir(folder).output().unwrap().status.success()
    }

    // proves: INST-04 (signature)
    #[test]
    fn what_was_changed_after_it_was_signed_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let key = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key"];
        assert!(run(folder, &key));
        assert!(run(folder, &["openssl", "ec", "-in", "key", "-pubout", "-out", "public"]));
        fs::write(folder.join("a"), "a").unwrap();
        fs::write(folder.join("b"), "b").unwrap();
        let sums = sum(folder, &["a", "b"]).unwrap();
        assert_eq!(sign(&sums, &folder.join("key")).unwrap(), folder.join("SHA256SUMS.sig"));
        assert!(run(folder, &["openssl", "base64", "-A", "-d", "-in", "SHA256SUMS.sig", "-out", "binary"]));
        let check = ["openssl", "dgst", "-sha256", "-verify", "public", "-signature", "binary", "SHA256SUMS"];
        assert!(run(folder, &check) && run(folder, &["sha256sum", "--check", "--strict", "SHA256SUMS"]));
        fs::write(folder.join("b"), "c").unwrap();
        assert!(!run(folder, &["sha256sum", "--check", "--strict", "SHA256SUMS"]));
        sum(folder, &["a", "b"]).unwrap();
        assert!(!run(folder, &check));
        assert!(sign(&sums, &folder.join("a")).unwrap_err().to_string().starts_with("openssl: "));
    }
}
