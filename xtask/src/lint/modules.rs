//! The order of the modules of a crate: each uses only those before it.

use std::path::{Path, PathBuf};

use super::text::{File, product_part};

/// A crate's folder and its modules in order; those in one group do not know each other.
const ORDERS: [(&str, &[&[&str]]); 2] = [
    (
        "bpf-probes/src",
        &[
            &["insn"],
            &["btf"],
            &["asm"],
            &["kernel"],
            &["attach"],
            &["spec"],
            &["abi"],
            &["builder"],
            &["routine"],
            &["sensor"],
            &["load", "emulate"],
        ],
    ),
    (
        "tracing-policy/src",
        &[
            &["source"],
            &["files"],
            &["diagnostic"],
            &["schema"],
            &["parse"],
            &["binary"],
            &["policy"],
            &["check"],
            &["resolve"],
            &["ir"],
            &["lower"],
            &["emit"],
            &["crd", "explain", "trial"],
        ],
    ),
];

/// Uses of a module by one before it, or beside it.
pub(crate) fn findings(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for (folder, order) in ORDERS {
        for file in files {
            let Ok(inside) = file.path.strip_prefix(folder) else { continue };
            if let Some(own) = place(order, &module_of(inside)) {
                findings.extend(of_file(file, own, order));
            }
        }
    }
    findings
}

fn of_file(file: &File, own: (usize, usize), order: &[&[&str]]) -> Vec<String> {
    let mut findings = Vec::new();
    for used in used_modules(product_part(&file.text)) {
        let Some(other) = place(order, &used) else { continue };
        if other.0 > own.0 || (other.0 == own.0 && other.1 != own.1) {
            findings
                .push(format!("{}: uses crate::{used}, which comes later in the order", file.path.display()));
        }
    }
    findings.dedup();
    findings
}

/// Group and place in the group.
fn place(order: &[&[&str]], module: &str) -> Option<(usize, usize)> {
    order.iter().enumerate().find_map(|(group, names)| {
        let at = names.iter().position(|name| *name == module)?;
        Some((group, at))
    })
}

/// The first part of a path inside of a crate, without an extension.
fn module_of(inside: &Path) -> String {
    let first = inside.components().next().map(|part| PathBuf::from(part.as_os_str()));
    let name = first.and_then(|part| part.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    name.unwrap_or_default()
}

/// Names that follow `crate::`, also in groups: `crate::{insn, btf::Types}`.
fn used_modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
        .split("crate::")
        .skip(1)
    {
        match line.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.push(leading_name(line)),
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The first name of each part of a group, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_u32;
    let mut part = String::new();
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(leading_name(std::mem::take(&mut part).trim())),
            _ => {}
        }
        if depth == 0 && letter != ',' {
            part.push(letter);
        }
    }
    names.push(leading_name(part.trim()));
    names
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::{File, findings, used_modules};

    fn file(path: &str, text: &str) -> Vec<File> {
        vec![File { path: path.into(), text: text.to_owned() }]
    }

    #[test]
    fn names_are_found_alone_and_in_groups() {
        let text = "use crate::insn::alu;\nuse crate::{btf::{Types, path}, asm, kernel::View};\n// crate::load\nlet x = crate::spec::Map;";
        assert_eq!(used_modules(text), ["insn", "btf", "asm", "kernel", "spec"]);
    }

    #[test]
    fn a_use_of_a_later_module_is_found_outside_of_tests() {
        assert_eq!(findings(&file("bpf-probes/src/btf/parse.rs", "use crate::asm::Label;")).len(), 1);
        assert_eq!(findings(&file("bpf-probes/src/asm/label.rs", "use crate::btf::Types;")).len(), 0);
        assert_eq!(findings(&file("bpf-probes/src/load/map.rs", "use crate::emulate::Memory;")).len(), 1);
        assert_eq!(findings(&file("bpf-probes/src/load/map.rs", "use crate::load::sys;")).len(), 0);
        let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::emulate::Machine;\n}";
        assert_eq!(findings(&file("bpf-probes/src/insn/alu.rs", tests)).len(), 0);
        assert_eq!(findings(&file("tracing-policy/src/source.rs", "use crate::check::x;")).len(), 1);
    }
}
