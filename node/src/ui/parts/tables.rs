//! Tables that become cards where there is little room, and the way from page to page.

use maud::{Markup, html};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    class: &'static str,
}

impl Column {
    /// Of texts.
    #[must_use]
    pub const fn text(title: &'static str) -> Self {
        Self { title, class: "" }
    }

    /// Of amounts, which stand to the right.
    #[must_use]
    pub const fn amount(title: &'static str) -> Self {
        Self { title, class: "amount" }
    }

    /// Of what names a row: it takes the room that is left.
    #[must_use]
    pub const fn name(title: &'static str) -> Self {
        Self { title, class: "name" }
    }

    /// Of bars, which need some room.
    #[must_use]
    pub const fn bar(title: &'static str) -> Self {
        Self { title, class: "wide" }
    }

    /// Of what can be done with a row.
    #[must_use]
    pub const fn acts(title: &'static str) -> Self {
        Self { title, class: "acts" }
    }
}

/// A table. Each cell bears its column's title, which is shown beside it where the table becomes cards; the first cell
/// names its row.
#[must_use]
pub fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll {
            table.rows {
                caption.hidden { (caption) }
                thead {
                    tr {
                        @for column in columns { th.(column.class) scope="col" { (column.title) } }
                    }
                }
                tbody {
                    @for row in rows { (cells(columns, row)) }
                }
            }
        }
    }
}

fn cells(columns: &[Column], row: &[Markup]) -> Markup {
    html! {
        tr {
            @for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
                @if at == 0 {
                    th.(column.class) scope="row" data-title=(column.title) { (cell) }
                } @else {
                    td.(column.class) data-title=(column.title) { (cell) }
                }
            }
        }
    }
}

/// Names with their values.
#[must_use]
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Where a list that comes in pages stands.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The address of the page before, if there is one.
    pub before: Option<String>,
    /// The address of the page behind.
    pub behind: Option<String>,
    /// What is shown, as in "51 to 100 of 10,000".
    pub shown: String,
}

impl Pages {
    /// Of a list of `total` of which `many` are shown from number `from` on (counted from 0), at `size` a page.
    /// `address` makes the address of the page that begins with a number.
    #[must_use]
    pub fn of(
        from: usize,
        many: usize,
        total: usize,
        size: usize,
        address: impl Fn(usize) -> String,
    ) -> Self {
        let last = from + many;
        let shown = |n: usize| crate::shown::grouped(u64::try_from(n).unwrap_or(u64::MAX));
        Self {
            before: (from > 0).then(|| address(from.saturating_sub(size))),
            behind: (last < total).then(|| address(last)),
            shown: if many == 0 {
                String::new()
            } else {
                format!("{} to {} of {}", shown(from + 1), shown(last), shown(total))
            },
        }
    }
}

/// The way to the pages before and behind; nothing if this is the only one.
#[must_use]
pub fn pager(pages: &Pages) -> Markup {
    if pages.before.is_none() && pages.behind.is_none() {
        return super::nothing();
    }
    html! {
        nav.pager aria-label="Pages" {
            @if let Some(before) = &pages.before { a.button rel="prev" href=(before) { "← Before" } }
            span { (pages.shown) }
            @if let Some(behind) = &pages.behind { a.button rel="next" href=(behind) { "Next →" } }
        }
    }
}
