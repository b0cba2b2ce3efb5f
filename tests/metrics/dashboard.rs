//! `config/grafana-dashboard.json` and `config/prometheus-alerts.yml`: what they ask for is there.

use crate::parser::{Families, Sample};
use crate::world::World;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DASHBOARD: &str = include_str!("../../config/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../config/prometheus-alerts.yml");

/// What Prometheus adds to every sample that it reads.
const ADDED: [&str; 2] = ["instance", "job"];
/// Words of PromQL that are in use here.
const PROMQL: [&str; 12] =
    ["sum", "min", "max", "rate", "increase", "histogram_quantile", "time", "by", "and", "or", "on", "without"];

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut chars = expression.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        if c == '"' {
            tokens.push(Token::Text(chars.by_ref().take_while(|c| *c != '"').collect()));
        } else if c.is_ascii_alphabetic() || c == '_' {
            let mut word = c.to_string();
            while let Some(next) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                word.push(next);
            }
            tokens.push(Token::Word(word));
        } else if c == '[' {
            tokens.push(Token::Sign(chars.by_ref().take_while(|c| *c != ']').collect()));
        } else if matches!(c, '=' | '!') {
            let more = chars.next_if(|c| matches!(c, '=' | '~'));
            tokens.push(Token::Sign([Some(c), more].into_iter().flatten().collect()));
        } else if !c.is_whitespace() && !c.is_ascii_digit() {
            tokens.push(Token::Sign(c.to_string()));
        }
    }
    tokens
}

/// The samples that a gateway has given, by name.
struct There(BTreeMap<String, Vec<Sample>>);

impl There {
    fn new(families: &Families) -> There {
        let mut there = BTreeMap::<String, Vec<Sample>>::new();
        for sample in families.values().flat_map(|family| &family.samples) {
            there.entry(sample.name.clone()).or_default().push(sample.clone());
        }
        There(there)
    }

    fn has(&self, metric: &str, label: &str) -> bool {
        let with = |sample: &Sample| sample.labels.contains_key(label);
        ADDED.contains(&label) || self.0.get(metric).is_some_and(|samples| samples.iter().any(with))
    }

    /// What of an expression isn't there, and the labels that what comes out of it has.
    fn check(&self, expression: &str) -> (Vec<String>, BTreeSet<String>) {
        let (tokens, mut faults) = (tokens(expression), Vec::new());
        let (mut metrics, mut by) = (Vec::<String>::new(), BTreeSet::new());
        let is = |at: usize, sign: &str| tokens.get(at) == Some(&Token::Sign(sign.into()));
        let mut at = 0;
        while at < tokens.len() {
            let Token::Word(word) = &tokens[at] else {
                at += 1;
                continue;
            };
            at += 1;
            if PROMQL.contains(&&**word) {
                while word == "by" && !is(at, ")") {
                    if let Token::Word(label) = &tokens[at] {
                        by.insert(label.clone());
                    }
                    at += 1;
                }
                continue;
            }
            if !self.0.contains_key(word) {
                faults.push(format!("no metric {word}"));
            }
            metrics.push(word.clone());
            while is(at, "{") || is(at, ",") {
                let [Token::Word(label), Token::Sign(how), Token::Text(value)] = &tokens[at + 1..at + 4] else {
                    panic!("{expression}");
                };
                if !self.has(word, label) {
                    faults.push(format!("no label {label} of {word}"));
                }
                let values = if how.ends_with('~') { value.split('|').collect() } else { vec![&**value] };
                for value in values.into_iter().filter(|value| !value.starts_with('$')) {
                    let with = |sample: &&Sample| sample.labels.get(label).is_some_and(|v| v == value);
                    if self.0.get(word).is_none_or(|samples| !samples.iter().any(|sample| with(&sample))) {
                        faults.push(format!("no {label}=\"{value}\" of {word}"));
                    }
                }
                at += 4;
                if is(at, "}") {
                    at += 1;
                    break;
                }
            }
        }
        for label in &by {
            if !metrics.iter().all(|metric| self.has(metric, label)) {
                faults.push(format!("not every metric has {label}"));
            }
        }
        (faults, by)
    }
}

async fn there() -> There {
    let world = World::new().await;
    world.traffic(1).await;
    world.reloads();
    There::new(&world.metrics().await)
}

