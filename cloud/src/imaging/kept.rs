//! What was made lately and may be asked for again, up to a limit of memory.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Values by key; what was not asked for the longest goes first.
#[derive(Debug)]
pub struct Kept<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by when they were last asked for.
    by_use: BTreeMap<u64, K>,
    uses: u64,
    cost: usize,
    cost_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    cost: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    /// `cost_max` is in the unit of what [`Self::put`] is told.
    pub fn new(cost_max: usize) -> Self {
        let (entries, by_use) = (HashMap::new(), BTreeMap::new());
        Kept { entries, by_use, uses: 0, cost: 0, cost_max }
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(entry.value.clone())
    }

    /// Keeps a value, unless it alone costs more than everything may.
    pub fn put(&mut self, key: K, value: V, cost: usize) {
        self.forget(&key);
        if cost > self.cost_max {
            return;
        }
        while self.cost + cost > self.cost_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.forget(&oldest);
        }
        self.uses += 1;
        self.cost += cost;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, cost, used: self.uses });
    }

    fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.cost -= entry.cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut kept = Kept::new(10);
        kept.put("a", 1, 4);
        kept.put("b", 2, 4);
        assert_eq!(kept.get(&"a"), Some(1));
        kept.put("c", 3, 4);
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (Some(1), None, Some(3)));
        kept.put("huge", 4, 11);
        assert_eq!((kept.get(&"huge"), kept.get(&"a")), (None, Some(1)));
        kept.put("a", 5, 10);
        assert_eq!((kept.get(&"a"), kept.get(&"c")), (Some(5), None));
    }
}
