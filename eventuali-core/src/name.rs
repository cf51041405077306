//! The grammar of names: what an id, a type, a tag or a tenant may look like.

use crate::error::{Error, Result};

/// The most bytes that a name may have.
pub const MAX_NAME_BYTES: usize = 255;

/// Checks a name that is given to something new: a stream id, aggregate type, event type or tag.
///
/// It has 1–255 bytes of UTF-8 without characters that nobody sees, doesn't begin with `$`
/// (reserved), and has no white space at either end. Names are compared as bytes: `A` and `a`, or
/// two Unicode normal forms, are different names.
pub fn check_name(field: &'static str, name: &str) -> Result<()> {
    check(field, name, |c| was_hidden(c) || is_hidden(c))
}

/// Checks a name that something is looked for by.
///
/// It may have characters that names were allowed to have before: what is stored can be read.
pub fn check_known_name(field: &'static str, name: &str) -> Result<()> {
    check(field, name, was_hidden)
}

fn check(field: &'static str, name: &str, is_hidden: fn(char) -> bool) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME_BYTES {
        "is longer than 255 bytes"
    } else if name.starts_with('$') {
        "begins with '$', which is reserved"
    } else if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        "begins or ends with white space"
    } else if name.chars().any(is_hidden) {
        "has a control or invisible character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(field, format!("{field} {shown:?} {fault}")))
}

/// Checks the type of a new event: a name that is not a `__dunder__`.
pub fn check_event_type(name: &str) -> Result<()> {
    check_name("event_type", name)?;
    refuse_dunder(name)
}

/// Checks an event type that is looked for.
pub fn check_known_event_type(name: &str) -> Result<()> {
    check_known_name("event_type", name)?;
    refuse_dunder(name)
}

fn refuse_dunder(name: &str) -> Result<()> {
    if name.starts_with("__") && name.ends_with("__") {
        return Err(Error::invalid("event_type", format!("event_type {name:?} is reserved")));
    }
    Ok(())
}

/// Checks a tenant: at most 64 of `A-Z a-z 0-9 _ -`; the empty one is the default tenant.
pub fn check_tenant(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.len() <= 64 && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::invalid(
        "tenant",
        format!("tenant {shown:?} must be at most 64 of A-Z, a-z, 0-9, '_' and '-'"),
    ))
}

/// Characters that people cannot see and that make two names look alike: those of Unicode's general
/// category Cf and those that are ignored by default, fillers for instance.
///
/// Joiners (U+200C, U+200D) and variation selectors are allowed: several scripts and emoji need them.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Those that no name ever had.
fn was_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_use() {
        for name in [
            "acc-1",
            "Confirmation of receipt",
            "a.*",
            "'; DROP TABLE events;--",
            "Ä",
            "🙂",
            "a/../b",
            "\u{2764}\u{fe0f}",
            "\u{1f469}\u{200d}\u{1f4bb}",
        ] {
            check_name("aggregate_id", name).expect(name);
        }
        check_name("aggregate_id", &"x".repeat(255)).expect("255 bytes");
    }

    #[test]
    fn refuses_what_nobody_can_see() {
        for name in [
            "",
            " a",
            "a ",
            "$all",
            "a\0",
            "a\n",
            "\u{1b}[0m",
            "a\u{202e}",
            "a\u{200b}b",
            "a\u{85}b",
        ] {
            assert!(check_name("aggregate_id", name).is_err(), "{name:?}");
        }
        assert!(check_name("aggregate_id", &"é".repeat(128)).is_err(), "256 bytes");
        assert!(check_event_type("__class__").is_err());
    }

    #[test]
    fn what_was_a_name_once_is_looked_for() {
        for c in "\u{ad}\u{34f}\u{180e}\u{2065}\u{3164}\u{fff9}\u{e0041}\u{e0fff}".chars() {
            let name = format!("a{c}b");
            assert!(check_name("aggregate_id", &name).is_err(), "{name:?}");
            assert!(check_event_type(&name).is_err(), "{name:?}");
            check_known_name("aggregate_id", &name).expect("it may be stored");
            check_known_event_type(&name).expect("it may be stored");
        }
        assert!(check_known_name("aggregate_id", "a\u{200b}b").is_err());
        assert!(check_known_event_type("__class__").is_err());
    }

    #[test]
    fn tenants_are_plain() {
        for (name, ok) in
            [("", true), ("acme_1-x", true), ("../b", false), ("a' OR '1'='1", false), ("*", false)]
        {
            assert_eq!(check_tenant(name).is_ok(), ok, "{name:?}");
        }
    }
}
