//! Forms: plain POSTs that work without scripts. Each carries the session's secret, and those that move money a key
//! under which they are carried out once.

use super::icon;
use maud::{Markup, html};

/// What makes a form ours.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The secret of the session, which no other site knows.
    pub csrf: &'a str,
    /// The key under which a money-moving request is carried out once; `None` where twice is the same as once.
    pub key: Option<&'a str>,
}

impl Seal<'_> {
    /// The hidden fields.
    #[must_use]
    pub fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="csrf" value=(self.csrf);
            @if let Some(key) = self.key { input type="hidden" name="key" value=(key); }
        }
    }
}

/// One labelled input.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name in the form, unique on the page.
    pub name: &'a str,
    /// What it asks for.
    pub label: &'a str,
    /// `text`, `number`, `password`, `search`, `file` …
    pub kind: &'a str,
    /// What was typed before, or is in effect.
    pub value: &'a str,
    /// A line about what may be typed.
    pub hint: &'a str,
    /// Whether it may be empty.
    pub required: bool,
    /// The least and the most, of a number.
    pub range: Option<(u64, u64)>,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self { name: "", label: "", kind: "text", value: "", hint: "", required: false, range: None }
    }
}

/// A labelled input.
#[must_use]
pub fn field(field: &Field<'_>) -> Markup {
    let id = format!("f-{}", field.name.replace('.', "-"));
    let hint = (!field.hint.is_empty()).then(|| format!("{id}-hint"));
    let secret = matches!(field.kind, "password");
    let autocomplete = match field.kind {
        "password" => Some("current-password"),
        "file" => None,
        _ => Some("off"),
    };
    // A secret is not given back in a page.
    let value = (!secret && field.kind != "file" && !field.value.is_empty()).then_some(field.value);
    html! {
        div.field {
            label for=(id) { (field.label) }
            input id=(id) name=(field.name) type=(field.kind) value=[value] required[field.required]
                min=[field.range.map(|(least, _)| least)] max=[field.range.map(|(_, most)| most)]
                inputmode=[(field.kind == "number").then_some("numeric")] aria-describedby=[hint.as_deref()]
                autocomplete=[autocomplete];
            @if let Some(hint) = &hint { p.hint id=(hint) { (field.hint) } }
        }
    }
}

/// A labelled choice: pairs of a value and a word; and a line about it, if there is something to say.
#[must_use]
pub fn select(name: &str, label: &str, choices: &[(&str, &str)], chosen: &str, hint: &str) -> Markup {
    select_of(None, name, label, choices, chosen, hint)
}

/// The same in the body of a question; it goes along with the yes.
#[must_use]
pub fn select_asked(name: &str, label: &str, choices: &[(&str, &str)], chosen: &str, hint: &str) -> Markup {
    select_of(Some(ANSWER), name, label, choices, chosen, hint)
}

fn select_of(
    form: Option<&str>,
    name: &str,
    label: &str,
    choices: &[(&str, &str)],
    chosen: &str,
    hint: &str,
) -> Markup {
    let id = format!("f-{}", name.replace('.', "-"));
    let hint_id = (!hint.is_empty()).then(|| format!("{id}-hint"));
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(name) form=[form] aria-describedby=[hint_id.as_deref()] {
                @for (value, word) in choices { option value=(value) selected[*value == chosen] { (word) } }
            }
            @if let Some(id) = &hint_id { p.hint id=(id) { (hint) } }
        }
    }
}

/// A button that does one thing by itself: a form with nothing to fill in. `what` says on what, for those who only hear
/// the button.
#[must_use]
pub fn button(action: &str, seal: Seal<'_>, picture: &str, word: &str, what: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (seal.fields())
            button type="submit" { (icon(picture)) span { (word) span.hidden { " " (what) } } }
        }
    }
}

/// What a command line would do the same with.
#[must_use]
pub fn command(command: &str) -> Markup {
    html! {
        details.command {
            summary { "As a command" }
            code { (command) }
        }
    }
}

/// A word as a shell takes it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", crate::shown::foreign(word).replace('\'', "'\\''"))
}

/// The form of a question.
const ANSWER: &str = "answer";

/// A question before coins are spent or something is destroyed.
#[derive(Debug)]
pub struct Confirm<'a> {
    /// The question.
    pub title: &'a str,
    /// What will happen: the amount, the party, what can be lost.
    pub body: Markup,
    /// Where the yes goes.
    pub action: &'a str,
    /// What the form carries beside its seal.
    pub fields: &'a [(&'a str, &'a str)],
    /// The seal.
    pub seal: Seal<'a>,
    /// What the yes is called: the act itself.
    pub yes: &'a str,
    /// Whether it destroys.
    pub destroys: bool,
    /// Where a no leads.
    pub back: &'a str,
    /// The same as a command; none if empty.
    pub command: &'a str,
}

/// A question. It is a page of its own; with scripts it is shown in a dialog.
#[must_use]
pub fn confirm(asked: &Confirm<'_>) -> Markup {
    html! {
        section.confirm #confirm {
            h1 { (asked.title) }
            (asked.body)
            form id=(ANSWER) method="post" action=(asked.action) {
                (asked.seal.fields())
                @for (name, value) in asked.fields { input type="hidden" name=(name) value=(value); }
                div.buttons {
                    button.primary.danger[asked.destroys] type="submit" { (asked.yes) }
                    // Who destroys has to mean it: Enter alone leads back.
                    a.button href=(asked.back) data-close autofocus[asked.destroys] { "Back" }
                }
            }
            @if !asked.command.is_empty() { (command(asked.command)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_shown_can_be_pasted_and_does_only_what_it_shows() {
        assert_eq!(quoted("netpay:ab12"), "netpay:ab12");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm -rf ~"), "'it'\\''s; rm -rf ~'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_passphrase_is_never_given_back() {
        let shown = field(&Field { name: "p", kind: "password", value: "secret", ..Field::default() });
        assert!(!shown.into_string().contains("secret"));
    }
}
