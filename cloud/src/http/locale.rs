//! How the reader's region writes dates. Pages are English, and all regions that write English put a
//! point before decimals; they differ in whether day or month stands first. The month is a word in
//! either form, because 03/04 is another day on each side of the Atlantic. Hours count to 24, as
//! instruments print them.
//!
//! The region is what the browser asks for (`Accept-Language`), not where its clock says it is. It
//! goes with the request's task instead of through every function that shows a date.

use axum::{
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use jiff::civil::Date;
use tokio::task_local;

/// Longest header that is looked at, in bytes.
const HEADER_LEN_MAX: usize = 500;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// `23 Nov 2026`
    #[default]
    DayFirst,
    /// `Nov 23, 2026`
    MonthFirst,
}

task_local! {
    static ORDER: DateOrder;
}

impl DateOrder {
    /// By the first English region that the browser asks for; English without a region is American.
    pub fn asked_for(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let asked = asked.filter(|asked| asked.len() <= HEADER_LEN_MAX).unwrap_or_default();
        let mut languages = asked.split(',').filter_map(|it| it.split(';').next()).map(str::trim);
        let english =
            languages.find(|it| it.get(..2).is_some_and(|it| it.eq_ignore_ascii_case("en")));
        match english {
            Some(region) if region.len() == 2 || region.eq_ignore_ascii_case("en-US") => {
                DateOrder::MonthFirst
            }
            _ => DateOrder::DayFirst,
        }
    }

    fn current() -> Self {
        ORDER.try_with(|order| *order).unwrap_or_default()
    }
}

/// Lets everything that the request shows know the region.
pub async fn read(request: Request, next: Next) -> Response {
    let order = DateOrder::asked_for(request.headers());
    ORDER.scope(order, next.run(request)).await
}

/// `23 Nov 2026`, `Nov 23, 2026`.
pub fn date(date: Date) -> String {
    let form = match DateOrder::current() {
        DateOrder::DayFirst => "%-d %b %Y",
        DateOrder::MonthFirst => "%b %-d, %Y",
    };
    date.strftime(form).to_string()
}

/// Without the year: `23 Nov`, `Nov 23`.
pub fn day(date: Date) -> String {
    let form = match DateOrder::current() {
        DateOrder::DayFirst => "%-d %b",
        DateOrder::MonthFirst => "%b %-d",
    };
    date.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(header: &str) -> DateOrder {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, header.parse().unwrap());
        DateOrder::asked_for(&headers)
    }

    #[test]
    fn the_browsers_region_decides() {
        for american in ["en-US,en;q=0.9", "en", "de-DE,en-us;q=0.5", "EN"] {
            assert_eq!(asked(american), DateOrder::MonthFirst, "{american}");
        }
        for other in ["en-GB,en-US;q=0.8", "de-DE,de;q=0.9", "fr", "", "*", "en-AU", "é"] {
            let header = other.replace('é', "");
            assert_eq!(asked(&header), DateOrder::DayFirst, "{other}");
        }
        assert_eq!(DateOrder::asked_for(&HeaderMap::new()), DateOrder::DayFirst);
    }

    #[tokio::test]
    async fn dates_follow_it() {
        let on = Date::constant(2026, 11, 3);
        assert_eq!((date(on), day(on)), ("3 Nov 2026".into(), "3 Nov".into()));
        let american = async { (date(on), day(on)) };
        let shown = ORDER.scope(DateOrder::MonthFirst, american).await;
        assert_eq!(shown, ("Nov 3, 2026".into(), "Nov 3".into()));
    }
}
