//! A map for a handful of entries: a list that is looked through. A tree would cost kilobytes of code
//! for each kind of entry.

/// A few entries by their key.
#[derive(Debug, Clone)]
pub struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Few<K, V> {
    /// The entry of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The entry of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Sets the entry of a key.
    pub fn set(&mut self, key: K, value: V) {
        match self.get_mut(&key) {
            Some(known) => *known = value,
            None => self.0.push((key, value)),
        }
    }

    /// Takes the entry of a key out.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.swap_remove(place).1)
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn an_entry_is_there_once() {
        let mut few = Few::default();
        few.set("a", 1);
        few.set("a", 2);
        few.set("b", 3);
        assert_eq!((few.get(&"a"), few.keys().count()), (Some(&2), 2));
        assert_eq!((few.take(&"a"), few.take(&"a")), (Some(2), None));
    }
}
