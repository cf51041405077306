//! Words as both SQL backends index them: each with its tenant and space before it, so that nobody
//! meets the words of another space, however many those are.

use sha2::{Digest, Sha256};

use crate::text::Phrase;

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Letters that stand for a space of a tenant. Two of them may share some, all the more the fewer
/// there are: who finds a record by them looks whose it is.
pub(in crate::backend) fn scope(tenant: &str, space: &str, letters: usize) -> String {
    let mut sha = Sha256::new();
    sha.update((tenant.len() as u64).to_le_bytes());
    sha.update(tenant);
    sha.update(space);
    let sum = sha.finalize();
    sum.iter().take(letters).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// The words of a phrase as they are indexed.
pub(in crate::backend) fn scoped(phrase: &Phrase, scope: &str) -> Vec<String> {
    phrase.words.iter().map(|word| format!("{scope}{word}")).collect()
}
