//! The `arguments` string and the `binary` path.

use crate::event::text;

/// `args` (argv without its first) as the one string the API shows.
///
/// Arguments are joined by spaces. One that contains a space is wrapped in double quotes, without escapes, and always
/// has a space before it, so that the text starts with a space where the first one is quoted.
pub fn join_arguments<'a>(args: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut joined = String::new();
    for (index, argument) in args.into_iter().enumerate() {
        let argument = text(argument);
        if argument.contains(' ') {
            joined.push_str(" \"");
            joined.push_str(&argument);
            joined.push('"');
        } else {
            if index > 0 {
                joined.push(' ');
            }
            joined.push_str(&argument);
        }
    }
    joined
}

/// [`join_arguments`] of `raw`, where each argument ends with a NUL byte, as in the memory of a process.
pub fn arguments_of_nul_separated(raw: &[u8]) -> String {
    if raw.is_empty() {
        return String::new();
    }
    let raw = raw.strip_suffix(b"\0").unwrap_or(raw);
    join_arguments(raw.split(|&byte| byte == 0))
}

/// `binary` made absolute: a relative path is joined to `cwd`, and its `.`, `..` and empty components are resolved by name.
pub fn absolute_binary(cwd: &str, binary: &str) -> String {
    if binary.starts_with('/') || cwd.is_empty() {
        return binary.to_owned();
    }
    let mut components: Vec<&str> = Vec::new();
    for component in cwd.split('/').chain(binary.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            name => components.push(name),
        }
    }
    let mut path = String::with_capacity(cwd.len() + binary.len() + 1);
    for component in &components {
        path.push('/');
        path.push_str(component);
    }
    if path.is_empty() { "/".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::{absolute_binary, arguments_of_nul_separated, join_arguments};

    // proves: EVT-16
    #[test]
    fn an_argument_with_a_space_is_quoted_and_has_a_space_before_it() {
        assert_eq!(join_arguments([b"-c".as_slice(), b"echo a", b"x"]), "-c \"echo a\" x");
        assert_eq!(join_arguments([b"a b".as_slice(), b"c"]), " \"a b\" c");
    }

    // proves: EVT-16
    #[test]
    fn quotes_inside_are_left_alone() {
        assert_eq!(join_arguments([b"x".as_slice(), b"a \"b"]), "x \"a \"b\"");
    }

    #[test]
    fn an_empty_argument_leaves_its_space() {
        assert_eq!(
            arguments_of_nul_separated(b"--metrics-server\0\0--gops-address\0"),
            "--metrics-server  --gops-address"
        );
        assert_eq!(arguments_of_nul_separated(b"\0"), "");
        assert_eq!(arguments_of_nul_separated(b""), "");
    }

    #[test]
    fn a_truncated_last_argument_is_kept() {
        assert_eq!(arguments_of_nul_separated(b"a\0bc"), "a bc");
    }

    #[test]
    fn arguments_that_are_not_utf8_become_readable() {
        assert_eq!(join_arguments([b"\xffx".as_slice()]), "\u{fffd}x");
    }

    #[test]
    fn a_relative_binary_is_joined_to_the_working_directory() {
        assert_eq!(absolute_binary("/home/me", "./bin/../tool"), "/home/me/tool");
        assert_eq!(absolute_binary("/", "tool"), "/tool");
        assert_eq!(absolute_binary("/a", "../../.."), "/");
        assert_eq!(absolute_binary("/a", "/b/../c"), "/b/../c");
        assert_eq!(absolute_binary("", "tool"), "tool");
    }
}
