//! Query parameters, all known by name: one that nobody knows is refused, so that a misspelt filter never looks like
//! "everything".

use actix_web::HttpRequest;
use actix_web::web::Query;

use super::conversations::Items;
use super::error::Problem;

/// Items of a list where the client does not say.
pub const LIMIT_DEFAULT: usize = 50;
/// Items of one page: about half a megabyte of conversations.
pub const LIMIT_MAX: usize = 500;

/// Longest text that is searched for: as long as a name.
const SEARCH_CHARS_MAX: usize = 256;

/// The parameters of one request.
#[derive(Debug)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// # Errors
    /// 400 for a parameter that is not in `known`, or that is given twice.
    pub fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    fn parse(query: &str, known: &[&str]) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map_err(|error| {
            Problem::bad_request("invalid-query", format!("the query cannot be read: {error}"), "Percent-encode its values.")
        })?;
        let pairs = pairs.into_inner();
        for (position, (name, _)) in pairs.iter().enumerate() {
            let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
            if !known.contains(&name.as_str()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let action = format!("Correct or leave out the parameter; there are: {known}.");
                return Err(Problem::bad_request("unknown-parameter", format!("there is no parameter `{shown}`"), action));
            }
            if pairs[..position].iter().any(|(other, _)| other == name) {
                return Err(Problem::bad_request("doubled-parameter", format!("`{shown}` is given twice"), "Give it once."));
            }
        }
        Ok(Self { pairs })
    }

    /// A parameter's value; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A parameter read by `read`.
    ///
    /// # Errors
    /// 400 naming it and what it must be.
    pub fn read<T>(&self, name: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::bad_request("invalid-parameter", format!("`{name}` must be {expected}"), "Correct it and ask again.")),
        }
    }

    /// `q`: what is searched for.
    ///
    /// # Errors
    /// 400 when it is longer than any name.
    pub fn search(&self) -> Result<Option<&str>, Problem> {
        match self.get("q") {
            Some(q) if q.chars().count() > SEARCH_CHARS_MAX => {
                let detail = format!("`q` is longer than {SEARCH_CHARS_MAX} characters");
                Err(Problem::bad_request("invalid-parameter", detail, "Shorten it and ask again."))
            }
            q => Ok(q),
        }
    }

    /// # Errors
    /// 400 when it is not a number within the bounds.
    pub fn limit(&self) -> Result<usize, Problem> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        Ok(self.read("limit", "1 to 500", read)?.unwrap_or(LIMIT_DEFAULT))
    }
}

/// Which part of a list that is kept oldest first and numbered, and shown newest first: `after` and `limit`.
pub struct NewestFirst {
    after: Option<u64>,
    limit: usize,
}

impl NewestFirst {
    /// # Errors
    /// 400 for another parameter, or one that makes no sense.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let parameters = Parameters::of(request, &["after", "limit"])?;
        let after = parameters.read("after", "the `next` of the page before", |text| text.parse().ok())?;
        Ok(Self { after, limit: parameters.limit()? })
    }

    pub fn page<'a, T, V>(&self, all: &'a [T], number: impl Fn(&T) -> u64, view: impl Fn(&'a T) -> V) -> Items<V> {
        let mut found = all.iter().rev().filter(|one| self.after.is_none_or(|after| number(one) < after));
        let page: Vec<&T> = found.by_ref().take(self.limit).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|last| number(last).to_string());
        Items { items: page.into_iter().map(view).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_refused_by_name() {
        let refused = |query| Parameters::parse(query, &["limit", "q"]).unwrap_err().to_string();
        assert_eq!(refused("limt=5"), "unknown-parameter: there is no parameter `limt`");
        assert_eq!(refused("q=a&q=b"), "doubled-parameter: `q` is given twice");
    }

    #[test]
    fn limits_have_limits() {
        let limit = |query| Parameters::parse(query, &["limit"]).and_then(|parameters| parameters.limit()).map_err(|p| p.kind());
        assert_eq!((limit(""), limit("limit="), limit("limit=1"), limit("limit=500")), (Ok(50), Ok(50), Ok(1), Ok(500)));
        for bad in ["limit=0", "limit=501", "limit=-1", "limit=many"] {
            assert_eq!(limit(bad), Err("invalid-parameter"), "{bad}");
        }
    }
}
