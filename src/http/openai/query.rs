//! What stands behind the question mark of a URL.

use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::{Order, Page, PageLimit};
use url::form_urlencoded;

/// Names and values. Names that nobody asks for are nothing to anybody.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query.
    pub(super) fn parse(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The last value of that name; an empty one is none.
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a list, in any of the spellings of clients: `a=1&a=2`, `a[]=1&a[]=2`, `a[0]=1`, `a=1,2`.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let is_of_list = |known: &str| known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
        let values = self.0.iter().filter(|(known, _)| is_of_list(known)).flat_map(|(_, value)| value.split(','));
        values.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// A whole number.
    ///
    /// # Errors
    /// `InvalidRequest` for anything else.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, GatewayError> {
        self.value(name).map(|value| value.parse().map_err(|_| wrong(name, "an integer", value))).transpose()
    }

    /// `true` or `false`; false when it is not there.
    ///
    /// # Errors
    /// `InvalidRequest` for anything else.
    pub(super) fn switch(&self, name: &str) -> Result<bool, GatewayError> {
        match self.value(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(value) => Err(wrong(name, "a boolean", value)),
        }
    }

    /// Which page of a list is wanted: `after`, `before`, `limit`, `order`.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit or an order that there is not.
    pub(super) fn page(&self) -> Result<Page, GatewayError> {
        let limit = match self.number("limit")? {
            None => PageLimit::default(),
            Some(limit) => PageLimit::new(limit).ok_or_else(|| {
                let message = format!("Invalid 'limit': expected a value between 1 and {}, but got {limit} instead.", PageLimit::MAX);
                GatewayError::invalid_with_code("limit", message, "invalid_value")
            })?,
        };
        let order = match self.value("order") {
            None => Order::default(),
            Some("asc") => Order::Ascending,
            Some("desc") => Order::Descending,
            Some(other) => {
                let message = format!("Invalid value: '{other}'. Supported values are: 'asc' and 'desc'.");
                return Err(GatewayError::invalid_with_code("order", message, "invalid_value"));
            }
        };
        let cursor = |name| self.value(name).map(str::to_owned);
        Ok(Page { after: cursor("after"), before: cursor("before"), limit, order })
    }
}

fn wrong(name: &str, expected: &str, value: &str) -> GatewayError {
    let message = format!("Invalid type for '{name}': expected {expected}, but got '{value}' instead.");
    GatewayError::invalid_with_code(name, message, "invalid_type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, String> {
        Query::parse(Some(query)).page().map_err(|error| error.to_string())
    }

    #[test]
    fn a_page_is_the_newest_twenty_unless_it_says_otherwise() {
        assert_eq!(page("").unwrap(), Page::default());
        let wanted = page("after=msg_1&limit=3&order=asc").unwrap();
        assert_eq!((wanted.after.as_deref(), wanted.before, wanted.limit.get(), wanted.order), (Some("msg_1"), None, 3, Order::Ascending));
    }

    #[test]
    fn limits_and_orders_that_there_are_not_are_refused_by_name() {
        for (query, words) in [
            ("limit=0", "Invalid 'limit'"),
            ("limit=101", "Invalid 'limit'"),
            ("limit=x", "Invalid type for 'limit'"),
            ("limit=-1", "Invalid type for 'limit'"),
            ("order=up", "Supported values are: 'asc' and 'desc'"),
        ] {
            assert!(page(query).unwrap_err().contains(words), "{query}");
        }
    }

    #[test]
    fn lists_come_in_every_spelling() {
        for query in ["include=a&include=b", "include[]=a&include[]=b", "include%5B0%5D=a&include%5B1%5D=b", "include=a,b"] {
            assert_eq!(Query::parse(Some(query)).words("include"), ["a", "b"], "{query}");
        }
        assert!(Query::parse(None).words("include").is_empty());
    }

    #[test]
    fn switches_and_numbers() {
        let query = Query::parse(Some("stream=true&starting_after=7&empty="));
        assert_eq!((query.switch("stream"), query.switch("empty"), query.number("starting_after")), (Ok(true), Ok(false), Ok(Some(7))));
        assert!(Query::parse(Some("stream=maybe")).switch("stream").is_err());
    }
}
