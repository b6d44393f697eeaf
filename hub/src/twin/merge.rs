use serde_json::{Map, Value};

/// Applies a patch to an object: RFC 7386, except that members whose names begin with `$` (`$version`, `$metadata`) are
/// left out.
pub fn merge_patch(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(inner) => {
                let slot = target.entry(name.clone()).or_insert_with(empty);
                if !slot.is_object() {
                    *slot = empty();
                }
                if let Value::Object(slot) = slot {
                    merge_patch(slot, inner);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

/// Whether one patch can do what these two do one after the other. A value that an object follows cannot be expressed:
/// the object would be merged into what stood there before the value.
pub(super) fn can_combine(first: &Map<String, Value>, second: &Map<String, Value>) -> bool {
    second.iter().all(|(name, value)| match (first.get(name), value) {
        (Some(Value::Object(first)), Value::Object(second)) => can_combine(first, second),
        (Some(_), Value::Object(_)) => false,
        _ => true,
    })
}

/// One patch that does what two do one after the other, given that they [can be combined](can_combine). Nulls stay, since
/// they delete what the hub has.
pub(super) fn combine_patches(first: &mut Map<String, Value>, second: Map<String, Value>) {
    for (name, value) in second {
        match (first.get_mut(&name), value) {
            (Some(Value::Object(first)), Value::Object(second)) => combine_patches(first, second),
            (_, value) => {
                first.insert(name, value);
            }
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    /// The examples of RFC 7386, appendix A, that begin with objects.
    #[test]
    fn merges_as_the_rfc_shows() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
            (json!({"a":1}), json!({"a":{"b":null}}), json!({"a":{}})),
        ] {
            let mut target = object(target);
            merge_patch(&mut target, &object(patch.clone()));
            assert_eq!(Value::Object(target), expected, "{patch}");
        }
    }

    #[test]
    fn members_of_the_hub_are_left_out() {
        let mut target = object(json!({"a":1}));
        merge_patch(
            &mut target,
            &object(json!({"$version":7,"a":{"$metadata":{},"b":1}})),
        );
        assert_eq!(Value::Object(target), json!({"a":{"b":1}}));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i8>().prop_map(Value::from),
            Just(json!([1]))
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            proptest::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        })
    }

    fn tree() -> impl Strategy<Value = Map<String, Value>> {
        proptest::collection::btree_map("[a-c]", value(), 0..4)
            .prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_patch_twice_is_a_patch_once(mut target in tree(), patch in tree()) {
            merge_patch(&mut target, &patch);
            let once = target.clone();
            merge_patch(&mut target, &patch);
            prop_assert_eq!(target, once);
        }

        #[test]
        fn a_combined_patch_does_what_both_do(target in tree(), first in tree(), second in tree()) {
            prop_assume!(can_combine(&first, &second));
            let mut one_by_one = target.clone();
            merge_patch(&mut one_by_one, &first);
            merge_patch(&mut one_by_one, &second);
            let mut combined = first;
            combine_patches(&mut combined, second);
            let mut at_once = target;
            merge_patch(&mut at_once, &combined);
            prop_assert_eq!(at_once, one_by_one);
        }
    }
}
