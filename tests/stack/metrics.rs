//! Which metrics and labels there are, and which of them a query names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::files::{at, read};

/// What is asked of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics by name, with their labels.
pub(crate) type Known = BTreeMap<String, (Kind, BTreeSet<String>)>;

/// Labels that Prometheus adds to every series.
pub(crate) const ADDED: [&str; 2] = ["instance", "job"];

/// Everything that the gateway counts, from the macros in its source; labels from the table in README.md.
pub(crate) fn in_source() -> Known {
    let mut kinds = BTreeMap::new();
    for folder in ["src", "actors"] {
        scan(&at(folder), &mut kinds);
    }
    let labels = documented(&read("README.md"));
    kinds.into_iter().map(|(name, kind)| (name.clone(), (kind, labels.get(&name).cloned().unwrap_or_default()))).collect()
}

fn scan(folder: &Path, into: &mut BTreeMap<String, Kind>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scan(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.extend(counted(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The first argument of `counter!("...")`, `describe_gauge!(\n"..."` and the like.
fn counted(source: &str) -> Vec<(String, Kind)> {
    let macros = [("counter!(", Kind::Counter), ("gauge!(", Kind::Gauge), ("histogram!(", Kind::Histogram)];
    let named = |rest: &str| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned);
    let found = macros.into_iter().flat_map(|(call, kind)| source.split(call).skip(1).filter_map(named).map(move |name| (name, kind)));
    found.filter(|(name, _)| name.starts_with("outcrop_")).collect()
}

/// Labels by metric, from rows ``| `name`, `name` | label, label | ... |``.
fn documented(readme: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels = BTreeMap::new();
    for row in readme.lines().filter(|line| line.starts_with("| `outcrop_")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let of_row: BTreeSet<String> = cells[2].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        labels.extend(cells[1].split('`').skip(1).step_by(2).map(|name| (name.to_owned(), of_row.clone())));
    }
    labels
}

/// What a query names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Series, with the labels that choose among them.
    pub(crate) series: Vec<(String, Vec<String>)>,
    /// Labels that it groups and joins by.
    pub(crate) grouping: Vec<String>,
}

/// Words that are no series. Functions are known by their parenthesis, or by the labels between them and it.
const WORDS: [&str; 7] = ["and", "or", "unless", "offset", "bool", "inf", "nan"];
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads a query of PromQL, as far as names go.
pub(crate) fn named(query: &str) -> Named {
    let mut named = Named::default();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let (name, behind) = word(rest);
            let next = behind.trim_start();
            if BEFORE_LABELS.contains(&name) {
                let (inside, behind) = enclosed(next, '(', ')');
                named.grouping.extend(inside.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
                rest = behind;
            } else if WORDS.contains(&name) || next.starts_with('(') || ["by", "without"].contains(&word(next).0) {
                rest = behind;
            } else if next.starts_with('{') {
                let (inside, behind) = enclosed(next, '{', '}');
                named.series.push((name.to_owned(), matchers(inside)));
                rest = behind;
            } else {
                named.series.push((name.to_owned(), Vec::new()));
                rest = behind;
            }
        } else if first == '[' {
            rest = enclosed(rest, '[', ']').1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '.');
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    named
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':').unwrap_or(text.len());
    text.split_at(end)
}

/// What stands between two signs, and what behind them; signs within quotes do not count.
fn enclosed(text: &str, open: char, close: char) -> (&str, &str) {
    let inside = text.strip_prefix(open).unwrap_or_else(|| panic!("`{open}` is missing before: {text}"));
    let mut quoted = false;
    let end = inside.find(|letter| {
        quoted ^= letter == '"';
        letter == close && !quoted
    });
    let (inside, behind) = inside.split_at(end.unwrap_or_else(|| panic!("`{close}` is missing in: {text}")));
    (inside, &behind[1..])
}

/// Names before `=`, `!=`, `=~` and `!~`.
fn matchers(inside: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = inside;
    while let Some((name, behind)) = rest.split_once(['=', '!']) {
        names.push(name.trim_matches([' ', ',']).to_owned());
        let (_, value) = behind.split_once('"').unwrap_or_else(|| panic!("a value without quotes in {inside}"));
        rest = value.split_once('"').unwrap_or_else(|| panic!("an open quote in {inside}")).1;
    }
    names
}

/// What is wrong with the names of a query; `shown` are labels that its legend or its words need.
pub(crate) fn complaints(query: &str, shown: &[String], known: &Known) -> Vec<String> {
    let named = named(query);
    let mut complaints = Vec::new();
    let mut labels: BTreeSet<String> = ADDED.iter().map(|label| (*label).to_owned()).collect();
    if named.series.is_empty() {
        complaints.push("it names no metric".to_owned());
    }
    for (series, matched) in &named.series {
        let Some(mut own) = labels_of(series, known) else {
            complaints.push(format!("there is no metric `{series}`"));
            continue;
        };
        own.extend(ADDED.iter().map(|label| (*label).to_owned()));
        complaints.extend(matched.iter().filter(|label| !own.contains(*label)).map(|label| format!("`{series}` has no label `{label}`")));
        labels.extend(own);
    }
    let unknown = named.grouping.iter().filter(|label| !labels.contains(*label));
    complaints.extend(unknown.map(|label| format!("it groups by `{label}`, which none of its metrics has")));
    let left = if named.grouping.is_empty() { labels } else { named.grouping.into_iter().collect() };
    complaints.extend(
        shown.iter().filter(|label| !left.contains(*label)).map(|label| format!("`{label}` is shown, and is no label of the result")),
    );
    complaints.into_iter().map(|complaint| format!("{complaint}: {query}")).collect()
}

/// Labels of a series, if there is one of this name.
fn labels_of(series: &str, known: &Known) -> Option<BTreeSet<String>> {
    if series == "up" {
        return Some(BTreeSet::new());
    }
    if let Some((kind, labels)) = known.get(series) {
        return (*kind != Kind::Histogram).then(|| labels.clone());
    }
    let (histogram, bucket) =
        ["_bucket", "_sum", "_count"].iter().find_map(|ending| Some((series.strip_suffix(ending)?, *ending == "_bucket")))?;
    let (kind, labels) = known.get(histogram)?;
    let mut labels = labels.clone();
    labels.extend(bucket.then(|| "le".to_owned()));
    (*kind == Kind::Histogram).then_some(labels)
}

/// `{{ name }}` of a legend, `{{ $labels.name }}` of an alert's words.
pub(crate) fn shown(text: &str, prefix: &str) -> Vec<String> {
    let inside = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    inside.filter_map(|words| words.trim().strip_prefix(prefix).map(|rest| word(rest).0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Known::from([
            ("a_total".to_owned(), (Kind::Counter, labels(&["model"]))),
            ("b_seconds".to_owned(), (Kind::Histogram, labels(&["lane"]))),
        ])
    }

    #[test]
    fn series_matchers_and_groups_of_a_query_are_found() {
        let query = r#"histogram_quantile(0.9, sum by (le, x) (rate(b_bucket{c=~"d{2},e|f", g!="by"}[$__rate_interval]))) / 1e6 > on (h) group_left (l) max(i_total offset 10m) or (j unless k)"#;
        let series = [("b_bucket", vec!["c", "g"]), ("i_total", vec![]), ("j", vec![]), ("k", vec![])];
        let series: Vec<_> =
            series.into_iter().map(|(name, labels)| (name.to_owned(), labels.into_iter().map(str::to_owned).collect())).collect();
        assert_eq!(named(query), Named { series, grouping: ["le", "x", "h", "l"].map(str::to_owned).to_vec() });
    }

    #[test]
    fn unknown_metrics_and_labels_are_told() {
        let told = |query: &str, shown: &[&str]| {
            let shown: Vec<String> = shown.iter().map(|label| (*label).to_owned()).collect();
            complaints(query, &shown, &known()).len()
        };
        assert_eq!(told("sum by (model) (rate(a_total{instance=\"x\"}[5m]))", &["model"]), 0);
        assert_eq!(told("histogram_quantile(0.5, sum by (le, lane) (rate(b_seconds_bucket[5m])))", &["lane"]), 0);
        assert_eq!(told("a_total", &["model", "instance"]), 0);
        assert_eq!(told("c_total", &[]), 1);
        assert_eq!(told("b_seconds", &[]), 1, "a histogram has no series of its bare name");
        assert_eq!(told("a_total_bucket", &[]), 1);
        assert_eq!(told("b_seconds_sum{le=\"1\"}", &[]), 1, "only buckets have `le`");
        assert_eq!(told("a_total{region=\"x\"}", &[]), 1);
        assert_eq!(told("sum by (region) (a_total)", &[]), 1);
        assert_eq!(told("sum by (instance) (a_total)", &["model"]), 1, "the sum has left it out");
        assert_eq!(told("1 > 0", &[]), 1);
    }

    #[test]
    fn counted_names_are_found_with_their_kind_and_documented_labels() {
        let source = "metrics::counter!(\"outcrop_a\", \"l\" => x); describe_histogram!(\n  \"outcrop_b\", \"w\"); gauge!(\"other\")";
        assert_eq!(counted(source), [("outcrop_a".to_owned(), Kind::Counter), ("outcrop_b".to_owned(), Kind::Histogram)]);
        let labels = documented("| `outcrop_a`, `outcrop_b` | x, y | words |\n| `outcrop_c` | | words |");
        assert_eq!(labels["outcrop_b"], BTreeSet::from(["x".to_owned(), "y".to_owned()]));
        assert_eq!(labels["outcrop_c"], BTreeSet::new());
    }

    #[test]
    fn labels_that_are_shown_are_found() {
        assert_eq!(shown("{{region}} of {{ model }}", ""), ["region", "model"]);
        assert_eq!(shown("{{ $labels.region }}: {{ $value | humanize }}", "$labels."), ["region"]);
    }
}
