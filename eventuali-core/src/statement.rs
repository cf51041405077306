//! Statements: SQL of the user's, carried out in the commit that it belongs to.

use crate::error::{Error, Result};

/// A statement of SQL and its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// One statement, whose parameters are `$1`, `$2` …; in SQLite also `?`.
    pub sql: String,
    /// The values of the parameters.
    pub parameters: Vec<Value>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A truth value; 1 or 0 where the database has none.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number that is not NaN.
    Real(f64),
    /// Text, or what the database reads from text: a decimal, a time, a UUID.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Statement {
    /// A statement, with the values of its parameters.
    pub fn new(sql: impl Into<String>, parameters: Vec<Value>) -> Self {
        Self { sql: sql.into(), parameters }
    }

    /// Checks what needs no database.
    pub fn check(&self) -> Result<()> {
        let refuse = |text: &str| Err(Error::invalid("statements", text));
        if self.keyword().is_none() {
            return refuse("a statement must not be empty");
        }
        if self.sql.contains('\0') {
            return refuse("a statement must not contain NUL; pass it as a parameter");
        }
        let is_nan = |value: &Value| matches!(value, Value::Real(number) if number.is_nan());
        if self.parameters.iter().any(is_nan) {
            return refuse("a parameter must not be NaN, which SQLite takes for NULL");
        }
        Ok(())
    }

    /// The first word, in capitals; none where there is nothing but white space and comments.
    #[must_use]
    pub fn keyword(&self) -> Option<String> {
        let rest = behind_comments(&self.sql);
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        (!rest.is_empty()).then(|| rest[..end].to_ascii_uppercase())
    }

    /// How many bytes it adds to a commit.
    #[must_use]
    pub fn size(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Real(_) => 8,
        };
        self.sql.len() + self.parameters.iter().map(size).sum::<usize>()
    }

    /// Adds all of it to `bytes`, each part behind its length.
    pub(crate) fn digest_into(&self, bytes: &mut Vec<u8>) {
        let mut part = |sort: u8, given: &[u8]| {
            bytes.push(sort);
            bytes.extend_from_slice(&(given.len() as u64).to_le_bytes());
            bytes.extend_from_slice(given);
        };
        part(b'S', self.sql.as_bytes());
        for value in &self.parameters {
            match value {
                Value::Null => part(b'n', &[]),
                Value::Bool(truth) => part(b'b', &[u8::from(*truth)]),
                Value::Int(number) => part(b'i', &number.to_le_bytes()),
                Value::Real(number) => part(b'r', &number.to_le_bytes()),
                Value::Text(text) => part(b't', text.as_bytes()),
                Value::Bytes(given) => part(b'x', given),
            }
        }
    }
}

/// What follows the white space, comments and opening parentheses that a text begins with.
fn behind_comments(sql: &str) -> &str {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '(');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = behind_comment(comment);
        } else {
            return rest;
        }
    }
}

/// What follows a comment that has begun; others may stand within it.
fn behind_comment(comment: &str) -> &str {
    let (mut rest, mut depth) = (comment, 1);
    while depth > 0 {
        let Some(at) = rest.find("/*").into_iter().chain(rest.find("*/")).min() else { return "" };
        depth = if rest[at..].starts_with("/*") { depth + 1 } else { depth - 1 };
        rest = &rest[at + 2..];
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_comments() {
        let keyword = |sql: &str| Statement::new(sql, Vec::new()).keyword();
        for sql in [
            "insert into t",
            "  INSERT",
            "\n\t-- COMMIT\nInsert into",
            "/* COMMIT */ insert;",
            "/* a /* b */ COMMIT */ -- c\n/**/insert",
            "((insert",
        ] {
            assert_eq!(keyword(sql).as_deref(), Some("INSERT"), "{sql}");
        }
        for sql in ["", " \n", "-- insert", "/* insert", "/* /* */ insert"] {
            assert_eq!(keyword(sql), None, "{sql}");
        }
        assert_eq!(keyword("; COMMIT").as_deref(), Some(""));
    }
}
