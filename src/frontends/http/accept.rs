//! Which form of an answer a client wants.

use axum::http::{HeaderMap, StatusCode, header};

use super::HttpError;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `{"columns":[{"name","type"}],"rows":[[…]]}`.
    Json,
    /// An object a line.
    NdJson,
    /// RFC 4180 with a header; NULL is nothing, the empty text `""`.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// What each form may be asked for by; the first name is what the answer says. In the order of preference.
const NAMES: [(Format, &[&str]); 4] = [
    (Format::Json, &["application/json"]),
    (Format::NdJson, &["application/x-ndjson", "application/ndjson", "application/jsonl"]),
    (Format::Csv, &["text/csv"]),
    (Format::Arrow, &["application/vnd.apache.arrow.stream"]),
];

impl Format {
    /// The form that `headers` ask for: the one of the highest `q`, then the one named most exactly, then first.
    pub(super) fn negotiate(headers: &HeaderMap) -> Result<Self, HttpError> {
        let accepted: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
        let accepted = accepted.join(",");
        if accepted.trim().is_empty() {
            return Ok(Self::Json);
        }
        let ranges: Vec<Range<'_>> = accepted.split(',').enumerate().filter_map(Range::parse).collect();
        let weighed = NAMES.iter().filter_map(|(format, names)| {
            let matching = ranges.iter().filter_map(|range| Some((range.exactness(names)?, range)));
            let (exactness, range) = matching.max_by_key(|(exactness, range)| (*exactness, range.quality))?;
            (range.quality > 0).then_some(((range.quality, exactness, usize::MAX - range.place), *format))
        });
        // `max_by_key` gives the last of equals; the first is preferred.
        let best = weighed.collect::<Vec<_>>().into_iter().rev().max_by_key(|(rank, _)| *rank);
        best.map(|(_, format)| format).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, names)| names[0]).collect();
            let message = format!("Accept: expected one of {}, found {accepted:?}", names.join(", "));
            HttpError::new(StatusCode::NOT_ACCEPTABLE, "invalid", message)
        })
    }

    /// What the answer says it is.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// One part of `Accept`.
struct Range<'a> {
    name: &'a str,
    /// Thousandths.
    quality: u16,
    place: usize,
}

impl<'a> Range<'a> {
    fn parse((place, text): (usize, &'a str)) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = match quality {
            None => 1000,
            Some(text) => {
                let value: f32 = text.trim().parse().ok().filter(|value| (0.0..=1.0).contains(value))?;
                (value * 1000.0).round() as u16
            }
        };
        Some(Self { name, quality, place })
    }

    /// How exactly this names a form called `names`; `None` if it does not.
    fn exactness(&self, names: &[&str]) -> Option<u8> {
        if self.name == "*/*" || self.name == "*" {
            return Some(0);
        }
        if let Some(group) = self.name.strip_suffix("/*") {
            let within =
                |name: &&str| name.split_once('/').is_some_and(|(first, _)| first.eq_ignore_ascii_case(group));
            return names.iter().any(within).then_some(1);
        }
        names.iter().any(|name| name.eq_ignore_ascii_case(self.name)).then_some(2)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn negotiate(accept: &str) -> Option<Format> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        Format::negotiate(&headers).ok()
    }

    #[test]
    fn gives_what_is_asked_for() {
        use Format::*;
        let cases = [
            ("", Json),
            ("*/*", Json),
            ("application/*", Json),
            ("text/*", Csv),
            ("text/csv", Csv),
            ("TEXT/CSV; charset=utf-8", Csv),
            ("application/x-ndjson", NdJson),
            ("application/jsonl", NdJson),
            ("application/vnd.apache.arrow.stream", Arrow),
            ("text/html, application/xhtml+xml, */*;q=0.8", Json),
            ("text/csv;q=0.5, application/json;q=0.4", Csv),
            ("application/json;q=0.5, */*;q=0.9", NdJson),
            ("*/*, application/json;q=0", NdJson),
            ("text/csv, */*", Csv),
            ("application/x-ndjson, application/json", NdJson),
            ("application/json;q=2, text/csv", Csv),
        ];
        for (accept, format) in cases {
            assert_eq!(negotiate(accept), Some(format), "{accept}");
        }
        assert_eq!(Format::negotiate(&HeaderMap::new()).ok(), Some(Json));
    }

    #[test]
    fn refuses_what_it_does_not_have() {
        for accept in ["text/html", "image/*", "*/*;q=0", "application/json;q=0"] {
            assert_eq!(negotiate(accept), None, "{accept}");
        }
    }
}
