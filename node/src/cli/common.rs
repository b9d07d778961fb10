//! What the command lines of peer and broker have in common.

use crate::logs;
use clap::ValueEnum;
use clap::builder::FalseyValueParser;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether what goes to the screen, which is stderr, is coloured.
    #[must_use]
    pub fn of_screen(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => logs::screen_has_colors(),
        }
    }
}

/// Which part of the log is shown.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Go on with what comes, until ^C.
    #[arg(short, long, env = "NETPAY_LOGS_FOLLOW", value_parser = FalseyValueParser::new())]
    pub follow: bool,
    /// How many lines, the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = logs::SHOWN, env = "NETPAY_LOGS_LINES")]
    pub lines: usize,
}
