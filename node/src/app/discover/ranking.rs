//! Which of the offers found come first.

use crate::app::Trouble;
use crate::app::view::Found;
use netpay_core::content::token::{Token, tokenise};
use std::cmp::{Ordering, Reverse};

/// In what order offers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The best match first, of equal ones the cheapest, of those who is connected.
    Best,
    /// The cheapest first.
    Price,
    /// By name.
    Name,
    /// The smallest first.
    Size,
}

impl Order {
    /// The order a person asks for.
    pub fn parse(sort: Option<&str>) -> Result<Self, Trouble> {
        match sort.map(str::trim) {
            None | Some("") => Ok(Self::Best),
            Some("price") => Ok(Self::Price),
            Some("name") => Ok(Self::Name),
            Some("size") => Ok(Self::Size),
            Some(other) => Err(Trouble::bad("sort order", other, "it is price, name or size")),
        }
    }
}

/// Sorts what was found by these words.
pub(super) fn rank(found: &mut [Found], words: &[Token], order: Order) {
    found.sort_by_cached_key(|one| Key::of(one, words, order));
}

/// How well the words fit: 3 if they are the name but for its ending, 2 if they come in it as one phrase, 1 if
/// all of them come in it, 0 if only tags have them.
fn fit(name: &str, words: &[Token]) -> u8 {
    let own = tokenise(name);
    let phrase = own.windows(words.len().max(1)).any(|part| part == words);
    let stem = own.split_last().map_or(&own[..], |(_, stem)| stem);
    match () {
        () if own == words || stem == words => 3,
        () if phrase => 2,
        () if words.iter().all(|word| own.contains(word)) => 1,
        () => 0,
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    asked: Asked,
    fit: Reverse<u8>,
    price: u64,
    offline: bool,
    name: String,
    id: String,
    vendor: String,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Nothing,
    Number(u64),
    Text(String),
}

impl Key {
    fn of(found: &Found, words: &[Token], order: Order) -> Self {
        let asked = match order {
            Order::Best => Asked::Nothing,
            Order::Price => Asked::Number(found.price),
            Order::Name => Asked::Text(found.name.to_lowercase()),
            Order::Size => Asked::Number(found.size),
        };
        Self {
            asked,
            fit: Reverse(fit(&found.name, words)),
            price: found.price,
            offline: !found.online,
            name: found.name.clone(),
            id: found.id.clone(),
            vendor: found.vendor.clone(),
        }
    }
}

/// Words in the order in which their replicas are asked: the longest first, as it leads to the fewest listings.
pub(super) fn by_promise(words: &[Token]) -> Vec<&Token> {
    let mut words: Vec<_> = words.iter().collect();
    words.sort_by(|a, b| match b.chars().count().cmp(&a.chars().count()) {
        Ordering::Equal => a.cmp(b),
        other => other,
    });
    words
}

/// Whether a file of this name has the ending asked for, given with or without its dot.
pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    let wanted = extension.trim().trim_start_matches('.');
    name.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, price: u64, online: bool) -> Found {
        Found { name: name.to_owned(), price, online, size: 100 - price, ..Found::default() }
    }

    fn ranked(words: &str, order: Order, mut found: Vec<Found>) -> Vec<String> {
        rank(&mut found, &tokenise(words), order);
        found.into_iter().map(|one| format!("{} {}", one.name, one.price)).collect()
    }

    #[test]
    fn the_best_match_comes_first_then_the_cheapest_then_who_is_there() {
        let all = vec![
            found("ballet.flac", 1, true),
            found("spring rite.flac", 2, true),
            found("the rite spring.flac", 9, false),
            found("rite spring.flac", 9, false),
            found("the rite spring.flac", 3, false),
        ];
        let expected = [
            "rite spring.flac 9",
            "the rite spring.flac 3",
            "the rite spring.flac 9",
            "spring rite.flac 2",
            "ballet.flac 1",
        ];
        assert_eq!(ranked("rite spring", Order::Best, all), expected);
        let mut same = vec![found("rite.flac", 3, false), found("rite.flac", 3, true)];
        rank(&mut same, &tokenise("rite"), Order::Best);
        assert!(same[0].online);
    }

    #[test]
    fn another_order_can_be_asked_for() {
        let all = || vec![found("b.flac", 5, true), found("A.flac", 7, true), found("c.flac", 1, true)];
        assert_eq!(ranked("flac", Order::Price, all()), ["c.flac 1", "b.flac 5", "A.flac 7"]);
        assert_eq!(ranked("flac", Order::Name, all()), ["A.flac 7", "b.flac 5", "c.flac 1"]);
        assert_eq!(ranked("flac", Order::Size, all()), ["A.flac 7", "b.flac 5", "c.flac 1"]);
        assert!(Order::parse(Some("colour")).is_err());
        assert_eq!(Order::parse(Some("")).expect("an order"), Order::Best);
    }

    #[test]
    fn the_longest_word_is_asked_for_first() {
        let words = tokenise("of été spring ab");
        let order: Vec<&str> = by_promise(&words).into_iter().map(|word| &**word).collect();
        assert_eq!(order, ["spring", "été", "ab", "of"]);
    }

    #[test]
    fn an_extension_is_meant_with_or_without_its_dot() {
        assert!(has_extension("x.FLAC", "flac") && has_extension("x.flac", ".Flac"));
        assert!(!has_extension("flac", "flac") && !has_extension("x.flac.gz", "flac"));
    }
}
