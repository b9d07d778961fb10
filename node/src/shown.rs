//! How sizes, times and texts from elsewhere are written for a person: the same in the terminal and on pages.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// Whether a character could deceive the eye or the terminal: control and direction characters, and such as take no room.
#[must_use]
pub fn deceives(c: char) -> bool {
    c.is_control() || UNSEEN.iter().any(|unseen| unseen.contains(&c))
}

/// Characters without a glyph, and those that change the direction of what follows.
const UNSEEN: [RangeInclusive<char>; 16] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0e}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{e0000}'..='\u{e0fff}',
];

/// A text from elsewhere, with what could deceive escaped.
#[must_use]
pub fn foreign(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if deceives(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A text or a number as a field of a CSV file. A spreadsheet must not take what somebody else wrote for a formula.
#[must_use]
pub fn csv(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let ahead = if formula && field.parse::<i128>().is_err() { "'" } else { "" };
    if field.contains(['"', ',', ';', '\t', '\n', '\r']) {
        format!("\"{ahead}{}\"", field.replace('"', "\"\""))
    } else {
        format!("{ahead}{field}")
    }
}

/// The word that an error begins with in a terminal.
#[must_use]
pub const fn alarm(colored: bool) -> &'static str {
    if colored { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" }
}

/// Bytes for a person.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A moment for a person, in UTC.
#[must_use]
pub fn moment(seconds: u64) -> String {
    formatted(seconds, "%Y-%m-%d %H:%M:%SZ")
}

/// The day of a moment, in UTC.
#[must_use]
pub fn day(seconds: u64) -> String {
    formatted(seconds, "%Y-%m-%d")
}

fn formatted(seconds: u64, format: &str) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| seconds.to_string(), |at| at.strftime(format).to_string())
}

/// A length of time, in its two largest units.
#[must_use]
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else { return "0 s".to_owned() };
    let (unit, name) = UNITS[first];
    let mut shown = format!("{} {name}", seconds / unit);
    if let Some((smaller, name)) = UNITS.get(first + 1)
        && (seconds % unit) / smaller > 0
    {
        let _ = write!(shown, " {} {name}", (seconds % unit) / smaller);
    }
    shown
}

/// The beginning of a long id.
#[must_use]
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_turn_round_what_stands_beside_it() {
        assert_eq!(foreign("a\u{202e}gpj.exe"), "a\\u{202e}gpj.exe");
        assert_eq!(foreign("\u{1b}[2J\n\u{e0041}\u{3164}"), "\\u{1b}[2J\\u{a}\\u{e0041}\\u{3164}");
        assert_eq!(foreign("Grüße, 世界 👍"), "Grüße, 世界 👍");
    }

    #[test]
    fn a_spreadsheet_takes_nothing_that_others_wrote_for_a_formula() {
        assert_eq!(csv("=1+1"), "'=1+1");
        for formula in
            ["=cmd|' /C calc'!A0", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "＝1", "=HYPERLINK(\"x\";1)"]
        {
            assert!(csv(formula).trim_start_matches('"').starts_with('\''), "{formula}");
        }
        // What others put behind a separator stays in its field, whichever the reader takes.
        assert_eq!(csv("a;=1+1"), "\"a;=1+1\"");
        assert_eq!(csv("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(["-5", "+12", "DE02 1203", ""].map(csv), ["-5", "+12", "DE02 1203", ""]);
    }

    #[test]
    fn amounts_and_times_are_written_as_people_read_them() {
        assert_eq!([0, 999, 1_000, 1_048_576].map(grouped), ["0", "999", "1,000", "1,048,576"]);
        assert_eq!(
            [0, 59, 60, 61, 3_600, 90_061].map(span),
            ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 d 1 h"]
        );
        assert_eq!([0, 1_023, 1_024, 1_572_864].map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
        assert_eq!(day(1_800_000_000), "2027-01-15");
    }
}
