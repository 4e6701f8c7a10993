//! Sources of a text: Anthropic's five kinds of location and the hub's.

use std::borrow::Cow;

use outcrop_domain::chat::{Citation, CitationPlace};
use outcrop_protocol::anthropic::messages::{CitationIn, CitationOut};

/// A source as Anthropic shows it; `None` for one that points nowhere this API can tell.
pub(super) fn write(citation: &Citation) -> Option<CitationOut<'_>> {
    let cited_text = Cow::Borrowed(citation.quoted.as_deref().unwrap_or_default());
    let title = citation.title.as_deref().map(Cow::Borrowed);
    let web = |url| CitationOut::WebSearchResultLocation { cited_text: cited_text.clone(), url, title: title.clone(), encrypted_index: "" };
    Some(match &citation.place {
        Some(CitationPlace::Web { url, .. }) => web(Cow::Borrowed(url)),
        Some(CitationPlace::DocumentCharacters { document, start, end }) => CitationOut::CharLocation {
            cited_text,
            document_index: *document,
            document_title: title,
            file_id: None,
            start_char_index: *start,
            end_char_index: *end,
        },
        Some(CitationPlace::DocumentPages { document, start, end }) => CitationOut::PageLocation {
            cited_text,
            document_index: *document,
            document_title: title,
            file_id: None,
            start_page_number: *start,
            end_page_number: *end,
        },
        Some(CitationPlace::DocumentChunks { document, start, end }) => CitationOut::ContentBlockLocation {
            cited_text,
            document_index: *document,
            document_title: title,
            file_id: None,
            start_block_index: *start,
            end_block_index: *end,
        },
        Some(CitationPlace::SearchResult { result, start, end }) => CitationOut::SearchResultLocation {
            cited_text,
            search_result_index: *result,
            source: Cow::Borrowed(citation.source.as_deref().unwrap_or_default()),
            title,
            start_block_index: *start,
            end_block_index: *end,
        },
        None => {
            let address = citation.source.as_deref().filter(|source| source.starts_with("https://") || source.starts_with("http://"))?;
            web(Cow::Borrowed(address))
        }
    })
}

/// A source in the history. What is incomplete keeps its words and points nowhere.
pub(super) fn read(wire: CitationIn) -> Citation {
    let place = place(&wire);
    Citation { title: wire.document_title.or(wire.title), source: wire.source, quoted: wire.cited_text, place }
}

fn place(wire: &CitationIn) -> Option<CitationPlace> {
    let document = wire.document_index;
    match wire.kind.as_deref()? {
        "char_location" => {
            let (document, start, end) = (document?, wire.start_char_index?, wire.end_char_index?);
            Some(CitationPlace::DocumentCharacters { document, start, end })
        }
        "page_location" => {
            let (document, start, end) = (document?, wire.start_page_number?, wire.end_page_number?);
            Some(CitationPlace::DocumentPages { document, start, end })
        }
        "content_block_location" => {
            let (document, start, end) = (document?, wire.start_block_index?, wire.end_block_index?);
            Some(CitationPlace::DocumentChunks { document, start, end })
        }
        "search_result_location" => {
            let (result, start, end) = (wire.search_result_index?, wire.start_block_index?, wire.end_block_index?);
            Some(CitationPlace::SearchResult { result, start, end })
        }
        "web_search_result_location" => Some(CitationPlace::Web { url: wire.url.clone()?, domain: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn all() -> [Value; 5] {
        [
            json!({"type": "char_location", "cited_text": "x", "document_index": 1, "document_title": "T", "file_id": null,
                   "start_char_index": 2, "end_char_index": 3}),
            json!({"type": "page_location", "cited_text": "x", "document_index": 1, "document_title": null, "file_id": null,
                   "start_page_number": 2, "end_page_number": 3}),
            json!({"type": "content_block_location", "cited_text": "x", "document_index": 0, "document_title": "T", "file_id": null,
                   "start_block_index": 0, "end_block_index": 1}),
            json!({"type": "search_result_location", "cited_text": "x", "search_result_index": 4, "source": "s", "title": "T",
                   "start_block_index": 0, "end_block_index": 1}),
            json!({"type": "web_search_result_location", "cited_text": "x", "url": "https://a.example", "title": "T", "encrypted_index": ""}),
        ]
    }

    #[test]
    fn every_kind_of_location_comes_back_as_it_went() {
        for wire in all() {
            let citation = read(serde_json::from_value(wire.clone()).unwrap());
            assert!(citation.place.is_some(), "{wire}");
            assert_eq!(serde_json::to_value(write(&citation).unwrap()).unwrap(), wire);
        }
    }

    #[test]
    fn a_location_without_its_numbers_points_nowhere_and_keeps_its_words() {
        for mut wire in all() {
            wire.as_object_mut().unwrap().retain(|name, _| !name.contains("index") && !name.contains("page") && name != "url");
            let citation = read(serde_json::from_value(wire).unwrap());
            assert_eq!((citation.place, citation.quoted.as_deref()), (None, Some("x")));
        }
    }

    #[test]
    fn a_source_that_is_an_address_is_one_of_the_web() {
        let citation = |source: &str| Citation { title: None, source: Some(source.to_owned()), quoted: None, place: None };
        let web = citation("https://a.example/x");
        let shown = serde_json::to_value(write(&web).unwrap()).unwrap();
        assert_eq!(shown["url"], "https://a.example/x");
        assert_eq!((&shown["title"], &shown["cited_text"]), (&Value::Null, &json!("")));
        assert!(write(&citation("my notes")).is_none());
    }
}
