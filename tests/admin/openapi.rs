//! The description of this port says what there is: every call, its role, and nothing else. What each takes and gives is compared by
//! a program that others have written (`tests/clients/openapi.rs`).

use crate::support::{Answer, Port, call, port};
use serde_json::Value;
use std::collections::BTreeSet;

async fn described(port: &Port) -> Value {
    let answer = call(port, "viewer", "GET", "/openapi.json").await;
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")));
    let described = answer.json();
    assert_eq!(described["openapi"], "3.1.0");
    described
}

/// Path, method and description of each call.
fn calls(described: &Value) -> impl Iterator<Item = (&str, String, &Value)> {
    let paths = described["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, call)| (&**path, method.to_ascii_uppercase(), call))
    })
}

/// The path with a value for each of its parameters.
fn filled(path: &str) -> String {
    path.replace("{name}", "bookstore").replace("{version}", "v1")
}

#[tokio::test]
async fn each_path_has_the_methods_that_are_described() {
    let port = port().await;
    let described = described(&port).await;
    for path in described["paths"].as_object().unwrap().keys() {
        let of_it = calls(&described).filter(|(of, ..)| of == path);
        let methods: BTreeSet<String> = of_it.map(|(_, method, _)| method).collect();
        let answer = call(&port, "administrator", "BREW", &filled(path)).await;
        answer.problem(405, "method-not-allowed");
        let allowed = answer.field("allow").unwrap().to_ascii_uppercase();
        // GET brings HEAD with it, which need not be described.
        let allowed = allowed.split(',').map(|method| method.trim().to_owned()).filter(|method| method != "HEAD");
        assert_eq!(methods, allowed.collect(), "{path}");
    }
}

#[tokio::test]
async fn each_path_of_the_table_is_described() {
    let described = described(&port().await).await;
    let table = include_str!("../../src/admin/routes.rs");
    let mut paths: BTreeSet<&str> =
        table.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(paths.len() > 10, "{paths:?}");
    assert!(paths.remove("/") && paths.remove("/panel/{*file}"), "the page isn't a call, nor is what it loads");
    let described: BTreeSet<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(described, paths);
}

#[tokio::test]
async fn each_call_is_for_the_role_that_is_described() {
    let port = port().await;
    let described = described(&port).await;
    let roles = ["viewer", "operator", "administrator"];
    for (path, method, about) in calls(&described) {
        let described = |answer: &Answer| about["responses"].get(answer.status.to_string()).is_some();
        let nobody = call(&port, "", &method, &filled(path)).await;
        assert!(described(&nobody), "{method} {path}: {nobody:?}");
        let Some(role) = about["x-role"].as_str() else {
            assert_ne!(nobody.status, 401, "{method} {path}");
            continue;
        };
        nobody.problem(401, "unauthorized");
        let lowest = roles.iter().position(|known| *known == role).unwrap();
        for (rank, role) in roles.iter().enumerate() {
            let answer = call(&port, role, &method, &filled(path)).await;
            assert!(described(&answer), "{method} {path} as {role}: {answer:?}");
            assert_eq!(answer.status == 403, rank < lowest, "{method} {path} as {role}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn each_error_is_described_as_a_problem() {
    let described = described(&port().await).await;
    for (path, method, about) in calls(&described) {
        for (status, response) in about["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            let is_error = status.starts_with(['4', '5']);
            assert_eq!(problem == "#/components/schemas/Problem", is_error, "{method} {path} {status}");
        }
    }
}
