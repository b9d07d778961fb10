//! Lists, a page at a time.

use crate::app::Trouble;
use serde::{Deserialize, Serialize};

/// The most things on one page.
pub const MAX_PAGE: usize = 500;
/// Things on one page, where it is not said how many.
const USUAL_PAGE: usize = 100;

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The things on it.
    pub items: Vec<T>,
    /// What to give as `after` for the next page; nothing if this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page of what follows, of which one more than fits was looked up, if there is so much. `cursor` names one of them.
    pub fn of<R>(
        found: impl IntoIterator<Item = R>,
        limit: usize,
        cursor: impl Fn(&R) -> String,
        mut view: impl FnMut(R) -> T,
    ) -> Self {
        let mut found = found.into_iter();
        let (mut items, mut last) = (Vec::new(), None);
        for one in found.by_ref().take(limit) {
            last = Some(cursor(&one));
            items.push(view(one));
        }
        let next = last.filter(|_| found.next().is_some());
        Self { items, next }
    }

    /// A list that is never longer than a page.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct Part {
    /// `next` of the page before; from the beginning without it.
    pub after: Option<String>,
    /// How many at most, 1 to 500; 100 without it.
    pub limit: Option<usize>,
}

impl Part {
    /// The first so many.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { after: None, limit: Some(limit) }
    }

    /// How many are wanted.
    ///
    /// # Errors
    /// If that is none, or more than a page holds.
    pub fn limit(&self) -> Result<usize, Trouble> {
        let limit = self.limit.unwrap_or(USUAL_PAGE);
        if (1..=MAX_PAGE).contains(&limit) {
            return Ok(limit);
        }
        Err(Trouble::bad("limit", limit.to_string(), format!("a page has 1 to {MAX_PAGE} things")))
    }

    /// What the page follows on.
    ///
    /// # Errors
    /// If it is no cursor of this list.
    pub fn after<C>(&self, parse: impl FnOnce(&str) -> Option<C>) -> Result<Option<C>, Trouble> {
        let bad =
            |after: &String| Trouble::bad("after", after.clone(), "it is not the `next` of such a list");
        self.after.as_ref().map(|after| parse(after).ok_or_else(|| bad(after))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_on_each_other_and_the_last_one_says_so() {
        let (mut after, mut seen, mut pages) = (0_u64, Vec::new(), 0);
        loop {
            let page = Page::of(after + 1..=10, 4, u64::to_string, |n| n);
            seen.extend(page.items);
            pages += 1;
            match page.next {
                Some(next) => after = next.parse().expect("a number"),
                None => break,
            }
        }
        assert_eq!((seen, pages), ((1..=10).collect(), 3));
        // A full page that nothing follows is the last one.
        assert_eq!(Page::of(1..=4, 4, i32::to_string, |n| n).next, None);
        for limit in [0, MAX_PAGE + 1, usize::MAX] {
            assert!(Part::first(limit).limit().is_err(), "{limit}");
        }
    }
}
