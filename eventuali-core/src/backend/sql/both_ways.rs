//! Statements that are read in two directions, of which one text stands in a file.

/// Stands where the other direction has `DESC`.
const MARK: &str = "/* DESC */";
/// Where a page begins: behind a row, which in the other direction is before it.
const BEHIND: (&str, &str) = ("> /* < */", "<");

/// The statement that gives the same rows from the last to the first.
pub(in crate::backend) fn backward(forward: &str) -> String {
    assert!(forward.contains(MARK), "it has no order that can be turned: {forward}");
    forward.replace(MARK, "DESC").replace(BEHIND.0, BEHIND.1)
}
