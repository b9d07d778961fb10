use super::Trouble; use super::view::ErrorView;
impl From<Trouble> for ErrorView { fn from(t: Trouble)->Self { ErrorView{ what: t.to_string(), ..Default::default()} } }
