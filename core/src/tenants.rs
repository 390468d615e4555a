//! Values by tenant, in parts that successive states share: a change copies one part, however many tenants there are.

use std::collections::HashMap;
use std::sync::Arc;

/// About the square root of the number of tenants of a large installation: a change copies a part, and names all parts.
const PARTS: usize = 128;

type Part<V> = HashMap<Arc<str>, Arc<V>>;

/// Values by the names of tenants.
#[derive(Debug)]
pub struct Tenants<V> {
    parts: Box<[Arc<Part<V>>]>,
    length: usize,
    /// The value of the only tenant, where there is but one.
    only: Option<Arc<V>>,
}

impl<V> Default for Tenants<V> {
    fn default() -> Self {
        Self { parts: std::iter::repeat_n(Arc::default(), PARTS).collect(), length: 0, only: None }
    }
}

impl<V> Clone for Tenants<V> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), length: self.length, only: self.only.clone() }
    }
}

impl<V> Tenants<V> {
    /// The value of a tenant.
    #[inline]
    pub fn get(&self, tenant: &str) -> Option<&Arc<V>> {
        self.parts[part(tenant)].get(tenant)
    }

    /// The value of the only tenant, where there is but one.
    #[inline]
    pub const fn only(&self) -> Option<&Arc<V>> {
        self.only.as_ref()
    }

    /// Whether there is no tenant.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        self.parts.iter().flat_map(|part| part.values())
    }

    /// Sets a tenant's value, or takes the tenant away.
    pub fn set(&mut self, tenant: &str, value: Option<&Arc<V>>) {
        let part = Arc::make_mut(&mut self.parts[part(tenant)]);
        let before = part.len();
        match value {
            Some(value) => part.insert(tenant.into(), Arc::clone(value)),
            None => part.remove(tenant),
        };
        self.length = self.length + part.len() - before;
        self.only = if self.length == 1 { self.values().next().cloned() } else { None };
    }
}

/// The part that a tenant is in, by FNV-1a.
#[inline]
fn part(tenant: &str) -> usize {
    let hash = tenant.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize % PARTS
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::{PARTS, Tenants};

    /// Holds the values to those of a plain map.
    fn same(tenants: &Tenants<usize>, plain: &HashMap<String, usize>) {
        let mut values: Vec<usize> = tenants.values().map(|value| **value).collect();
        let mut expected: Vec<usize> = plain.values().copied().collect();
        values.sort_unstable();
        expected.sort_unstable();
        assert_eq!(values, expected);
        assert_eq!(tenants.is_empty(), plain.is_empty());
        let only = tenants.only().map(|value| **value);
        assert_eq!(only, expected.first().copied().filter(|_| plain.len() == 1));
        for (tenant, value) in plain {
            assert_eq!(tenants.get(tenant).map(|value| **value), Some(*value));
        }
    }

    #[test]
    fn tenants_come_change_and_go_as_in_a_map() {
        let (mut tenants, mut plain) = (Tenants::default(), HashMap::new());
        for number in 0..3 * PARTS {
            let tenant = format!("tenant {}", number * 7 % (2 * PARTS));
            tenants.set(&tenant, Some(&Arc::new(number)));
            plain.insert(tenant, number);
            same(&tenants, &plain);
        }
        for number in 0..=2 * PARTS {
            let tenant = format!("tenant {number}");
            tenants.set(&tenant, None);
            plain.remove(&tenant);
            same(&tenants, &plain);
        }
    }

    #[test]
    fn a_change_leaves_the_state_before_and_shares_all_other_parts() {
        let mut before = Tenants::default();
        for number in 0..10 * PARTS {
            before.set(&number.to_string(), Some(&Arc::new(number)));
        }
        let mut after = before.clone();
        after.set("7", Some(&Arc::new(0)));
        assert_eq!(before.get("7").map(|value| **value), Some(7));
        assert_eq!(after.get("7").map(|value| **value), Some(0));
        let copied = before.parts.iter().zip(&after.parts).filter(|(old, new)| !Arc::ptr_eq(old, new)).count();
        assert_eq!(copied, 1);
    }
}
