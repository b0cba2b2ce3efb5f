//! Secrets that are known by their SHA-256 alone.
//!
//! Neither the file nor memory holds a secret, and every comparison is of 32 bytes. It takes the same time whatever they are, and all
//! that are known are compared whether or not one has matched: how long an answer takes says nothing about how near a guess was, or
//! whose secret it met.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The SHA-256 of a secret.
pub type Digest = [u8; 32];

/// The digest of a secret.
pub fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// 256 bits from the system's generator, or `None` when it has none to give.
pub fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    rustls::crypto::aws_lc_rs::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Which of the known digests is that of `secret`; the first of several.
pub fn find<'a>(known: impl Iterator<Item = &'a Digest>, secret: &[u8]) -> Option<usize> {
    let digest = digest(secret);
    first(known, |known| known.ct_eq(&digest))
}

/// Many secrets, each with what is known by it.
///
/// Looking for one takes as long as its digest makes it: which slot of the table, and how many bytes are alike there. Nothing can be
/// learnt from that. The digest is of what a stranger has shown; it can be worked out but not chosen, so to come near a digest that
/// is known is to have found most of a preimage, and the table's own hash is keyed by chance. The last comparison takes the same time
/// all the same, so that the argument hangs on nothing inside the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<T>(HashMap<Digest, T>);

impl<T> Known<T> {
    /// What is known by `secret`.
    pub fn get(&self, secret: &[u8]) -> Option<&T> {
        let digest = digest(secret);
        let (known, value) = self.0.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then_some(value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The first of several that are alike counts.
impl<T> FromIterator<(Digest, T)> for Known<T> {
    fn from_iter<I: IntoIterator<Item = (Digest, T)>>(all: I) -> Self {
        let mut known = HashMap::new();
        for (digest, value) in all {
            known.entry(digest).or_insert(value);
        }
        Known(known)
    }
}

/// The place of the first that `equal` says yes to. All are compared.
fn first<'a>(known: impl Iterator<Item = &'a Digest>, mut equal: impl FnMut(&Digest) -> Choice) -> Option<usize> {
    let mut found = Choice::from(0);
    let mut at = 0u64;
    for (index, digest) in known.enumerate() {
        let first = equal(digest) & !found;
        at.conditional_assign(&(index as u64), first);
        found |= first;
    }
    bool::from(found).then_some(usize::try_from(at).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_compared_wherever_the_match_is() {
        let known = [[1; 32], [2; 32], [3; 32]];
        for (wanted, at) in [([1; 32], Some(0)), ([2; 32], Some(1)), ([3; 32], Some(2)), ([4; 32], None)] {
            let mut compared = 0;
            let found = first(known.iter(), |digest| {
                compared += 1;
                digest.ct_eq(&wanted)
            });
            assert_eq!((found, compared), (at, 3));
        }
    }

    #[test]
    fn a_digest_must_match_in_every_byte() {
        for byte in 0..32 {
            let mut near = digest(b"secret");
            near[byte] ^= 1;
            assert_eq!(find([near].iter(), b"secret"), None, "byte {byte}");
        }
    }

    #[test]
    fn one_of_many_is_found_by_its_whole_digest() {
        let known: Known<u8> = [(digest(b"one"), 1), (digest(b"two"), 2), (digest(b"one"), 3)].into_iter().collect();
        assert_eq!(
            (known.get(b"one"), known.get(b"two"), known.get(b"three"), known.len()),
            (Some(&1), Some(&2), None, 2)
        );
    }

    #[test]
    fn each_secret_finds_its_own_and_the_first_of_two_alike() {
        let known = [digest(b"one"), digest(b"two"), digest(b"one")];
        assert_eq!(find(known.iter(), b"one"), Some(0));
        assert_eq!(find(known.iter(), b"two"), Some(1));
        assert_eq!(find(known.iter(), b"three"), None);
        assert_eq!(find([].iter(), b"one"), None);
    }
}
