//! Names of files as other people choose them: which of them a listing may carry, and what a buyer's disk
//! can take in any case.

/// The longest name in a listing, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest name [`safe_file_name`] gives, in bytes; below what file systems take, so that there is room
/// for an ending such as `.part`.
pub const MAX_SAFE_NAME: usize = 240;
/// The longest ending that survives when a name is cut, in bytes.
const MAX_EXTENSION: usize = 20;

/// Whether this is a single file's name, free of what could lead elsewhere or deceive the eye: 1..=255
/// bytes, not only spaces, not `.` or `..`, without slashes of either kind, control and bidi characters.
#[must_use]
pub fn is_single_name(name: &str) -> bool {
    let length_fits = name.len() <= MAX_NAME && !name.trim().is_empty();
    length_fits
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| matches!(c, '/' | '\\') || deceives(c))
}

/// A name under which a file called `name` by somebody else can be kept on this disk, whatever the system:
/// a single component of 1..=[`MAX_SAFE_NAME`] bytes, not hidden, not reserved, no option to a command.
#[must_use]
pub fn safe_file_name(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !is_invisible(*c)).map(harmless).collect();
    let trimmed = trim(&plain);
    let mut safe = cut(trimmed);
    if safe.is_empty() {
        return "file".to_owned();
    }
    if safe.starts_with('-') || is_reserved(&safe) {
        safe.insert(0, '_');
        safe = cut(&safe);
    }
    safe
}

/// Controls, and characters that change the direction of what follows.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters without a glyph, except the joiners that some scripts and emoji need.
fn is_invisible(c: char) -> bool {
    let shown = !deceives(c) || c.is_control();
    !shown || matches!(c, '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

fn harmless(c: char) -> char {
    let special = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    if special || c.is_control() { '_' } else { c }
}

/// Without leading dots, which hide a file, and trailing ones, which some systems drop; nor spaces.
fn trim(name: &str) -> &str {
    let dot_or_space = |c: char| c == '.' || c.is_whitespace();
    name.trim_start_matches(dot_or_space).trim_end_matches(dot_or_space)
}

/// Cut to what fits, at a character, keeping a short ending.
fn cut(name: &str) -> String {
    if name.len() <= MAX_SAFE_NAME {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= MAX_EXTENSION { ending } else { "" };
    let stem = &name[..name.floor_char_boundary(MAX_SAFE_NAME - ending.len())];
    format!("{}{ending}", trim(stem))
}

/// Names that Windows gives to devices, whatever their ending.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    port.is_some_and(|port| {
        matches!(port, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn listings_take_single_names_only() {
        for good in ["a", "The Rite of Spring.flac", "wait...what.txt", ".hidden", "音楽.mp3", "CON"] {
            assert!(is_single_name(good), "{good}");
        }
        for bad in
            ["", " ", ".", "..", "a/b", "..\\b", "a\0", "a\nb", "evil\u{202e}gpj.exe", &"x".repeat(256)]
        {
            assert!(!is_single_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn hostile_names_become_harmless() {
        for (name, safe) in [
            ("song.mp3", "song.mp3"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("C:\\autoexec.bat", "C__autoexec.bat"),
            (".bashrc", "bashrc"),
            ("trailing. . ", "trailing"),
            ("con", "_con"),
            ("Nul .tar.gz", "_Nul .tar.gz"),
            ("lpt9.txt", "_lpt9.txt"),
            ("console.log", "console.log"),
            ("-rf", "_-rf"),
            ("evil\u{202e}gpj.exe", "evilgpj.exe"),
            ("a\0b\x1b[31m", "a_b_[31m"),
            ("", "file"),
            ("...", "file"),
            ("\u{feff}\u{200f}", "file"),
        ] {
            assert_eq!(safe_file_name(name), safe, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let safe = safe_file_name(&format!("{}.flac", "я".repeat(300)));
        assert!(safe.len() <= MAX_SAFE_NAME && safe.ends_with("я.flac"));
        assert_eq!(safe_file_name(&"x".repeat(300)).len(), MAX_SAFE_NAME);
        assert_eq!(safe_file_name(&format!("-{}", "x".repeat(239))).len(), MAX_SAFE_NAME);
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name in prop_oneof![any::<String>(), "[./\\\\ -:\\x00A-Z\u{202e}]{0,12}", "[a. ]{230,300}"]) {
            let safe = safe_file_name(&name);
            prop_assert!(is_single_name(&safe), "{:?}", safe);
            prop_assert!(safe.len() <= MAX_SAFE_NAME);
            prop_assert!(!safe.starts_with(['.', ' ', '-']) && !safe.ends_with(['.', ' ']));
            prop_assert!(!is_reserved(&safe));
            prop_assert_eq!(safe_file_name(&safe), safe.clone());
        }
    }
}
