//! What must hold of every page, a peer's or a broker's (which has this file too).

use scraper::{ElementRef, Html, Selector};
use std::collections::BTreeSet;

/// What somebody might call a file or himself.
pub const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}gpj.\u{1b}[31m\u{200b}&amp;";

/// All elements that a selector names.
pub fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    let selector = Selector::parse(selector).expect("a selector");
    page.select(&selector).collect()
}

/// What must hold of every whole page, whoever made it.
pub fn holds(name: &str, text: &str) {
    let page = Html::parse_document(text);
    assert!(page.errors.is_empty(), "{name} is not well-formed: {:?}", page.errors);
    assert_eq!(all(&page, "h1").len(), 1, "{name} has one h1");
    assert_eq!(all(&page, "main").len(), 1, "{name} has one main");
    assert_eq!(all(&page, "html[lang]").len(), 1, "{name} says its language");
    assert!(!all(&page, "title")[0].text().collect::<String>().is_empty(), "{name} has a title");
    headings_in_order(name, &page);
    labelled(name, &page);
    sealed(name, &page);
    nothing_inline(name, &page);
    nothing_from_elsewhere(name, &page);
    references_hold(name, &page);
}

/// What must hold of a page that strangers had a hand in: it takes no name for HTML, and shows nothing that cannot be seen.
pub fn harmless(name: &str, text: &str) {
    let page = Html::parse_document(text);
    assert!(all(&page, "img, main script, [onerror]").is_empty(), "{name} took a name for HTML");
    let unseen = |text: &str| text.contains(['\u{202e}', '\u{1b}', '\u{200b}']);
    assert!(!page.root_element().text().any(unseen), "{name} shows what cannot be seen");
    for element in all(&page, "*") {
        // What was typed is given back as it was typed.
        let mut told = element.value().attrs().filter(|(attribute, _)| *attribute != "value");
        assert!(!told.any(|(_, value)| unseen(value)), "{name}: {}", element.html());
    }
}

fn headings_in_order(name: &str, page: &Html) {
    let mut last = 0;
    for heading in all(page, "h1, h2, h3, h4") {
        let level = heading.value().name()[1..].parse::<usize>().expect("a level");
        assert!(level <= last + 1, "{name}: h{level} follows h{last}");
        last = level;
    }
}

fn labelled(name: &str, page: &Html) {
    let labels: BTreeSet<_> = all(page, "label[for]").iter().filter_map(|label| label.attr("for")).collect();
    for input in all(page, "input:not([type=hidden]), select, textarea") {
        let id = input.attr("id").unwrap_or_default();
        assert!(labels.contains(id), "{name}: {} has no label", input.html());
    }
    for button in all(page, "button, a") {
        let words: String = button.text().collect();
        assert!(!words.trim().is_empty(), "{name}: {} says nothing", button.html());
    }
    for table in all(page, "table") {
        assert_eq!(table.select(&Selector::parse("caption").expect("a selector")).count(), 1, "{name}");
    }
}

fn sealed(name: &str, page: &Html) {
    let csrf = Selector::parse("input[name=csrf]").expect("a selector");
    for form in all(page, "form[method=post]") {
        let action = form.attr("action").unwrap_or_default();
        let needs = action != "/login";
        assert_eq!(form.select(&csrf).next().is_some(), needs, "{name}: the form of {action}");
        let key = Selector::parse("input[name=key]").expect("a selector");
        let moves_money =
            ["/buy", "/wallet/buy", "/wallet/voucher", "/wallet/register", "/sales/redeem", "/vouchers"];
        if moves_money.contains(&action) || action.ends_with("/credit") {
            assert!(form.select(&key).next().is_some(), "{name}: {action} would be done twice");
        }
    }
}

fn nothing_inline(name: &str, page: &Html) {
    assert!(all(page, "style, [style]").is_empty(), "{name} has styles of its own");
    for script in all(page, "script") {
        assert!(
            script.attr("src").is_some() && script.inner_html().is_empty(),
            "{name} has a script of its own"
        );
    }
    for element in all(page, "*") {
        let event = element.value().attrs().find(|(attribute, _)| attribute.starts_with("on"));
        assert!(event.is_none(), "{name}: {event:?}");
    }
}

fn nothing_from_elsewhere(name: &str, page: &Html) {
    for element in all(page, "[src], [href], [action], [hx-get], [hx-post]") {
        for attribute in ["src", "href", "action", "hx-get", "hx-post"] {
            if let Some(address) = element.attr(attribute) {
                let own =
                    (address.starts_with('/') && !address.starts_with("//")) || address.starts_with('#');
                assert!(own, "{name}: {attribute} is {address}");
            }
        }
    }
}

fn references_hold(name: &str, page: &Html) {
    let mut ids = BTreeSet::new();
    for element in all(page, "[id]") {
        let id = element.attr("id").expect("it has one");
        assert!(ids.insert(id), "{name}: the id {id} comes twice");
    }
    for attribute in ["aria-labelledby", "aria-describedby"] {
        for element in all(page, &format!("[{attribute}]")) {
            let id = element.attr(attribute).expect("it has one");
            assert!(ids.contains(id), "{name}: nothing has the id {id}");
        }
    }
    for link in all(page, "a[href^='#']") {
        let id = link.attr("href").expect("it has one").trim_start_matches('#');
        assert!(ids.contains(id), "{name}: nothing has the id {id}");
    }
}
