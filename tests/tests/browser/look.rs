//! How a browser's window looks.

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A desk by day.
    Light,
    /// A desk by night.
    Dark,
    /// A telephone by day, 360 px wide.
    Narrow,
}

impl Look {
    /// `light` or `dark`.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Light | Self::Narrow => "light",
            Self::Dark => "dark",
        }
    }

    /// Width and height, in pixels.
    pub const fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1200, 860),
            Self::Narrow => (360, 740),
        }
    }
}
