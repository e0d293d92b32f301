//! The processes of which events told, and who started whom.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use api::event::{Event, EventKind, Process};

use super::tally::{Count, cut};

/// So many processes are kept.
pub(super) const LIMIT: usize = 4_096;
/// So deep a tree is shown.
const DEPTH_LIMIT: usize = 64;

/// A process.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// In the host's numbers.
    pub(super) pid: u32,
    /// Its program.
    pub(super) binary: String,
    /// What it was started with.
    pub(super) arguments: String,
    /// Its events.
    pub(super) count: Count,
    /// Whether it is over.
    pub(super) ended: bool,
    parent: String,
}

/// At most [`LIMIT`] processes by their exec id; those that ended, then the one without events for longest go first.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: HashMap<String, Node>,
    events: u64,
}

/// A row of the tree as shown.
#[derive(Debug)]
pub(super) struct Row<'t> {
    /// Exec id.
    pub(super) id: &'t str,
    /// How many processes are between it and the root.
    pub(super) depth: usize,
    /// The process.
    pub(super) node: &'t Node,
}

impl Tree {
    /// Counts an event for its process, and remembers it and its parent.
    pub(super) fn add(&mut self, event: &Event) {
        self.events += 1;
        if let Some(parent) = event.parent() {
            let parent: &Process = parent;
            self.remember(parent);
        }
        let Some(process) = event.process() else { return };
        let process: &Process = process;
        self.remember(process);
        if let Some(node) = self.nodes.get_mut(cut(&process.exec_id)) {
            node.count.add(self.events);
            node.ended |= matches!(event.kind, EventKind::Exit(_));
        }
    }

    fn remember(&mut self, process: &Process) {
        let id = cut(&process.exec_id);
        if id.is_empty() || self.nodes.contains_key(id) {
            return;
        }
        if self.nodes.len() >= LIMIT {
            let oldest = self.nodes.iter().min_by_key(|(_, node)| (!node.ended, node.count.last()));
            let oldest = oldest.map(|(id, _)| id.clone());
            oldest.map(|id| self.nodes.remove(&id));
        }
        let node = Node {
            pid: process.pid.unwrap_or_default(),
            binary: cut(&process.binary).to_owned(),
            arguments: cut(&process.arguments).to_owned(),
            count: Count::default(),
            ended: false,
            parent: cut(&process.parent_exec_id).to_owned(),
        };
        self.nodes.insert(id.to_owned(), node);
    }

    /// Ends an interval.
    pub(super) fn tick(&mut self, interval: Duration) {
        self.nodes.values_mut().for_each(|node| node.count.tick(interval));
    }

    /// All with events, the busiest first.
    pub(super) fn busiest(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.count.total > 0)
            .map(|(id, node)| Row { id, depth: 0, node })
            .collect();
        sort(&mut rows);
        rows
    }

    /// A process and its descendants; where there is no such process, all that have no known parent and theirs.
    pub(super) fn below(&self, root: Option<&str>) -> Vec<Row<'_>> {
        let mut all: Vec<_> = self.nodes.iter().map(|(id, node)| Row { id, depth: 0, node }).collect();
        sort(&mut all);
        let root = root.filter(|root| self.nodes.contains_key(*root));
        let mut children: HashMap<&str, Vec<Row<'_>>> = HashMap::new();
        let mut roots = Vec::new();
        for row in all {
            let parent = row.node.parent.as_str();
            let has_parent = self.nodes.contains_key(parent) && parent != row.id;
            match root {
                Some(root) if root == row.id => roots = vec![row],
                None if !has_parent => roots.push(row),
                _ if has_parent => children.entry(parent).or_default().push(row),
                _ => {}
            }
        }
        roots.reverse();
        let (mut rows, mut seen, mut waiting) = (Vec::new(), HashSet::new(), roots);
        // Ids come from outside: a circle of parents is walked once.
        while let Some(row) = waiting.pop() {
            if !seen.insert(row.id) {
                continue;
            }
            let below = children.remove(row.id).unwrap_or_default();
            let depth = (row.depth + 1).min(DEPTH_LIMIT);
            waiting.extend(below.into_iter().rev().map(|child| Row { depth, ..child }));
            rows.push(row);
        }
        rows
    }

    /// The parent of a process, where it is known.
    pub(super) fn parent(&self, id: &str) -> Option<&str> {
        let parent = &self.nodes.get(id)?.parent;
        self.nodes.get_key_value(parent.as_str()).map(|(id, _)| id.as_str())
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }
}

fn sort(rows: &mut [Row<'_>]) {
    rows.sort_by(|a, b| a.node.count.busier(&b.node.count).then(a.id.cmp(b.id)));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn event(kind: &str, id: &str, parent: &str) -> Event {
        let json = format!(
            r#"{{"{kind}":{{"process":{{"exec_id":"{id}","pid":7,"binary":"/bin/{id}","parent_exec_id":"{parent}"}}}}}}"#
        );
        api::json::read_event(json.as_bytes()).unwrap()
    }

    fn shown(rows: &[Row<'_>]) -> Vec<String> {
        rows.iter().map(|row| format!("{}{}", " ".repeat(row.depth), row.id)).collect()
    }

    #[test]
    fn children_stand_below_their_parents_the_busiest_first() {
        let mut tree = Tree::default();
        for (id, parent) in [("root", "gone"), ("a", "root"), ("b", "root"), ("b", "root"), ("c", "a")] {
            tree.add(&event("process_exec", id, parent));
        }
        tree.tick(Duration::from_secs(1));
        assert_eq!(shown(&tree.below(None)), ["root", " b", " a", "  c"]);
        assert_eq!(shown(&tree.below(Some("a"))), ["a", " c"]);
        assert_eq!(shown(&tree.below(Some("forgotten"))), ["root", " b", " a", "  c"]);
        assert_eq!(shown(&tree.busiest())[0], "b");
        assert_eq!((tree.parent("c"), tree.parent("root")), (Some("a"), None));
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let mut tree = Tree::default();
        for (id, parent) in [("a", "b"), ("b", "a"), ("self", "self")] {
            tree.add(&event("process_exec", id, parent));
        }
        assert_eq!(shown(&tree.below(Some("a"))), ["a", " b"]);
        assert_eq!(shown(&tree.below(None)), ["self"]);
    }

    #[test]
    fn ended_processes_make_room_first() {
        let mut tree = Tree::default();
        tree.add(&event("process_exec", "old", ""));
        for number in 0..2 * LIMIT {
            tree.add(&event("process_exit", &format!("p{number}"), ""));
        }
        assert_eq!(tree.len(), LIMIT);
        assert!(tree.nodes.contains_key("old") && !tree.nodes.contains_key("p0"));
    }
}
