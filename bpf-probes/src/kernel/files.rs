//! A view as a folder of small files: what a bug report carries and tests run on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::feature::{FeatureSet, FeatureTextError};
use super::lsm::ActiveLsms;
use super::namespace::HostNamespaces;
use super::preemption::Preemption;
use super::symbols::Symbols;
use super::view::{KernelFacts, KernelView};
use crate::btf::{Btf, ParseError};

const RELEASE: &str = "release";
const VERSION: &str = "version";
const BTF: &str = "btf";
const FEATURES: &str = "features";
const FUNCTIONS: &str = "functions";
const TRACEABLE: &str = "traceable";
const ERROR_INJECTABLE: &str = "error_injectable";
const LSMS: &str = "lsm";
const PREEMPTION: &str = "preemption";
const NAMESPACES: &str = "namespaces";

/// Why saved facts cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadViewError {
    /// A file that must be there is missing.
    #[error("the saved kernel has no file {name:?}")]
    Missing {
        /// Name of the file.
        name: &'static str,
    },
    /// A file of text is not UTF-8.
    #[error("file {name:?} of the saved kernel is not text")]
    NotText {
        /// Name of the file.
        name: &'static str,
    },
    /// The types cannot be read.
    #[error("types of the saved kernel: {0}")]
    Btf(#[from] ParseError),
    /// The features cannot be read.
    #[error("features of the saved kernel: {0}")]
    Features(#[from] FeatureTextError),
    /// The preemption model is no known word.
    #[error("preemption model {model:?} of the saved kernel is unknown")]
    Preemption {
        /// What the file says.
        model: String,
    },
}

impl KernelView {
    /// The view as files: name and content. Modules are not among them.
    pub fn to_files(&self) -> BTreeMap<&'static str, Vec<u8>> {
        let facts = self.facts();
        let line = |text: &str| format!("{}\n", text.trim_end()).into_bytes();
        let mut files = BTreeMap::from([
            (RELEASE, line(&facts.release)),
            (VERSION, line(&facts.version)),
            (BTF, self.btf().bytes().to_vec()),
            (FEATURES, facts.features.to_text().into_bytes()),
            (FUNCTIONS, facts.functions.as_text().as_bytes().to_vec()),
            (PREEMPTION, line(facts.preemption.name())),
        ]);
        if let Some(list) = &facts.traceable {
            files.insert(TRACEABLE, list.as_text().as_bytes().to_vec());
        }
        if let Some(list) = &facts.error_injectable {
            files.insert(ERROR_INJECTABLE, list.as_text().as_bytes().to_vec());
        }
        if let Some(active) = &facts.lsms {
            files.insert(LSMS, line(&active.to_text()));
        }
        if facts.namespaces != HostNamespaces::default() {
            files.insert(NAMESPACES, facts.namespaces.to_text().into_bytes());
        }
        files
    }

    /// Reads what [`KernelView::to_files`] wrote; `read` gives a file's content, or `None` where there is no such file.
    /// `release`, `btf`, `features` and `preemption` must be there.
    ///
    /// # Errors
    /// [`ReadViewError`], with the file.
    pub fn from_files(mut read: impl FnMut(&str) -> Option<Vec<u8>>) -> Result<Self, ReadViewError> {
        let mut text = |name: &'static str| match read(name).map(String::from_utf8) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_not_utf8)) => Err(ReadViewError::NotText { name }),
        };
        let must = |name, found: Option<String>| found.ok_or(ReadViewError::Missing { name });
        let release = must(RELEASE, text(RELEASE)?)?.trim().to_owned();
        let version = text(VERSION)?.unwrap_or_default().trim().to_owned();
        let features = FeatureSet::from_text(&must(FEATURES, text(FEATURES)?)?)?;
        let model = must(PREEMPTION, text(PREEMPTION)?)?.trim().to_owned();
        let preemption = Preemption::named(&model).ok_or(ReadViewError::Preemption { model })?;
        let mut names =
            |name| Ok::<_, ReadViewError>(text(name)?.map(|list| Symbols::from_list(list.as_bytes())));
        let functions = names(FUNCTIONS)?.unwrap_or_default();
        let traceable = names(TRACEABLE)?;
        let error_injectable = names(ERROR_INJECTABLE)?;
        let lsms = text(LSMS)?.map(|list| ActiveLsms::parse(&list));
        let namespaces =
            text(NAMESPACES)?.map_or_else(HostNamespaces::default, |text| HostNamespaces::parse(&text));
        let btf = read(BTF).ok_or(ReadViewError::Missing { name: BTF })?;
        let btf = Arc::new(Btf::parse(btf.into())?);
        let facts = KernelFacts {
            release,
            version,
            features,
            functions,
            traceable,
            error_injectable,
            lsms,
            preemption,
            namespaces,
        };
        Ok(Self::new(facts, btf))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::kernel::recorded;

    fn read_back(files: &BTreeMap<&'static str, Vec<u8>>) -> Result<KernelView, ReadViewError> {
        KernelView::from_files(|name| files.get(name).cloned())
    }

    #[test]
    fn a_view_survives_writing_and_reading() {
        for folder in ["5.10", "6.1", "6.12", "6.18", "7.2"] {
            let kernel = recorded(folder).changed(|facts| {
                facts.error_injectable = Some(Symbols::from_names(["vfs_open"]));
                facts.namespaces = HostNamespaces::parse("pid 4026531836\n");
            });
            let (files, facts) = (kernel.to_files(), kernel.facts());
            let read = read_back(&files).unwrap();
            assert_eq!(read.to_files(), files);
            assert_eq!((&read.facts().lsms, &read.facts().features), (&facts.lsms, &facts.features));
            assert_eq!(read.facts().namespaces, facts.namespaces);
            assert_eq!(read.is_error_injectable("vfs_open"), Some(true));
        }
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let files = recorded("6.12").to_files();
        let with = |name: &'static str, content: Option<&[u8]>| {
            let mut files = files.clone();
            match content {
                Some(content) => files.insert(name, content.to_vec()),
                None => files.remove(name),
            };
            read_back(&files).map(|_| ()).unwrap_err()
        };
        assert_eq!(with("btf", None), ReadViewError::Missing { name: "btf" });
        assert_eq!(with("release", Some(b"\xff")), ReadViewError::NotText { name: "release" });
        assert_eq!(
            with("preemption", Some(b"often\n")),
            ReadViewError::Preemption { model: "often".to_owned() }
        );
        assert!(matches!(with("btf", Some(b"x")), ReadViewError::Btf(_)));
        assert!(matches!(with("features", Some(b"x y")), ReadViewError::Features(_)));
    }
}
