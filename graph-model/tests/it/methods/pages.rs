//! Lists in pages, and objects that do not fit into one.

use lva_graph_model::methods::{Registry, RegistryOptions};
use serde_json::json;

use super::done;
use crate::support::{plaza, with};

#[test]
fn lists_go_on_page_by_page_in_the_order_of_names() {
    let by_entries = pages(RegistryOptions::default().with_page_size(2));
    assert_eq!(by_entries, [2, 2, 1]);
}

#[test]
fn pages_are_bounded_in_bytes_and_hold_one_entry_at_least() {
    assert_eq!(pages(RegistryOptions::default()), [5]);
    assert_eq!(pages(RegistryOptions::default().with_page_bytes(1)), [1; 5]);
    let mut registry = Registry::new(RegistryOptions::default());
    done(&mut registry, "GraphTopologySet", &plaza());
    let list = done(&mut registry, "GraphTopologyList", &json!({})).payload;
    let entry = list["value"][0].to_string().len();
    let of = |bytes| pages(RegistryOptions::default().with_page_bytes(bytes));
    assert_eq!(of(3 * entry), [3, 2]);
    assert_eq!(of(100 * entry), [5]);
}

#[test]
fn an_object_too_large_for_an_answer_is_shortened_in_lists_and_when_it_is_set() {
    let mut registry = Registry::new(RegistryOptions::default().with_page_bytes(4_000));
    let large = with(plaza(), "/properties/description", json!("x".repeat(4_000)));
    let set = done(&mut registry, "GraphTopologySet", &large).payload;
    assert_eq!(set["name"], plaza()["name"]);
    assert!(set["@note"].as_str().unwrap().contains("4000"), "{set}");
    assert!(
        set["systemData"].is_object() && set.to_string().len() < 500,
        "{set}"
    );
    assert_eq!(done(&mut registry, "GraphTopologySet", &large).payload, set);
    let list = done(&mut registry, "GraphTopologyList", &json!({})).payload;
    assert_eq!(list["value"], json!([set]));
    let whole = done(
        &mut registry,
        "GraphTopologyGet",
        &json!({"name": plaza()["name"]}),
    )
    .payload;
    assert_eq!(
        whole["properties"]["description"],
        large["properties"]["description"]
    );
}

#[test]
fn an_empty_continuation_token_begins_the_list() {
    let mut registry = Registry::new(RegistryOptions::default());
    done(&mut registry, "GraphTopologySet", &plaza());
    let list = done(
        &mut registry,
        "GraphTopologyList",
        &json!({"@continuationToken": ""}),
    );
    assert_eq!(list.payload["value"].as_array().unwrap().len(), 1);
}

/// The numbers of entries on the pages of a list of five topologies.
fn pages(options: RegistryOptions) -> Vec<usize> {
    let mut registry = Registry::new(options);
    let mut pages = Vec::new();
    for letter in ["c", "a", "e", "b", "d"] {
        done(
            &mut registry,
            "GraphTopologySet",
            &with(plaza(), "/name", json!(letter)),
        );
    }
    let mut names = Vec::new();
    let mut request = json!({"@query": "$orderby=name asc"});
    loop {
        let page = done(&mut registry, "GraphTopologyList", &request).payload;
        pages.push(page["value"].as_array().unwrap().len());
        names.extend(
            page["value"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t["name"].as_str().unwrap().to_owned()),
        );
        match page.get("@continuationToken") {
            Some(token) => request = json!({"@continuationToken": token}),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    pages
}
