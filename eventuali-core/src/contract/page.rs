//! The reference page, generated from the list.

use std::fmt::Write;

use super::CLAUSES;

const HEAD: &str = "\
# The contract of the storage port

What every backend promises, and the tests that hold it to that. Each line below is a clause of the
suite in `eventuali_core::contract` (feature `contract`), and runs as a test of its own on each
backend, for example `sqlite::commit::conflict_names_expected_and_actual`. Some clauses apply only to
backends whose `capabilities()` say so; their sentences say \"where durable\", \"where shared\" or
\"where sql\".

This page is generated from `contract::CLAUSES`; a test compares the two. To regenerate it:
`EVENTUALI_WRITE_DOCS=1 cargo test -p eventuali-core --test contract page`.
";

const PROMISES: [&str; 10] = [
    "A commit is atomic, durable before it is acknowledged, and isolated",
    "Versions are 1, 2, 3 … without gaps; positions rise and are never assigned twice",
    "No skipping: nothing ever appears below a position that a reader has seen",
    "Expected versions, and conflicts that name what was found",
    "An accepted commit, sent again, is recognised by its ids and gets the same answer",
    "A write that has begun runs to its end; repeating it settles an unknown outcome",
    "What was stored comes back byte for byte",
    "Signals wake readers; data comes from the store",
    "The same bad input gives the same error, writes nothing, and breaks nothing",
    "Group commit is invisible",
];

/// `docs/reference/contract.md`: every clause, under its promise.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (number, promise) in (1..).zip(PROMISES) {
        write!(page, "\n## {number}. {promise}\n\n").expect("a string takes it");
        for clause in CLAUSES.iter().filter(|clause| clause.promise == number) {
            writeln!(page, "- `{}::{}` {}", clause.group, clause.name, clause.sentence)
                .expect("a string takes it");
        }
    }
    page
}
