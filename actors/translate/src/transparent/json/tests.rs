use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn scan(text: &str) -> Result<Value, Fault> {
    let mut scanner = Scanner::new(text.as_bytes());
    let value = scanner.skip()?;
    scanner.end()?;
    Ok(value)
}

fn string(text: &str) -> Text {
    Scanner::new(text.as_bytes()).string().unwrap()
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, place, words) in [
        ("", (1, 1), "ends where a value"),
        ("{\"a\":1,}", (1, 8), "expected a string"),
        ("{\"a\" 1}", (1, 6), "colon"),
        ("[1 2]", (1, 4), "comma"),
        ("[1,\n 2}", (2, 3), "comma"),
        ("\"a\nb\"", (1, 3), "control character"),
        ("\"a", (1, 3), "ends in a string"),
        ("\"\\x\"", (1, 2), "escape"),
        ("\"\\u12g4\"", (1, 2), "escape"),
        ("01", (1, 2), "something follows"),
        ("-", (1, 2), "digit"),
        ("1.", (1, 3), "digit"),
        ("1e+", (1, 4), "digit"),
        ("nul", (1, 1), "expected a value"),
        ("[]]", (1, 3), "something follows"),
    ] {
        let fault = scan(text).unwrap_err();
        assert_eq!(fault.place(text.as_bytes()), place, "{text}");
        assert!(fault.what.contains(words), "{text}: {}", fault.what);
    }
}

#[test]
fn nesting_has_an_end_whether_walked_or_skipped() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    // The innermost is empty and opens no level of its own.
    assert!(scan(&nested(129)).is_ok());
    assert_eq!(scan(&nested(130)).unwrap_err().what, "nested too deeply");
    let text = nested(200);
    let mut scanner = Scanner::new(text.as_bytes());
    let walked = (0..200).try_for_each(|_| {
        let mut members = scanner.enter()?;
        scanner.element(&mut members).map(drop)
    });
    assert_eq!(walked.unwrap_err().what, "nested too deeply");
}

#[test]
fn names_are_known_however_they_are_written() {
    for (text, name) in [(r#""model""#, "model"), (r#""mod\u0065l""#, "model"), (r#""a\/b""#, "a/b"), (r#""\ud83d\ude00""#, "😀")] {
        assert!(string(text).is(text.as_bytes(), name), "{text}");
        assert!(!string(text).is(text.as_bytes(), "other"), "{text}");
    }
    assert_eq!(string(r#""\ud83d""#).decode(br#""\ud83d""#), None, "half a pair is no text");
}

#[test]
fn white_space_is_blank_however_it_is_written() {
    for blank in [r#""""#, r#"" ""#, r#""\n\t\r ""#, r#""\u00a0\u0020""#, "\"\u{2003}\""] {
        assert!(string(blank).is_blank(blank.as_bytes()), "{blank}");
    }
    for text in [r#""a""#, r#""  a""#, r#""\\n""#, r#""\u0041""#, r#""\n\"""#, r#""\ud83d\ude00""#] {
        assert!(!string(text).is_blank(text.as_bytes()), "{text}");
    }
}

#[test]
fn members_go_with_the_commas_they_need_no_more() {
    let text = b"[ 1 , 2 ,3, 4 ]";
    let all = [Span::new(2, 3), Span::new(6, 7), Span::new(9, 10), Span::new(12, 13)];
    for (gone, left) in [
        (&[][..], "[ 1 , 2 ,3, 4 ]"),
        (&[0], "[ 2 ,3, 4 ]"),
        (&[1], "[ 1 ,3, 4 ]"),
        (&[3], "[ 1 , 2 ,3 ]"),
        (&[0, 1], "[ 3, 4 ]"),
        (&[0, 2], "[ 2, 4 ]"),
        (&[2, 3], "[ 1 , 2 ]"),
        (&[0, 1, 2, 3], "[  ]"),
    ] {
        let mut edits = Edits::default();
        remove_from(&all, |index| gone.contains(&index), &mut edits);
        assert_eq!(String::from_utf8(edits.apply(text).unwrap()).unwrap(), left, "{gone:?}");
    }
}

#[test]
fn lists_without_end_are_looked_at_in_part() {
    let list = format!("[{}1]", "1,".repeat(150_000));
    assert_eq!(elements_of(list.as_bytes(), Span::new(0, list.len())).len(), 100_000);
    let object = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(150_000));
    assert_eq!(members_of(object.as_bytes(), Span::new(0, object.len())).len(), 100_000);
}

#[test]
fn changes_that_overlap_are_refused_as_a_whole() {
    let mut edits = Edits::default();
    edits.delete(Span::new(1, 4));
    edits.replace(Span::new(3, 5), "x");
    assert!(edits.apply(b"abcdef").is_err());
    let mut edits = Edits::default();
    edits.delete(Span::new(4, 9));
    assert!(edits.apply(b"abcdef").is_err());
}

#[test]
fn parts_can_be_changed_and_taken_out() {
    let text = b"[one,two,three]";
    let mut edits = Edits::default();
    edits.replace(Span::new(5, 8), "2");
    edits.insert(14, "!");
    edits.insert(1, "<");
    edits.insert(4, ">");
    let parts = [Span::new(1, 4), Span::new(5, 8)];
    assert_eq!(edits.take_within(&parts, text).unwrap(), [b"<one>".to_vec(), b"2".to_vec()]);
    edits.delete(Span::new(4, 8));
    assert_eq!(edits.apply(text).unwrap(), b"[one,three!]");
}

/// Any JSON, written with odd white space and escapes.
fn any_json() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", " ", "\n", "\t "]);
    let text = prop_oneof![
        "[a-z \"\\\\\u{e9}\u{1f600}\n]{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u00e9\/\ud83d\ude00\b""#.to_owned())
    ];
    let scalar = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "0", "-0", "1.50", "1E+2", "12345678901234567890123"]).prop_map(str::to_owned),
        text.clone()
    ];
    scalar.prop_recursive(4, 40, 6, move |inner| {
        let joined = |parts: Vec<String>, space: &str| parts.join(&format!("{space},{space}"));
        let array = (prop::collection::vec(inner.clone(), 0..5), space.clone())
            .prop_map(move |(parts, space)| format!("[{space}{}{space}]", joined(parts, space)));
        let members = prop::collection::vec((text.clone(), inner), 0..5);
        let object = (members, space.clone()).prop_map(move |(members, space)| {
            let members = members.into_iter().map(|(key, value)| format!("{key}{space}:{space}{value}")).collect();
            format!("{{{space}{}{space}}}", joined(members, space))
        });
        prop_oneof![array, object]
    })
}

