//! A strict reader of Prometheus' text format: what it takes, every scraper takes.

use std::collections::{BTreeMap, BTreeSet};

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// All samples under one HELP and TYPE.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

pub(crate) type Families = BTreeMap<String, Family>;

/// Reads all of it, or says what is wrong with which line.
pub(crate) fn read(text: &str) -> Result<Families, String> {
    if !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut families = Families::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let head = line.strip_prefix("# HELP ").ok_or(format!("no HELP before `{line}`"))?;
        let (name, help) = head.split_once(' ').ok_or(format!("no text in `{line}`"))?;
        if !is_name(name) || help.trim().is_empty() || !escaped(help, "\\n") {
            return Err(format!("a bad HELP: `{line}`"));
        }
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        let kind = kind.ok_or(format!("no TYPE of {name}"))?;
        if !["counter", "gauge", "histogram"].contains(&kind) || name.ends_with("_total") != (kind == "counter") {
            return Err(format!("{name} is a {kind}"));
        }
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample(line).ok_or(format!("not a sample: `{line}`"))?;
            let ends: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !ends.iter().any(|end| sample.name.strip_suffix(end) == Some(name)) {
                return Err(format!("`{line}` under {name}"));
            }
            if kind != "gauge" && !(sample.value.is_finite() && sample.value >= 0.0) {
                return Err(format!("no count: `{line}`"));
            }
            samples.push(sample);
        }
        if kind == "histogram" {
            histograms(&samples)?;
        }
        if families.insert(name.to_owned(), Family { kind: kind.to_owned(), samples }).is_some() {
            return Err(format!("{name} comes twice"));
        }
    }
    twins(&families)?;
    Ok(families)
}

fn twins(families: &Families) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for sample in families.values().flat_map(|family| &family.samples) {
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("twice: {sample:?}"));
        }
    }
    Ok(())
}

/// Buckets are cumulative, in the order of their bounds, and end with `+Inf`, which is the count.
fn histograms(samples: &[Sample]) -> Result<(), String> {
    #[derive(Default)]
    struct Of {
        bound: Option<f64>,
        below: f64,
        count: Option<f64>,
        sum: bool,
    }
    let mut all = BTreeMap::<BTreeMap<String, String>, Of>::new();
    for sample in samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        let of = all.entry(labels).or_default();
        if sample.name.ends_with("_bucket") {
            let bound = bound.ok_or(format!("no le: {sample:?}"))?;
            let bound =
                if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| format!("le={bound}"))? };
            if of.bound.is_some_and(|last| last >= bound) || sample.value < of.below {
                return Err(format!("not cumulative: {sample:?}"));
            }
            (of.bound, of.below) = (Some(bound), sample.value);
        } else if sample.name.ends_with("_count") {
            of.count = Some(sample.value);
        } else {
            of.sum = true;
        }
    }
    for (labels, of) in &all {
        if of.bound != Some(f64::INFINITY) || of.count != Some(of.below) || !of.sum {
            return Err(format!("no whole histogram: {labels:?}"));
        }
    }
    Ok(())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) || label.starts_with("__") || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None => after.strip_prefix('}').filter(|rest| rest.starts_with(' '))?,
            };
            if after.starts_with('}') {
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    let plain = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'e' | b'+'));
    (is_name(name) && plain).then_some(())?;
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// The text up to its quote, unescaped, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

/// Whether each backslash begins one of these or stands for itself.
fn escaped(text: &str, allowed: &str) -> bool {
    !text.replace("\\\\", "").replace(allowed, "").contains('\\')
}

fn is_name(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    text.bytes().next().is_some_and(letter) && text.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

impl Family {
    /// The one sample with at least these labels.
    #[track_caller]
    pub(crate) fn at(&self, labels: &[(&str, &str)]) -> f64 {
        let has =
            |sample: &&Sample| labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|v| v == value));
        let mut found = self.samples.iter().filter(has);
        match (found.next(), found.next()) {
            (Some(sample), None) => sample.value,
            (first, second) => panic!("{labels:?}: {first:?}, {second:?}"),
        }
    }
}

#[test]
fn what_is_wrong_is_seen() {
    let head = "# HELP a_total b\n# TYPE a_total counter\n";
    let good = format!("{head}a_total{{api=\"x\\\"\\\\\\n\",b=\"\"}} 1\na_total 2.5\n");
    let read_well = read(&good).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(read_well["a_total"].samples[0].labels["api"], "x\"\\\n");
    for bad in [
        "a_total 1\n".to_owned(),
        format!("{head}a_total 1"),
        format!("{head}b_total 1\n"),
        format!("{head}a_total 1\na_total 1\n"),
        format!("{head}a_total{{a=\"1\",a=\"2\"}} 1\n"),
        format!("{head}a_total{{a=\"1\"}}1\n"),
        format!("{head}a_total{{a=\"\\x\"}} 1\n"),
        format!("{head}a_total{{a=\"1}} 1\n"),
        format!("{head}a_total{{a=\"1\",}} 1\n"),
        format!("{head}a_total NaN\n"),
        format!("{head}a_total -1\n"),
        format!("{head}{head}"),
        "# HELP a b\n# TYPE a counter\n".to_owned(),
        "# HELP a_total b\n# TYPE a_total gauge\n".to_owned(),
        "# HELP a \\x\n# TYPE a gauge\n".to_owned(),
        "# HELP a b\n# TYPE c gauge\n".to_owned(),
    ] {
        assert!(read(&bad).is_err(), "{bad}");
    }
    let histogram = |lines: &str| read(&format!("# HELP h b\n# TYPE h histogram\n{lines}"));
    let bucket = |le: &str, count: u64| format!("h_bucket{{le=\"{le}\"}} {count}\n");
    let rest = "h_sum 1\nh_count 2\n";
    assert!(histogram(&(bucket("0.1", 1) + &bucket("+Inf", 2) + rest)).is_ok());
    for bad in [
        bucket("0.1", 1) + rest,
        bucket("0.1", 3) + &bucket("+Inf", 2) + rest,
        bucket("0.1", 1) + &bucket("+Inf", 3) + rest,
        bucket("+Inf", 2) + "h_count 2\n",
        bucket("0.2", 1) + &bucket("0.1", 1) + &bucket("+Inf", 2) + rest,
    ] {
        assert!(histogram(&bad).is_err(), "{bad}");
    }
}
