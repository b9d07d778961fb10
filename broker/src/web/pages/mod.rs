//! The broker's pages: plain functions from views to HTML, in the frame of [`netpay_node::ui`].

pub mod account;
pub mod accounts;
pub mod books;
pub mod chains;
pub mod disputes;
pub mod error;
pub mod home;
pub mod login;
pub mod overview;
pub mod payouts;
pub mod redemptions;
pub mod register;
pub mod software;
#[cfg(test)]
mod tests;
pub mod vouchers;

use maud::{Markup, html};
use netpay_node::shown;
use netpay_node::ui::layout::{self, Notice, Section, Shell};
use netpay_node::ui::parts::{self, Pages, Seal, Tone, badge, icon};

/// The places of the public's pages.
pub const PUBLIC: [Section; 4] = [
    Section { href: "/", label: "Home", icon: "home" },
    Section { href: "/register", label: "Register", icon: "plus" },
    Section { href: "/software", label: "Software", icon: "down" },
    Section { href: "/account", label: "My account", icon: "wallet" },
];

/// The places of the operator's pages.
pub const DESK: [Section; 8] = [
    Section { href: "/", label: "Overview", icon: "home" },
    Section { href: "/accounts", label: "Accounts", icon: "peers" },
    Section { href: "/chains", label: "Chains", icon: "coins" },
    Section { href: "/redemptions", label: "Redeemed", icon: "down" },
    Section { href: "/payouts", label: "Payouts", icon: "up" },
    Section { href: "/disputes", label: "Disputes", icon: "warning" },
    Section { href: "/books", label: "Books", icon: "file" },
    Section { href: "/vouchers", label: "Vouchers", icon: "key" },
];

/// What every page of a request has in common.
#[derive(Clone, Debug)]
pub struct Context {
    /// What the bank is called.
    pub owner: String,
    /// The secret of the session.
    pub csrf: String,
    /// What to say first.
    pub notice: Option<Notice>,
    /// What the header says.
    pub status: Markup,
    /// The places one can go to.
    pub sections: &'static [Section],
    /// The program.
    pub product: &'static str,
}

impl Context {
    /// Of a page for everybody.
    #[must_use]
    pub fn public(owner: &str, csrf: &str, alive: usize) -> Self {
        let status = html! { span { (icon("peers")) b { (alive) } "members online" } };
        Self {
            owner: owner.to_owned(),
            csrf: csrf.to_owned(),
            notice: None,
            status,
            sections: &PUBLIC,
            product: "NetPay",
        }
    }

    /// Of a page for the operator.
    #[must_use]
    pub fn desk(owner: &str, csrf: &str, (alive, sound): (usize, bool), notice: Option<Notice>) -> Self {
        let books = match sound {
            true => badge(Tone::Good, "the books balance"),
            false => badge(Tone::Bad, "the books do not balance"),
        };
        let status = html! { span { (books) } span { (icon("peers")) b { (alive) } "online" } };
        Self {
            owner: owner.to_owned(),
            csrf: csrf.to_owned(),
            notice,
            status,
            sections: &DESK,
            product: "NetPay broker",
        }
    }

    /// A page of a section.
    #[must_use]
    pub fn page(&self, section: &str, title: &str, body: &Markup) -> Markup {
        let shell = Shell {
            product: self.product,
            owner: &self.owner,
            sections: self.sections,
            current: section,
            status: self.status.clone(),
            status_url: None,
            notice: self.notice.clone(),
        };
        layout::page(&shell, title, body)
    }

    /// The seal of a form that does the same when it is sent twice.
    #[must_use]
    pub fn seal(&self) -> Seal<'_> {
        Seal { csrf: &self.csrf, key: None }
    }

    /// The seal of a form that moves money, with a key for once.
    #[must_use]
    pub fn sealed<'a>(&'a self, key: &'a str) -> Seal<'a> {
        Seal { csrf: &self.csrf, key: Some(key) }
    }
}

/// A moment, as views have it.
#[must_use]
pub fn when(stamp: &str) -> Markup {
    let words = stamp.trim_end_matches('Z').replacen('T', " ", 1);
    html! { time datetime=(stamp) { (words) " UTC" } }
}

/// The day of a moment, where the hour says nothing.
#[must_use]
pub fn on_day(stamp: &str) -> Markup {
    html! { span { (stamp.split('T').next().unwrap_or(stamp)) } }
}

/// An account by its key, which leads to it on the operator's pages.
#[must_use]
pub fn account_link(account: &str) -> Markup {
    html! { a href=(format!("/accounts/{account}")) { (parts::id(account)) } }
}

/// A chain by its id, which leads to it on the operator's pages.
#[must_use]
pub fn chain_link(chain: &str) -> Markup {
    html! { a href=(format!("/chains/{chain}")) { (parts::id(chain)) } }
}

/// The way through a list whose pages begin behind a name: on to the next, and back to the first.
#[must_use]
pub fn pages(address: &str, is_later: bool, next: Option<&str>) -> Pages {
    let sign = if address.contains('?') { '&' } else { '?' };
    Pages {
        before: is_later.then(|| address.to_owned()),
        behind: next.map(|next| format!("{address}{sign}after={next}")),
        shown: String::new(),
    }
}

/// A number with its digits in groups.
#[must_use]
pub fn grouped(number: impl TryInto<u64>) -> String {
    shown::grouped(number.try_into().unwrap_or(u64::MAX))
}

/// So many of something, in words.
#[must_use]
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", shown::grouped(number), if number == 1 { "" } else { "s" })
}

/// The form that signs out.
#[must_use]
pub fn sign_out(context: &Context, action: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (context.seal().fields())
            button type="submit" { "Sign out" }
        }
    }
}
