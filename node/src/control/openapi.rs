//! The description of the API, `OpenAPI` 3.1, made from the table of routes and the types of `netnode-api`.

use std::sync::OnceLock;

use axum::{http::header, response::IntoResponse};
use netnode_api::error::ErrorBody;
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::routes::{Answer, Body, Route, Shape, routes};

const ABOUT: &str = "Served on a Unix socket, /run/netnode.sock by default. Long lists come as one JSON \
object per line, watches as server-sent events. Whatever is refused is answered with an ErrorBody. Fields \
may be added; clients pass over those that they don't know.";

/// The description, the same at every call.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        // A Value always becomes text.
        let mut text = serde_json::to_string_pretty(&describe()).unwrap_or_default();
        text.push('\n');
        text
    })
}

pub(super) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text())
}

fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(route.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "netnode control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://netnode", "description": "any host name, on the socket" }],
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = in_path(route.path);
    if let Some(query) = route.query {
        parameters.extend(in_query(query, generator));
    }
    let refused = generator.subschema_for::<ErrorBody>();
    let good = match route.answer {
        Answer::Nothing => json!({ "204": { "description": "Done." } }),
        answer => {
            json!({ "200": { "description": "Done.", "content": content(answer, generator) } })
        }
    };
    let mut responses = if let Value::Object(good) = good { good } else { Map::new() };
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "Refused: the code says why.",
            "content": { "application/json": { "schema": refused } },
        }),
    );
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), route.name.into());
    operation.insert("summary".to_owned(), route.summary.into());
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = route.body {
        let (kind, shape) = match body {
            Body::Json(shape) => ("application/json", shape),
            Body::Lines(shape) => ("application/x-ndjson", shape),
        };
        let content = json!({ kind: { "schema": shape(generator) } });
        operation.insert("requestBody".to_owned(), json!({ "content": content }));
    }
    operation.insert("responses".to_owned(), responses.into());
    operation.into()
}

fn content(answer: Answer, generator: &mut SchemaGenerator) -> Value {
    match answer {
        Answer::Json(shape) => json!({ "application/json": { "schema": shape(generator) } }),
        Answer::Lines(shape) => json!({ "application/x-ndjson": { "schema": shape(generator) } }),
        Answer::Events(shape) => json!({ "text/event-stream": { "schema": shape(generator) } }),
        Answer::Text(kind) => json!({ kind: {} }),
        Answer::Nothing => json!({}),
    }
}

/// The parts of a path that stand for something.
fn in_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    names.map(parameter).collect()
}

/// The fields of a query, each as a parameter.
fn in_query(query: Shape, generator: &mut SchemaGenerator) -> Vec<Value> {
    let schema = query(generator).to_value();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let parameter = |(name, schema): (&String, &Value)| {
        let required = required.contains(&name.as_str());
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    };
    fields.map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_for_readers_is_up_to_date() {
        let there = include_str!("../../../docs/openapi.json");
        assert!(there == text(), "out of date: netnode openapi > docs/openapi.json");
    }

    #[test]
    fn every_path_that_clients_know_is_described() {
        let known = include_str!("../../api/src/paths.rs");
        let known =
            known.lines().filter_map(|line| line.split_once("&str = \"")?.1.strip_suffix("\";"));
        let known: std::collections::BTreeSet<&str> = known.collect();
        let all = routes();
        let described: std::collections::BTreeSet<&str> =
            all.iter().map(|route| route.path).collect();
        assert!(known.len() > 10);
        assert_eq!(known, described);
    }

    #[test]
    fn names_of_operations_are_unique() {
        let all = routes();
        let names: std::collections::BTreeSet<&str> = all.iter().map(|route| route.name).collect();
        assert_eq!(names.len(), all.len());
    }
}
