//! A workspace's categories as JSON (CONTRACT.md, "Reading and acting"; L10).

use serde::{Deserialize, Serialize};

use super::agents::is_dots;
use super::command::{CommandProblem, bounded, read};
use super::problem::Fault;
use crate::domain::categories::{CATEGORY_CHARS_MAX, Category, DESCRIPTION_CHARS_MAX};

#[derive(Serialize)]
pub struct CategoryView<'a> {
    name: &'a str,
    description: Option<&'a str>,
}

impl<'a> CategoryView<'a> {
    pub fn new(category: &'a Category) -> Self {
        Self { name: &category.name, description: category.description.as_deref() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Null takes it away; it is the only thing there is to change, so it is never left out.
    #[serde(deserialize_with = "Option::deserialize")]
    description: Option<String>,
}

/// `{name, description?}`.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_new(body: &[u8]) -> Result<Category, CommandProblem> {
    let New { name, description } = read(body)?;
    let name = bounded(Some(name), "name", CATEGORY_CHARS_MAX)?.ok_or(CommandProblem::Invalid(Fault::MissingMember { member: "name" }))?;
    if name.chars().any(char::is_control) || is_dots(&name) {
        return Err(CommandProblem::Invalid(Fault::WrongType { member: "name", expected: "a text in one line" }));
    }
    Ok(Category { name, description: bounded(description, "description", DESCRIPTION_CHARS_MAX)? })
}

/// `{description}`: a name is fixed.
///
/// # Errors
/// [`CommandProblem`] names the member.
pub fn parse_description(body: &[u8]) -> Result<Option<Box<str>>, CommandProblem> {
    let Description { description } = read(body)?;
    bounded(description, "description", DESCRIPTION_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l10_a_category_is_a_name_and_perhaps_a_description() {
        let category = |name: &str, description: Option<&str>| Category { name: name.into(), description: description.map(Into::into) };
        assert_eq!(parse_new(br#"{"name":" Billing ","description":""}"#), Ok(category("Billing", None)));
        let most = format!(r#"{{"name":"{}","description":"Money"}}"#, "\u{e9}".repeat(CATEGORY_CHARS_MAX));
        assert_eq!(parse_new(most.as_bytes()), Ok(category(&"\u{e9}".repeat(CATEGORY_CHARS_MAX), Some("Money"))));
        assert_eq!(parse_description(br#"{"description":null}"#), Ok(None));
        assert_eq!(parse_description(br#"{"description":"Money"}"#), Ok(Some("Money".into())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(CATEGORY_CHARS_MAX + 1));
        for (body, says) in [
            ("{}", "`name`"),
            (r#"{"name":"  "}"#, "`name`"),
            (r#"{"name":"a\nb"}"#, "`name`"),
            (r#"{"name":"."}"#, "`name`"),
            (&long, "`name` is longer than 128 characters"),
            (r#"{"name":"x","colour":"red"}"#, "`colour`"),
        ] {
            let problem = parse_new(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
        for (body, says) in [("{}", "`description`"), (r#"{"name":"x"}"#, "`name`")] {
            let problem = parse_description(body.as_bytes()).expect_err(body).to_string();
            assert!(problem.contains(says), "{body}: {problem}");
        }
    }
}
