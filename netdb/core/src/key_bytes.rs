//! The bytes of a row's key, cheap to compare: every search for a row does that some twenty times.

use alloc::boxed::Box;
use core::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

/// What fits into the space of a pointer, a length and a word for which of the two it is.
const SHORT: usize = 22;

/// The bytes of a row's key, in the order of bytes. Short ones, as most are, lie in the entry itself.
#[derive(Clone)]
pub struct KeyBytes(Kept);

#[derive(Clone)]
enum Kept {
    /// Followed by zeroes.
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    Long(Box<[u8]>),
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Kept::Long(bytes) => bytes,
        }
    }
}

impl<T: AsRef<[u8]>> From<T> for KeyBytes {
    fn from(from: T) -> Self {
        let from = from.as_ref();
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..from.len()), u8::try_from(from.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(from);
                Self(Kept::Short { length, bytes })
            }
            _ => Self(Kept::Long(from.into())),
        }
    }
}

impl Default for KeyBytes {
    fn default() -> Self {
        Self(Kept::Short { length: 0, bytes: [0; SHORT] })
    }
}

impl Ord for KeyBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (
                Kept::Short { length, bytes },
                Kept::Short { length: other_length, bytes: other_bytes },
            ) => {
                // A key that goes on where the other ends has zeroes or more there, and is longer.
                let numbers = |bytes: &[u8; SHORT]| {
                    let [begin, end] = [bytes.first_chunk(), bytes.last_chunk()];
                    [begin, end]
                        .map(|bytes| u128::from_be_bytes(bytes.copied().unwrap_or_default()))
                };
                numbers(bytes).cmp(&numbers(other_bytes)).then(length.cmp(other_length))
            }
            _ => (**self).cmp(&**other),
        }
    }
}

impl PartialOrd for KeyBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for KeyBytes {}

impl Hash for KeyBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Few letters, zero among them, and lengths around the limit: many keys begin alike.
    fn keys() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0), Just(1), Just(255)], 0..SHORT + 4)
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_bytes(one in keys(), other in keys(), cut in 0..SHORT + 4) {
            let begin = one.get(..cut).unwrap_or(&one).to_vec();
            for other in [other, begin] {
                let kept = [&one, &other].map(KeyBytes::from);
                prop_assert_eq!([&*kept[0], &*kept[1]], [&one[..], &other[..]]);
                prop_assert_eq!(kept[0].cmp(&kept[1]), one.cmp(&other));
            }
        }
    }

    #[test]
    fn short_keys_cost_no_more_than_a_long_ones_pointer() {
        assert_eq!(size_of::<KeyBytes>(), 24);
    }
}