fn panels() -> (Value, Vec<Value>) {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    (dashboard, panels)
}

/// What stands between `{{` and `}}`.
fn legend(text: &str) -> BTreeSet<String> {
    text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim().to_owned()).collect()
}

#[tokio::test]
async fn every_metric_label_and_value_of_the_dashboard_is_there() {
    let (there, (dashboard, panels)) = (there().await, panels());
    let mut used = 0;
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let (faults, by) = there.check(expression);
            assert!(faults.is_empty(), "{title}: {faults:?}\n{expression}");
            let shown = legend(target["legendFormat"].as_str().unwrap());
            assert!(shown.is_subset(&by), "{title}: {shown:?} of {by:?}");
            used += 1;
        }
    }
    assert!(used > 40, "{used}");
    for variable in dashboard["templating"]["list"].as_array().unwrap().iter().filter(|v| v["type"] == "query") {
        let query = variable["query"]["query"].as_str().unwrap();
        let (expression, label) =
            query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        let (faults, _) = there.check(expression);
        let metric = expression.split('{').next().unwrap();
        assert!(faults.is_empty() && there.has(metric, label), "{query}: {faults:?}");
    }
}

#[tokio::test]
async fn every_metric_label_and_value_of_the_alerts_is_there() {
    let there = there().await;
    let rules: Vec<&str> = ALERTS.split("      - alert: ").skip(1).collect();
    assert!(rules.len() > 5);
    let mut names = BTreeSet::new();
    for rule in rules {
        let name = rule.lines().next().unwrap();
        assert!(names.insert(name), "{name} comes twice");
        let line = |key: &str| rule.lines().find_map(|line| line.trim().strip_prefix(key));
        let (faults, by) = there.check(line("expr: ").unwrap());
        assert!(faults.is_empty(), "{name}: {faults:?}");
        let summary = line("annotations: { summary: \"").unwrap();
        assert!(summary.ends_with("\" }") && line("labels: { severity: ").is_some(), "{name}");
        for label in legend(summary).iter().filter_map(|text| text.strip_prefix("$labels.")) {
            let metric = rule.split("expr: ").nth(1).unwrap().split([' ', '{']).next().unwrap();
            assert!(by.contains(label) || there.has(metric, label), "{name}: {label}");
        }
    }
}

#[test]
fn no_panel_lies_on_another_and_each_can_be_imported() {
    let (dashboard, panels) = panels();
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "instance", "api"]);
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    assert_eq!(dashboard["id"], Value::Null, "it is a new one wherever it is imported");
    let (mut ids, mut taken, mut titles) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        assert!(titles.insert(title), "{title} comes twice");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(w > 0 && h > 0 && x + w <= 24, "{title}: {x}+{w}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            if let Some(other) = taken.insert(place, title) {
                panic!("{title} lies on {other}");
            }
        }
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{title}: two have one letter");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            for word in target["expr"].as_str().unwrap().split('$').skip(1) {
                let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                assert!(variables.contains(&&*name) || name == "__rate_interval", "{title}: ${name}");
            }
        }
        assert!(panel["type"] == "row" || !letters.is_empty(), "{title} shows nothing");
        assert!(["row", "stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
    }
}

#[test]
fn what_is_not_there_is_seen() {
    let text = "# HELP a_total b\n# TYPE a_total counter\na_total{api=\"x\",state=\"well\"} 1\n";
    let there = There::new(&crate::parser::read(text).unwrap());
    let faults = |expression: &str| there.check(expression).0.len();
    assert_eq!(faults("sum by (api)(rate(a_total{api=~\"$api\",state=\"well\"}[5m])) / 3 > 0.5"), 0);
    assert_eq!(faults("rate(b_total[5m])"), 1);
    assert_eq!(faults("rate(a_total{host=\"$h\"}[5m])"), 1);
    assert_eq!(faults("a_total{state=\"wel\"}"), 1);
    assert_eq!(faults("a_total{state=~\"well|gone\",api!=\"x\"}"), 1);
    assert_eq!(faults("sum by (host)(a_total)"), 1);
    assert_eq!(faults("sum by (instance)(a_total{job=\"$job\"})"), 0);
}
