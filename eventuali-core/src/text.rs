//! Words of texts, and what is searched for among them: one way to take a text apart, so that every
//! backend finds the same.
//!
//! A word is a run of letters and digits, without case and accents. What a text in Chinese,
//! Japanese, Thai, Lao, Khmer or Burmese holds is taken letter by letter, since no spaces tell its
//! words apart; several letters side by side are a phrase.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

use crate::error::{Error, Result};

/// The most letters of a word; the others say nothing.
const WORD: usize = 64;
/// The most words of a query.
pub const MAX_QUERY_WORDS: usize = 100;
/// Stands between two parts of a text, so that no phrase reaches over it: no word holds it.
pub(crate) const BOUNDARY: &str = "¶";

/// The words of a text in their order, as they are indexed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// The words of several parts, over whose ends no phrase reaches.
    #[must_use]
    pub fn of<'t>(parts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut found = String::new();
        for part in parts {
            let end = found.len();
            if end > 0 {
                found.push(' ');
                found.push_str(BOUNDARY);
            }
            let begin = found.len();
            words(part, |word| {
                if !found.is_empty() {
                    found.push(' ');
                }
                found.push_str(word);
            });
            if found.len() == begin {
                found.truncate(end);
            }
        }
        Self(found)
    }

    /// The words, with a space between two.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes they are, with a space between two.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each word, the boundaries included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

/// Words that stand side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// The words, at least one.
    pub words: Vec<String>,
    /// Whether the last one may go on.
    pub prefix: bool,
}

/// What is searched for: phrases that a text must hold, all of them, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextQuery(Vec<Phrase>);

impl TextQuery {
    /// Takes a query as a person writes it. Words are all to be found, `"words in quotes"` side by
    /// side, and a `*` behind a word takes every word that begins so. Nothing else has a meaning, so
    /// that no query is wrong, unless it has no word or more than [`MAX_QUERY_WORDS`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut phrases = Vec::new();
        let mut rest = text;
        while let Some((before, quoted)) = rest.split_once('"') {
            before.split_whitespace().for_each(|term| phrases.extend(phrase(term)));
            let Some((inside, after)) = quoted.split_once('"') else {
                rest = quoted; // a quote that nothing closes says nothing
                break;
            };
            let starred = after.trim_start_matches('*');
            let found = Phrase { words: all(inside), prefix: starred.len() < after.len() };
            phrases.extend((!found.words.is_empty()).then_some(found));
            rest = starred;
        }
        rest.split_whitespace().for_each(|term| phrases.extend(phrase(term)));
        let count: usize = phrases.iter().map(|phrase| phrase.words.len()).sum();
        if count == 0 {
            let text = "the query has no word to search for; a word is of letters and digits";
            return Err(Error::invalid("query", text));
        }
        if count > MAX_QUERY_WORDS {
            return Err(Error::too_large("query words", count, MAX_QUERY_WORDS));
        }
        Ok(Self(phrases))
    }

    /// The phrases, at least one.
    #[must_use]
    pub fn phrases(&self) -> &[Phrase] {
        &self.0
    }
}

/// What stands between spaces: a word, or several that something else joins, as in `e-mail`.
fn phrase(term: &str) -> Option<Phrase> {
    let whole = term.trim_end_matches('*');
    let ends_in_a_word = all(&whole.chars().next_back()?.to_string()).len() == 1
        || whole.ends_with(is_combining_mark);
    let prefix = whole.len() < term.len() && ends_in_a_word;
    let words = all(whole);
    (!words.is_empty()).then_some(Phrase { words, prefix })
}

fn all(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    words(text, |word| found.push(word.to_owned()));
    found
}

/// Gives each word of a text to `take`.
fn words(text: &str, mut take: impl FnMut(&str)) {
    let mut word = Word::default();
    if text.is_ascii() {
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() {
                word.push(char::from(byte.to_ascii_lowercase()));
            } else {
                word.end(&mut take);
            }
        }
        return word.end(&mut take);
    }
    for letter in text.nfkd() {
        if canonical_combining_class(letter) >= ACCENTS {
            continue;
        }
        if is_combining_mark(letter) {
            word.add_mark(letter);
        } else if !letter.is_alphanumeric() {
            word.end(&mut take);
        } else {
            if word.is_alone || stands_alone(letter) {
                word.end(&mut take);
            }
            // As Unicode folds case, but for some letters: ß is ss, and every sigma the same.
            letter.to_uppercase().flat_map(char::to_lowercase).for_each(|letter| {
                match plain(letter) {
                    Some(letters) => letters.chars().for_each(|letter| word.push(letter)),
                    None => word.push(letter),
                }
            });
            word.is_alone = stands_alone(letter);
        }
    }
    word.end(&mut take);
}

