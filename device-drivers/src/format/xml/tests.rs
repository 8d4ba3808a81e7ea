use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Pieces of markup in any order.
const MARKUP: &str = "(<[ab]>|</[ab]>|<a b='|'|&|&lt;|<!--|-->|\\]\\]>|<!\\[CDATA\\[|é|<\\?|\\?>|x| )\
                      {0,30}";

fn code(text: &str) -> ErrorCode {
    Document::parse(text.as_bytes()).map(|_| ()).unwrap_err().code
}

#[test]
fn a_tree_with_namespaces_text_and_offsets() {
    let text = "<?xml version=\"1.0\"?>\n<r xmlns:n='urn:x'>\n <n:a.  No = '1' > +1.&#50;5 </n:a.>\
                <b/><!-- c --><c>a<![CDATA[<]]>&amp;</c></r>";
    let document = Document::parse(text.as_bytes()).unwrap();
    let children: Vec<Node> = document.root().children().collect();
    let [a, b, c] = children[..] else { panic!("{} children", children.len()) };
    assert_eq!((a.namespace(), a.name(), a.local_name()), (Some("urn:x"), "n:a.", "a."));
    assert_eq!((a.text(), a.attribute("no"), a.attribute("x")), ("+1.25", Some("1"), None));
    assert_eq!(&text[a.offset()..a.offset() + 3], "+1.");
    assert_eq!((b.namespace(), b.text(), b.markup()), (None, "", "<b/>"));
    assert_eq!((c.text(), c.markup()), ("a<&", "<c>a<![CDATA[<]]>&amp;</c>"));
    assert_eq!(c.parent().unwrap().name(), "r");
}

#[test]
fn numbers_of_a_matrix_count_as_few_elements() {
    let row = format!("<row>{}</row>", "<v a='1'>7.81</v>".repeat(300));
    let text = format!("<r><k>1</k><k>2</k>{}<n>x</n></r>", row.repeat(500));
    assert_eq!(code(&text), ErrorCode::Hostile, "150000 elements");
    let document = Document::parse_with_matrices(text.as_bytes()).unwrap();
    let children: Vec<Node> = document.root().children().collect();
    let [first, second, row, .., note] = &children[..] else { panic!("{}", children.len()) };
    assert_eq!((first.text(), second.text(), note.text()), ("1", "2", "x"));
    assert_eq!(row.children().count(), RUN_LEN);
    let words = |node: Node| node.text().split_whitespace().count();
    assert_eq!(row.children().map(words).sum::<usize>(), 300);
    assert_eq!(row.markup().len(), text.find("</row>").unwrap() + 6 - text.find("<row>").unwrap());
    let mixed = "<r><v>1</v><v>1</v><v>1</v><v>1</v><v>x</v><v>2</v><w>3</w></r>";
    let document = Document::parse_with_matrices(mixed.as_bytes()).unwrap();
    let texts: Vec<&str> = document.root().children().map(|node| node.text()).collect();
    assert_eq!(texts, ["1", "1", "1", "1", "x 2", "3"]);
}

#[test]
fn what_no_instrument_sends_is_hostile() {
    let entity = "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>";
    assert_eq!(code(entity), ErrorCode::Hostile);
    assert_eq!(code("<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>"), ErrorCode::Hostile);
    assert_eq!(code("<r>&xxe;</r>"), ErrorCode::Hostile);
    assert_eq!(code("<r a='&xxe;'/>"), ErrorCode::Hostile);
    let many: String = (0..=ATTRIBUTES_MAX).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(code(&format!("<r{many}/>")), ErrorCode::Hostile);
    let many: String = (0..=NAMESPACES_MAX).map(|n| format!(" xmlns:a{n}='u'")).collect();
    assert_eq!(code(&format!("<r{many}/>")), ErrorCode::Hostile);
    assert_eq!(code(&format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX))), ErrorCode::Hostile);
}

#[test]
fn a_million_levels_are_refused_at_once() {
    let text = "<a>".repeat(1_000_000);
    let begun = Instant::now();
    let error = Document::parse(text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!((error.code, error.offset), (ErrorCode::Hostile, 3 * DEPTH_MAX));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn damage_is_malformed() {
    for text in [
        "<a><b></a></b>",
        "<a",
        "<a b></a>",
        "<a b='1' b='2'/>",
        "<a/><b/>",
        "x<a/>",
        "<a/>x",
        "<n:a/>",
        "<a>&#0;</a>",
        "<a>&#1;</a>",
        "<a>\u{1}</a>",
        "",
        " ",
        "<a>& </a>",
        "</a>",
        "<a b='<'/",
        "<>",
        "<a>]]",
    ] {
        let error = Document::parse(text.as_bytes()).map(|_| ()).unwrap_err();
        let known = matches!(error.code, ErrorCode::Malformed | ErrorCode::Incomplete);
        assert!(known, "{text:?}: {error}");
        assert!(error.offset <= text.len(), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Document::parse(&bytes);
    }

    #[test]
    fn no_markup_panics(text in MARKUP) {
        if let Err(error) = Document::parse(text.as_bytes()) {
            prop_assert!(error.offset <= text.len());
        }
    }
}

/// However late it is noticed: what comes after the silence belongs to no document before it.
#[test]
fn halves_that_silence_parts_are_no_document() {
    let spec = crate::registry::find("nidek_lm_xml").unwrap();
    let raw = crate::golden::fixtures(spec).remove(0).raw;
    let (first, rest) = raw.split_at(raw.len() / 2);
    let is_read = |pause| {
        let mut decoder = (spec.new)(&crate::DriverOptions::default());
        let start = std::time::Instant::now();
        decoder.handle_input(start, first);
        decoder.handle_input(start + pause, rest);
        decoder.handle_end(start + pause);
        let mut events = std::iter::from_fn(|| decoder.poll_event());
        events.any(|event| matches!(event, crate::Event::Decoded { .. }))
    };
    let moment = std::time::Duration::from_millis(1);
    assert!(is_read(super::decoder::SILENCE_MAX - moment));
    assert!(!is_read(super::decoder::SILENCE_MAX));
}