proptest! {
    #[test]
    fn valid_json_is_passed_over_whole(text in any_json()) {
        let padded = format!(" \n{text}\t");
        let value = scan(&padded).unwrap();
        prop_assert_eq!(value.span.of(padded.as_bytes()), text.as_bytes());
    }

    #[test]
    fn a_text_is_json_exactly_when_serde_says_so(text in any_json(), cut in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9a-z\\\\. \\-]{0,3}") {
        let mut broken = text.clone();
        let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect::<Vec<_>>();
        broken.insert_str(at[cut.index(at.len())], &with);
        let serde = serde_json::from_str::<&RawValue>(&broken).is_ok();
        prop_assert_eq!(scan(&broken).is_ok(), serde, "{}", broken);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut scanner = Scanner::new(&bytes);
        let _outcome = scanner.skip();
        prop_assert!(scanner.at() <= bytes.len());
    }

    #[test]
    fn the_length_of_a_string_is_known_without_decoding(said in "[a-z\"\\\\\u{e9}\u{4e2d}\u{1f600}\n\u{1}]{0,40}", escape in any::<bool>()) {
        let mut written = serde_json::to_string(&said).unwrap();
        if escape {
            written = written.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }).collect();
        }
        let text = string(&written);
        prop_assert_eq!(text.decoded as usize, said.len());
        let decoded = text.decode(written.as_bytes()).unwrap();
        prop_assert_eq!(decoded.as_ref(), said.as_str());
        prop_assert_eq!(text.is_blank(written.as_bytes()), said.trim().is_empty());
    }

    #[test]
    fn what_was_removed_leaves_valid_json(values in prop::collection::vec("[0-9]{1,3}", 0..7), gone in any::<u8>(), object in any::<bool>()) {
        let mut text = String::from(if object { "{ " } else { "[ " });
        let mut all = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let separator = if index == 0 { "" } else { " , " };
            text.push_str(separator);
            let start = text.len();
            text.push_str(&if object { format!("\"{index}\": \"{value}\"") } else { format!("\"{value}\"") });
            all.push(Span::new(start, text.len()));
        }
        text.push_str(if object { " }" } else { " ]" });
        let mut edits = Edits::default();
        remove_from(&all, |index| gone >> index & 1 == 1, &mut edits);
        let left: serde_json::Value = serde_json::from_slice(&edits.apply(text.as_bytes()).unwrap()).unwrap();
        let expected: Vec<&String> = values.iter().enumerate().filter(|(index, _)| gone >> index & 1 == 0).map(|(_, value)| value).collect();
        let found: Vec<&str> = match &left {
            serde_json::Value::Object(members) => members.values().map(|value| value.as_str().unwrap()).collect(),
            other => other.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect(),
        };
        prop_assert_eq!(found, expected);
    }
}