/// Marks of this combining class and above are accents, points and tones. Those below, and those
/// without a class, are letters of their own: the vowels of Hindi, the dots of Japanese.
const ACCENTS: u8 = 10;

/// Letters that nobody takes apart, though people write them as others.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        _ => return None,
    })
}

/// A word in the making.
#[derive(Default)]
struct Word {
    text: String,
    letters: usize,
    /// Whether no letter joins it.
    is_alone: bool,
}

impl Word {
    fn push(&mut self, letter: char) {
        if self.letters < WORD {
            self.text.push(letter);
            self.letters += 1;
        }
    }

    /// A mark without a letter before it says nothing.
    fn add_mark(&mut self, mark: char) {
        if !self.text.is_empty() {
            self.push(mark);
        }
    }

    fn end(&mut self, take: &mut impl FnMut(&str)) {
        if !self.text.is_empty() {
            take(&self.text);
        }
        self.text.clear();
        (self.letters, self.is_alone) = (0, false);
    }
}

/// Whether a letter is of a script that is written without spaces.
fn stands_alone(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' // Burmese
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{2e80}'..='\u{312f}' // radicals, kana, bopomofo
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' // ideographs
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_neither_case_nor_accents() {
        for (text, words) in [
            ("", ""),
            ("  --- ", ""),
            ("Event-Sourcing, in 2024!", "event sourcing in 2024"),
            ("Straße STRASSE Größe", "strasse strasse grosse"),
            ("L’été déjà vu; l'Œuvre", "l ete deja vu l oeuvre"),
            ("Ærø Łódź Đà Nẵng", "aero lodz da nang"),
            ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ", "οδυσσευσ οδυσσευσ"),
            ("ﬁne ①② ½ Ⅳ ㎏", "fine 12 1 2 iv kg"),
            ("İstanbul ISPARTA ısı", "istanbul isparta isi"),
            ("e\u{301}té été", "ete ete"),
            ("東京都 and カタカナ", "東 京 都 and カ タ カ ナ"),
            ("ｶﾞｽ ガス", "カ\u{3099} ス カ\u{3099} ス"),
            ("iPhone手机2", "iphone 手 机 2"),
            ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
            ("हिन्दी", "हिन्दी"),
            ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
            ("a🎉b ❤️", "a b"),
            ("a\0b\u{2028}c_d", "a b c d"),
            ("\u{301}\u{3099}", ""),
        ] {
            assert_eq!(Words::of([text]).as_str(), words, "{text:?}");
        }
        assert_eq!(Words::of(["a".repeat(70).as_str()]).len(), WORD);
    }

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(Words::of(["Ada", "", "--", "B c", ""]).as_str(), "ada ¶ b c");
        assert!(Words::of(["", "¶"]).is_empty());
        assert_eq!(Words::of(["", "b"]).as_str(), "b");
    }

    #[test]
    fn no_query_is_wrong() {
        let shown = |text: &str| {
            let query = TextQuery::parse(text).expect(text);
            let phrase =
                |phrase: &Phrase| phrase.words.join("+") + if phrase.prefix { "*" } else { "" };
            query.phrases().iter().map(phrase).collect::<Vec<_>>().join(" ")
        };
        for (text, phrases) in [
            ("Event sourcing", "event sourcing"),
            ("sourc*", "sourc*"),
            ("sourc***", "sourc*"),
            ("sou*rc", "sou+rc"),
            ("e-mail don't", "e+mail don+t"),
            ("\"event sourcing\" now", "event+sourcing now"),
            ("\"event sour\"* now", "event+sour* now"),
            ("\"event sour*\"", "event+sour"),
            ("a\"b c\"d", "a b+c d"),
            ("\"never closed", "never closed"),
            ("\"\" a", "a"),
            ("* a -* b- *c", "a b c"),
            ("a AND NOT (b OR c) NEAR/2", "a and not b or c near+2"),
            ("title:a ^b a:* !b | 'c' <-> d", "title+a b a b c d"),
            ("été* 東京*", "ete* 東+京*"),
            ("e\u{301}* ß*", "e* ss*"),
        ] {
            assert_eq!(shown(text), phrases, "{text:?}");
        }
        for text in ["", " ", "*", "\"\"", "\"*\"*", "-- ' ; ¶", "🎉"] {
            let refused = TextQuery::parse(text).expect_err(text);
            assert_eq!(*refused.kind(), crate::error::ErrorKind::Invalid { field: "query" });
        }
        assert!(TextQuery::parse(&"a ".repeat(MAX_QUERY_WORDS)).is_ok());
        TextQuery::parse(&"a ".repeat(MAX_QUERY_WORDS + 1)).expect_err("too many");
    }
}
