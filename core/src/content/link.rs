//! `netpay:` links: a file by its content, with what a person would call it.
//!
//! `netpay:<root, 64 hexadecimal digits>?name=<percent-encoded>&size=<bytes>`; both parameters may be missing,
//! and parameters of later versions are passed over.

use super::name::{MAX_NAME, is_single_name};
use super::units::MAX_SIZE;
use crate::codec::Text;
use crate::id::ContentRoot;
use std::fmt;
use std::str::FromStr;

/// The scheme, with its colon.
pub const SCHEME: &str = "netpay:";
/// The longest link that is looked at, in bytes.
pub const MAX_LINK: usize = 2048;

/// What a link names. Nobody signed it: only the root is certain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The content.
    pub root: ContentRoot,
    /// What it is called: a single file's name.
    pub name: Option<Text<MAX_NAME>>,
    /// Its size in bytes, at most [`MAX_SIZE`].
    pub size: Option<u64>,
}

/// Why a text is not a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// It is too long.
    #[error("a link has at most {MAX_LINK} bytes")]
    TooLong,
    /// Another scheme, or none.
    #[error("a link begins with {SCHEME}")]
    Scheme,
    /// The content is not 64 hexadecimal digits.
    #[error("after {SCHEME} come 64 hexadecimal digits")]
    Root,
    /// The name is not a percent-encoded single file's name.
    #[error("the name in the link is not a file name")]
    Name,
    /// The size is not a number, or too large.
    #[error("the size in the link is not a number of bytes in range")]
    Size,
    /// A parameter comes twice.
    #[error("a parameter comes twice in the link")]
    Twice,
}

impl FromStr for Link {
    type Err = BadLink;
    fn from_str(text: &str) -> Result<Self, BadLink> {
        let text = text.trim();
        if text.len() > MAX_LINK {
            return Err(BadLink::TooLong);
        }
        let (scheme, rest) = text.split_at_checked(SCHEME.len()).ok_or(BadLink::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(BadLink::Scheme);
        }
        let (root, query) = rest.split_once('?').unwrap_or((rest, ""));
        let root = root.parse().map_err(|_| BadLink::Root)?;
        let mut link = Self { root, name: None, size: None };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let twice = match key {
                "name" => link.name.replace(parse_name(value)?).is_some(),
                "size" => link.size.replace(parse_size(value)?).is_some(),
                _ => false,
            };
            if twice {
                return Err(BadLink::Twice);
            }
        }
        Ok(link)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.root)?;
        let mut separator = '?';
        if let Some(name) = &self.name {
            write!(f, "{separator}name=")?;
            percent_encode(name, f)?;
            separator = '&';
        }
        if let Some(size) = self.size {
            write!(f, "{separator}size={size}")?;
        }
        Ok(())
    }
}

fn parse_name(value: &str) -> Result<Text<MAX_NAME>, BadLink> {
    let name = percent_decode(value).filter(|name| is_single_name(name)).ok_or(BadLink::Name)?;
    Text::try_from(name.as_str()).map_err(|_| BadLink::Name)
}

fn parse_size(value: &str) -> Result<u64, BadLink> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let size = value.parse().ok().filter(|size| digits && *size <= MAX_SIZE);
    size.ok_or(BadLink::Size)
}

/// RFC 3986: everything but the unreserved characters is encoded.
fn percent_encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.bytes().try_for_each(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            write!(f, "{}", char::from(byte))
        }
        _ => write!(f, "%{byte:02X}"),
    })
}

/// The text, or `None` if it is not percent-encoded UTF-8. A `+` is a plus.
fn percent_decode(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => u8::try_from(digit(bytes.next()?)? * 16 + digit(bytes.next()?)?).ok()?,
            _ => byte,
        };
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn a_link_reads_as_it_is_written() {
        let text = format!("netpay:{ROOT}?name=The%20Rite%20%26%20%C3%A9t%C3%A9.flac&size=1048576");
        let link: Link = text.parse().expect("a link");
        assert_eq!(link.name.as_deref(), Some("The Rite & été.flac"));
        assert_eq!(link.size, Some(1_048_576));
        assert_eq!(link.to_string(), text);
        let bare: Link = format!(" NetPay:{}?later=x\n", ROOT.to_uppercase()).parse().expect("a link");
        assert_eq!(bare.to_string(), format!("netpay:{ROOT}"));
    }

    #[test]
    fn what_is_no_link_is_refused() {
        let refused = |text: &str| text.parse::<Link>().expect_err("no link");
        let with = |query: &str| refused(&format!("netpay:{ROOT}?{query}"));
        assert_eq!(refused("magnet:?xt=1"), BadLink::Scheme);
        assert_eq!(refused("netpayö"), BadLink::Scheme);
        assert_eq!(refused("netpay:12"), BadLink::Root);
        assert_eq!(refused(&"x".repeat(3000)), BadLink::TooLong);
        assert_eq!(with("name=..%2Fx"), BadLink::Name);
        assert_eq!(with("name=%4"), BadLink::Name);
        assert_eq!(with("name=%ff"), BadLink::Name);
        assert_eq!(with("size=+1"), BadLink::Size);
        assert_eq!(with("size=99999999999999999999"), BadLink::Size);
        assert_eq!(with("size=1&size=1"), BadLink::Twice);
    }

    proptest! {
        #[test]
        fn any_name_survives_a_link(root: [u8; 32], name in "\\PC{1,40}", size in prop::option::of(0..=MAX_SIZE)) {
            let name = name.replace(['/', '\\'], "_");
            prop_assume!(is_single_name(&name));
            let link = Link { root: ContentRoot(root), name: Some(Text::cut(&name)), size };
            prop_assert_eq!(link.to_string().parse(), Ok(link));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(netpay:)?[0-9a-f]{0,64}\\PC{0,60}") {
            let _ = text.parse::<Link>();
        }
    }
}
