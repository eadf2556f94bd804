//! A small JSON Schema validator: the words that the description uses, and no other.
//!
//! Hand-written because a complete one brings half a hundred crates, some of them twice. A word that it
//! does not know is an error, so nothing is passed over.

use serde_json::{Map, Value};

/// Says nothing of what is valid; these explain.
const REMARKS: [&str; 4] = ["description", "default", "title", "format"];

/// What is wrong with `value`, if anything. References lead into `document`.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Value::Object(words) = schema else {
        return match schema {
            Value::Bool(true) => Ok(()),
            _ => Err(format!("{schema} is no schema")),
        };
    };
    for (word, says) in words {
        check_word(document, words, (word, says), value)
            .map_err(|error| format!("{word}: {error}"))?;
    }
    Ok(())
}

fn check_word(
    document: &Value,
    words: &Map<String, Value>,
    (word, says): (&str, &Value),
    value: &Value,
) -> Result<(), String> {
    let holds = |holds: bool| if holds { Ok(()) } else { Err(format!("{says} but {value}")) };
    match word {
        word if REMARKS.contains(&word) => Ok(()),
        "$ref" => {
            let place = says.as_str().unwrap().strip_prefix('#').unwrap();
            let schema = document.pointer(place).ok_or_else(|| format!("no {says}"))?;
            check(document, schema, value)
        }
        "type" => holds(match says {
            Value::Array(kinds) => kinds.iter().any(|kind| is(kind, value)),
            kind => is(kind, value),
        }),
        "const" => holds(says == value),
        "enum" => holds(says.as_array().unwrap().contains(value)),
        "minimum" => holds(!value.is_number() || value.as_f64() >= says.as_f64()),
        "maximum" => holds(!value.is_number() || value.as_f64() <= says.as_f64()),
        "oneOf" | "anyOf" => {
            let all = says.as_array().unwrap().iter();
            let good = all.filter(|schema| check(document, schema, value).is_ok()).count();
            holds(if word == "oneOf" { good == 1 } else { good > 0 })
        }
        "items" => {
            let items = value.as_array().into_iter().flatten();
            items.into_iter().try_for_each(|item| check(document, says, item))
        }
        "required" => {
            let there = |name: &Value| value.get(name.as_str().unwrap()).is_some();
            holds(says.as_array().unwrap().iter().all(there))
        }
        "properties" => {
            let fields = value.as_object().into_iter().flatten();
            // What is not described is looked at by "additionalProperties".
            let described = fields.filter_map(|(name, field)| Some((name, says.get(name)?, field)));
            described.into_iter().try_for_each(|(name, schema, field)| {
                check(document, schema, field).map_err(|error| format!("{name}: {error}"))
            })
        }
        "additionalProperties" => {
            let described =
                |name: &str| words.get("properties").is_some_and(|p| p.get(name).is_some());
            let mut others = value.as_object().into_iter().flatten().filter(|(n, _)| !described(n));
            match says {
                Value::Bool(false) => holds(others.next().is_none()),
                schema => others.try_for_each(|(_, field)| check(document, schema, field)),
            }
        }
        word => Err(format!("the validator does not know {word}")),
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("there is no type {kind}"),
    }
}

#[test]
fn what_is_wrong_is_found() {
    use serde_json::json;
    let document = json!({ "a": { "type": "object", "required": ["x"], "additionalProperties": false,
        "properties": { "x": { "type": ["integer", "null"], "minimum": 1 },
                        "y": { "type": "array", "items": { "oneOf": [{ "const": "p" }, { "const": "q" }] } } } } });
    let reference = json!({ "$ref": "#/a" });
    let good = |value: Value| check(&document, &reference, &value).is_ok();
    assert!(good(json!({ "x": 1, "y": ["p", "q"] })) && good(json!({ "x": null })));
    for wrong in [
        json!([]),
        json!({}),
        json!({ "x": 0 }),
        json!({ "x": 1.5 }),
        json!({ "x": 1, "y": ["r"] }),
        json!({ "x": 1, "z": 2 }),
    ] {
        assert!(!good(wrong.clone()), "{wrong}");
    }
    assert!(check(&document, &json!({ "pattern": "x" }), &json!("x")).is_err());
}
