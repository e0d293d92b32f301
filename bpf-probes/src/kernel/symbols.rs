//! Sets of function names, kept in one sorted block of text: a byte a letter and one a name, nothing else.

/// Function names, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symbols {
    /// Each name ends in a line feed.
    names: Box<str>,
}

impl Symbols {
    /// The set of these names; names with white space in them are dropped.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<&str> = names
            .into_iter()
            .filter(|name| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_whitespace()))
            .collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut text = String::with_capacity(sorted.iter().map(|name| name.len() + 1).sum());
        for name in sorted {
            text.push_str(name);
            text.push('\n');
        }
        Self { names: text.into_boxed_str() }
    }

    /// Functions of the kernel and its modules in `/proc/kallsyms` (`ADDRESS TYPE NAME [MODULE]`) that `keep` wants.
    /// Lines that are not like that, or not UTF-8, are skipped.
    pub fn from_kallsyms(text: &[u8], mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::from_names(lines(text).filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (_, kind, name) = (words.next()?, words.next()?, words.next()?);
            (matches!(kind, "t" | "T" | "w" | "W") && keep(name)).then_some(name)
        }))
    }

    /// The first word of each line: `available_filter_functions` and `error_injection/list` are like that.
    pub fn from_list(text: &[u8]) -> Self {
        Self::from_names(lines(text).filter_map(|line| line.split_ascii_whitespace().next()))
    }

    /// Whether the name is in the set.
    pub fn contains(&self, name: &str) -> bool {
        let text = &*self.names;
        let (mut low, mut high) = (0, text.len());
        // Both always stand at the start of a line, or the end.
        while low < high {
            let middle = low + (high - low) / 2;
            let head = text.get(low..middle).and_then(|head| head.rfind('\n')).map_or(low, |at| low + at + 1);
            let Some((line, _)) = text.get(head..).and_then(|rest| rest.split_once('\n')) else {
                return false;
            };
            match line.cmp(name) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => low = head + line.len() + 1,
                std::cmp::Ordering::Greater => high = head,
            }
        }
        false
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.lines()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names in order, each with a line feed.
    pub fn as_text(&self) -> &str {
        &self.names
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_put_in_is_found_and_no_other() {
        let names: Vec<String> =
            (0..200).map(|i| format!("{}_{}", "f".repeat(1 + i % 7), i * 37 % 101)).collect();
        let set = Symbols::from_names(names.iter().map(String::as_str));
        for name in &names {
            assert!(set.contains(name), "{name}");
            assert!(!set.contains(&format!("{name}x")));
        }
        assert!(!set.contains(""));
        assert!(!Symbols::default().contains("x"));
    }

    #[test]
    fn kallsyms_gives_functions_and_leaves_data_and_noise_out() {
        let text = b"ffffffff81000000 T vfs_open\nffffffff82000000 D jiffies\n\xff\xfe\n0 t do_init\t[ext4]\nshort\n";
        let set = Symbols::from_kallsyms(text, |_| true);
        assert_eq!(set.iter().collect::<Vec<_>>(), ["do_init", "vfs_open"]);
        assert_eq!(Symbols::from_kallsyms(text, |name| name.starts_with("vfs_")).as_text(), "vfs_open\n");
    }

    #[test]
    fn lists_give_the_first_word_of_each_line() {
        let set = Symbols::from_list(b"vfs_open\next4_iget [ext4]\nbtrfs_x\tERRNO\nvfs_open\n");
        assert_eq!(set.iter().collect::<Vec<_>>(), ["btrfs_x", "ext4_iget", "vfs_open"]);
    }
}
