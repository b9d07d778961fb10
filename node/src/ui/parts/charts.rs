//! Pictures of figures, in SVG without styles of its own: bars of coins, bars of days, QR codes.

use crate::app::view::ChainView;
use crate::shown;
use maud::{Markup, PreEscaped, html};

/// Height of the chart's plot, in its own units.
const HEIGHT: u64 = 120;
/// Width that one day takes in a chart.
const STEP: usize = 24;
/// The most bytes that a QR code is drawn of: more could not be read from a screen.
const MAX_QR: usize = 600;

/// What one day brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Which, as in 2026-11-27.
    pub day: String,
    /// How often something was sold.
    pub count: u64,
    /// Coins.
    pub coins: u64,
}

/// Coins per day as bars. The same figures must stand in a table beside it.
#[must_use]
pub fn chart(name: &str, days: &[Day]) -> Markup {
    let most = days.iter().map(|day| day.coins).max().unwrap_or(0).max(1);
    let width = days.len().max(1) * STEP;
    html! {
        figure.chart {
            svg viewBox=(format!("0 0 {width} {}", HEIGHT + 2)) preserveAspectRatio="none" role="img"
                aria-label=(name) {
                line.base x1="0" x2=(width) y1=(HEIGHT + 1) y2=(HEIGHT + 1) {}
                @for (at, day) in days.iter().enumerate() {
                    @let height = scaled(day.coins, most);
                    rect.day x=(at * STEP + 3) y=(HEIGHT - height) width=(STEP - 6) height=(height) {
                        title { (day.day) ": " (super::coins(day.coins)) }
                    }
                }
            }
            figcaption {
                span { (days.first().map_or("", |day| &day.day)) }
                span {
                    "most on one day: " (super::coins(days.iter().map(|day| day.coins).max().unwrap_or(0)))
                }
                span { (days.last().map_or("", |day| &day.day)) }
            }
        }
    }
}

/// The height of a bar; what is not nothing is seen.
fn scaled(coins: u64, most: u64) -> u64 {
    let height = u128::from(coins) * u128::from(HEIGHT) / u128::from(most);
    let height = u64::try_from(height).unwrap_or(HEIGHT);
    if coins == 0 { 0 } else { height.max(2) }
}

/// A chain as a bar of what is spent, leased and free.
#[must_use]
pub fn chain_bar(chain: &ChainView) -> Markup {
    let free = if chain.retired { ("retired", "free", chain.free) } else { ("free", "free", chain.free) };
    coins_bar(chain.total, &[("spent", "spent", chain.spent), ("leased", "leased", chain.leased), free])
}

/// Coins as a bar of parts, each a class of the style sheet, a word and an amount.
#[must_use]
pub fn coins_bar(total: u64, parts: &[(&str, &str, u64)]) -> Markup {
    const WIDTH: u64 = 1000;
    let share = |coins: u64| {
        let width = u128::from(coins) * u128::from(WIDTH) / u128::from(total.max(1));
        u64::try_from(width).unwrap_or(WIDTH).min(WIDTH)
    };
    let words: Vec<String> =
        parts.iter().map(|(_, word, coins)| format!("{} {word}", shown::grouped(*coins))).collect();
    let words = format!("{}, of {}", words.join(", "), super::coins(total));
    let mut before = 0_u64;
    let drawn = parts.iter().map(|(class, _, coins)| {
        let from = share(before);
        before = before.saturating_add(*coins);
        (*class, from, share(before) - from)
    });
    let drawn: Vec<_> = drawn.filter(|(_, _, width)| *width > 0).collect();
    html! {
        svg.chain viewBox=(format!("0 0 {WIDTH} 10")) preserveAspectRatio="none" role="img"
            aria-label=(words) {
            title { (words) }
            @for (class, from, width) in drawn {
                rect.(class) x=(from) y="0" width=(width) height="10" {}
            }
        }
    }
}

/// What the colours of a chain's bar mean.
#[must_use]
pub fn legend() -> Markup {
    legend_of(&[("spent", "spent"), ("leased", "leased"), ("free", "free"), ("retired", "given up")])
}

/// What colours mean: their classes and words.
#[must_use]
pub fn legend_of(colours: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, word) in colours {
                li {
                    svg.key width="12" height="12" aria-hidden="true" {
                        rect.(class) width="12" height="12" {}
                    }
                    (word)
                }
            }
        }
    }
}

/// The empty border that a QR code needs, in modules.
const QUIET: usize = 4;

/// A text as a QR code; nothing if it is too long for one.
#[must_use]
pub fn qr(name: &str, text: &str) -> Markup {
    let code = (text.len() <= MAX_QR).then(|| qrcode::QrCode::new(text.as_bytes()).ok()).flatten();
    let Some(code) = code else { return super::nothing() };
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (y, line) in colors.chunks(width.max(1)).enumerate() {
        let mut x = 0;
        while x < line.len() {
            let run = line[x..].iter().take_while(|color| **color == qrcode::Color::Dark).count();
            if run > 0 {
                path.push_str(&format!("M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET));
            }
            x += run + 1;
        }
    }
    let side = width + 2 * QUIET;
    html! {
        svg.qr viewBox=(format!("0 0 {side} {side}")) width="200" height="200" role="img" aria-label=(name)
            shape-rendering="crispEdges" {
            rect.paper width=(side) height=(side) {}
            path.ink d=(PreEscaped(path)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_its_share_however_large_the_amounts() {
        let chain =
            ChainView { total: u64::MAX, spent: u64::MAX / 2, leased: u64::MAX / 4, ..ChainView::default() };
        let drawn = chain_bar(&chain).into_string();
        assert!(drawn.contains(r#"class="spent" x="0" y="0" width="499""#), "{drawn}");
        assert!(chain_bar(&ChainView::default()).into_string().contains("0 spent"));
        assert_eq!((scaled(0, 1), scaled(1, u64::MAX), scaled(u64::MAX, u64::MAX)), (0, 2, HEIGHT));
    }

    #[test]
    fn a_text_too_long_for_a_screen_is_not_drawn() {
        assert!(qr("x", "netpay://…").into_string().contains("<path"));
        assert!(qr("x", &"x".repeat(MAX_QR + 1)).into_string().is_empty());
    }
}
