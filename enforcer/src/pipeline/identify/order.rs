//! Slots in the order of their last use: a doubly linked list by index, so that a use costs a few stores.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
}

/// The order. A slot is in it between [`Order::insert`] and [`Order::remove`].
#[derive(Debug)]
pub(super) struct Order {
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
}

impl Order {
    pub(super) const fn new() -> Self {
        Self { links: Vec::new(), newest: NONE, oldest: NONE }
    }

    /// Puts a slot that is not in the order first.
    pub(super) fn insert(&mut self, slot: u32) {
        let index = slot as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, Link { newer: NONE, older: NONE });
        }
        self.links[index] = Link { newer: NONE, older: self.newest };
        if self.newest == NONE {
            self.oldest = slot;
        } else {
            self.links[self.newest as usize].newer = slot;
        }
        self.newest = slot;
    }

    /// Takes a slot that is in the order out.
    pub(super) fn remove(&mut self, slot: u32) {
        let Link { newer, older } = self.links[slot as usize];
        match self.links.get_mut(newer as usize) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
        match self.links.get_mut(older as usize) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// Puts a slot that is in the order first.
    pub(super) fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.remove(slot);
            self.insert(slot);
        }
    }

    /// The slot whose last use is longest ago.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Order;

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list(uses in prop::collection::vec((0_u32..8, 0_u8..3), 0..200)) {
            let mut order = Order::new();
            let mut list: Vec<u32> = Vec::new();
            for (slot, what) in uses {
                let known = list.contains(&slot);
                match what {
                    0 if !known => {
                        order.insert(slot);
                        list.push(slot);
                    }
                    1 if known => {
                        order.remove(slot);
                        list.retain(|other| *other != slot);
                    }
                    2 if known => {
                        order.touch(slot);
                        list.retain(|other| *other != slot);
                        list.push(slot);
                    }
                    _ => {}
                }
                prop_assert_eq!(order.oldest(), list.first().copied());
            }
            for expected in list {
                prop_assert_eq!(order.oldest(), Some(expected));
                order.remove(expected);
            }
            prop_assert_eq!(order.oldest(), None);
        }
    }
}
