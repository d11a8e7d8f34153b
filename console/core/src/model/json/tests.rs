//! Lines, folding and searching of documents, small and large.

use super::*;
use proptest::prelude::*;

fn render(document: &Document, folding: &Folding) -> String {
    let mut out = String::new();
    for at in folding.visible(document, 0) {
        let line = document.line(at).unwrap();
        out.push_str(&" ".repeat(line.depth));
        if let Some(key) = &line.key {
            out.push_str(document.slice(key));
            out.push(':');
        }
        match &line.part {
            Part::Scalar(range) => out.push_str(document.slice(range)),
            Part::Empty(text) => out.push_str(text),
            Part::Open(bracket) if folding.is_folded(at) => {
                out.push_str(&format!("{bracket}{}…", document.extent(at).unwrap().count));
            }
            Part::Open(bracket) | Part::Close(bracket) => out.push(*bracket),
        }
        if line.comma {
            out.push(',');
        }
        out.push('\n');
    }
    out
}

#[test]
fn a_deep_document_makes_no_file_of_the_square_of_its_depth() {
    let text = "[".repeat(30_000) + &"]".repeat(30_000);
    let mut pretty = Vec::new();
    Document::of_text(&text).write_pretty(&mut pretty).unwrap();
    assert!(pretty.len() < 300 * text.len(), "{}", pretty.len());
}

#[test]
fn keys_keep_their_order_and_numbers_their_digits() {
    let document = Document::of_text(r#"{"b":1.50,"a":[18446744073709551616,{}, "x,\"}"]}"#);
    assert_eq!(
        render(&document, &Folding::default()),
        "{\n \"b\":1.50,\n \"a\":[\n  18446744073709551616,\n  {},\n  \"x,\\\"}\"\n ]\n}\n"
    );
    let mut pretty = Vec::new();
    document.write_pretty(&mut pretty).unwrap();
    assert!(pretty.starts_with(b"{\n  \"b\": 1.50,\n  \"a\": [\n    184"));
}

#[test]
fn a_fold_is_one_line_with_a_count() {
    let document = Document::of_text(r#"{"a":[1,[2,3]],"b":2}"#);
    let mut folding = Folding::default();
    folding.cursor = 1;
    folding.fold(&document);
    assert_eq!(render(&document, &folding), "{\n \"a\":[2…\n \"b\":2\n}\n");
    folding.unfold();
    folding.cursor = 4;
    folding.fold(&document);
    assert_eq!(folding.cursor, 3, "moved to the parent");
    folding.toggle_all(&document);
    assert_eq!(folding.rows(&document), 4);
    folding.toggle_all(&document);
    assert_eq!(folding.rows(&document), document.len());
}

#[test]
fn single_scalars_and_text_that_is_not_json_are_one_line() {
    assert_eq!(render(&Document::of_text(" 3.0 "), &Folding::default()), "3.0\n");
    assert_eq!(render(&Document::of_text("oh no"), &Folding::default()), "\"oh no\"\n");
}

#[test]
fn a_search_ignores_case_and_unfolds_its_match() {
    let document = Document::of_text(r#"{"Name":"x","list":[1,{"deep":["NAME"]}],"n":"a name"}"#);
    let matches = document.find("name", 10);
    assert_eq!(matches, Matches { lines: vec![1, 6, 10], more: false });
    assert_eq!(document.find("name", 2), Matches { lines: vec![1, 6], more: true });
    let mut folding = Folding::default();
    folding.toggle_all(&document);
    let folded = folding.rows(&document);
    folding.reveal(6);
    assert!(folding.rows(&document) > folded);
    assert_eq!(folding.line_of(folding.row_of(6)), 6, "it is visible");
}

#[test]
fn a_search_finds_escaped_characters() {
    let document = Document::of_text(r#"{"\u65e5":1,"x":"\u672c"}"#);
    assert_eq!(document.find("日", 9).lines, [1]);
    assert_eq!(document.find("本", 9).lines, [2]);
}

#[test]
fn large_documents_have_correct_extents_and_parents() {
    let inner = (0..100_000).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>().join(",");
    let document = Document::of_text(&format!("{{\"list\":[{inner}],\"last\":0}}"));
    assert_eq!(document.len(), 300_005);
    assert_eq!(document.extent(1), Some(Extent { end: 300_002, count: 100_000 }));
    assert_eq!(document.extent(2), Some(Extent { end: 4, count: 1 }));
    assert_eq!(document.parent(200_001), Some(200_000));
    assert_eq!(document.parent(299_999), Some(1));
    let line = document.line(299_997).unwrap();
    assert!(matches!(&line.part, Part::Scalar(range) if document.slice(range) == "99998"));
    let mut folding = Folding::default();
    folding.cursor = 1;
    folding.fold(&document);
    assert_eq!(folding.rows(&document), 4);
    assert_eq!(folding.line_of(2), 300_003);
}

proptest! {
    #[test]
    fn any_text_is_indexed_without_a_panic(text in r#"[\[\]{}",: a1\\]{0,40}"#) {
        let document = Document::from_json(text.into());
        let mut folding = Folding::default();
        folding.toggle_all(&document);
        prop_assert!(folding.rows(&document) <= document.len());
        for at in 0..document.len() {
            folding.cursor = at;
            folding.toggle(&document);
            document.parent(at);
        }
    }

    #[test]
    fn rows_and_lines_convert_both_ways(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..9),
        cursors in prop::collection::vec(0usize..40, 0..6),
    ) {
        let document = Document::of_text(&serde_json::to_string(&values).unwrap());
        let mut folding = Folding::default();
        for cursor in cursors {
            folding.cursor = cursor % document.len();
            folding.toggle(&document);
        }
        let mut hidden_until = None;
        let mut expected = Vec::new();
        for at in 0..document.len() {
            if hidden_until.is_some_and(|until| at <= until) {
                continue;
            }
            hidden_until = folding.is_folded(at).then(|| document.extent(at).unwrap().end);
            expected.push(at);
        }
        let visible: Vec<_> = folding.visible(&document, 0).collect();
        prop_assert_eq!(&visible, &expected);
        for (row, line) in visible.into_iter().enumerate() {
            prop_assert_eq!(folding.row_of(line), row);
        }
    }

    #[test]
    fn unfolded_lines_contain_the_whole_value(values in prop::collection::vec(any::<i32>(), 0..9)) {
        let text = serde_json::to_string(&serde_json::json!({"a": values, "b": [values]})).unwrap();
        let document = Document::of_text(&text);
        let flat: String = render(&document, &Folding::default()).split_whitespace().collect();
        prop_assert_eq!(flat, text);
    }
}
