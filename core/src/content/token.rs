//! The words a listing is found by, and where in the DHT the listings of a word or of a file are kept.
//!
//! Vendor, replica and searcher each derive them from the text, so all of them must cut it alike.

use crate::codec::Text;
use crate::id::{ContentRoot, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// The longest token, in bytes; a longer word is cut.
pub const MAX_TOKEN: usize = 32;
/// The most tokens of one listing or search.
pub const MAX_TOKENS: usize = 16;
/// No more of a text than this is looked at, in bytes.
pub const MAX_TEXT: usize = 4096;

/// A word as it is looked up: normalised (NFKC), lower case, 1..=[`MAX_TOKEN`] bytes. One that came over the
/// wire may be none of that; it then matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(Text<MAX_TOKEN>);

impl Deref for Token {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// The distinct tokens of a text in their order, at most [`MAX_TOKENS`].
#[must_use]
pub fn tokenise(text: &str) -> Vec<Token> {
    tokens_of([text])
}

/// The distinct tokens of several texts in their order, at most [`MAX_TOKENS`] in all.
#[must_use]
pub fn tokens_of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Token> {
    let (mut tokens, mut seen) = (Vec::new(), BTreeSet::new());
    for text in texts {
        let plain = normalise(&Text::<MAX_TEXT>::cut(text));
        for token in plain.unicode_words().filter_map(cut) {
            if tokens.len() == MAX_TOKENS {
                return tokens;
            }
            if seen.insert(token.clone()) {
                tokens.push(token);
            }
        }
    }
    tokens
}

/// Where the listings of a word are kept: `BLAKE3("netpay/word" ‖ token)`.
#[must_use]
pub fn place_of_token(token: &Token) -> Place {
    place(b"netpay/word", token.as_bytes())
}

/// Where the listings of a file are kept, whatever it is called: `BLAKE3("netpay/file" ‖ root)`.
#[must_use]
pub fn place_of_file(root: &ContentRoot) -> Place {
    place(b"netpay/file", &root.0)
}

fn place(kind: &[u8], of: &[u8]) -> Place {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind);
    hasher.update(of);
    Place(*hasher.finalize().as_bytes())
}

/// NFKC, lower case, and a space for what separates words in file names only. Normalised again at the end,
/// since lower case may not be normal.
fn normalise(text: &str) -> String {
    let space = |c| if matches!(c, '_' | '-' | '.') { ' ' } else { c };
    text.nfkc().map(space).collect::<String>().to_lowercase().nfkc().collect()
}

/// A word as a token: cut to what fits, and to what is still one word then.
fn cut(word: &str) -> Option<Token> {
    let word = Text::<MAX_TOKEN>::cut(word);
    word.unicode_words().next().map(|word| Token(Text::cut(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        tokenise(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_files_are_cut_into_words() {
        assert_eq!(words("The_Rite-of.Spring (1913).FLAC"), ["the", "rite", "of", "spring", "1913", "flac"]);
        assert_eq!(words("don't stop"), ["don't", "stop"]);
        assert_eq!(words("  ...--__  "), Vec::<String>::new());
        assert_eq!(words("a A ａ"), ["a"]);
    }

    #[test]
    fn letters_of_any_script_are_normalised() {
        assert_eq!(words("ÉTÉ e\u{301}té"), ["été"]);
        assert_eq!(words("ﬁle ①"), ["file", "1"]);
        assert_eq!(words("ΟΔΟΣ"), ["οδος"]);
        assert_eq!(words("音楽"), ["音", "楽"]);
        assert_eq!(words("Привет, мир"), ["привет", "мир"]);
    }

    #[test]
    fn there_are_never_more_than_sixteen_and_the_name_comes_first() {
        let name = (0..20).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
        assert_eq!(tokenise(&name).len(), MAX_TOKENS);
        let tokens = tokens_of(["one two", "two three"]);
        assert_eq!(tokens.iter().map(|token| &**token).collect::<Vec<_>>(), ["one", "two", "three"]);
    }

    #[test]
    fn a_long_word_is_cut_at_a_character() {
        assert_eq!(words(&"x".repeat(40)), ["x".repeat(32)]);
        assert_eq!(words(&"я".repeat(40)), ["я".repeat(16)]);
        assert_eq!(words(&format!("x{}", "я".repeat(40))), [format!("x{}", "я".repeat(15))]);
    }

    #[test]
    fn places_differ_by_kind() {
        let root = ContentRoot(*b"01234567890123456789012345678901");
        let token = tokenise("01234567890123456789012345678901").remove(0);
        assert_ne!(place_of_file(&root), place_of_token(&token));
    }

    proptest! {
        #[test]
        fn tokens_are_bounded_distinct_and_their_own_tokens(text in "\\PC{0,80}") {
            let tokens = tokenise(&text);
            prop_assert!(tokens.len() <= MAX_TOKENS);
            prop_assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), tokens.len());
            for token in tokens {
                prop_assert!((1..=MAX_TOKEN).contains(&token.len()));
                prop_assert_eq!(tokenise(&token), [token.clone()]);
            }
        }
    }
}
