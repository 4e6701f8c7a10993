use std::path::Path;

use super::{page, *};
use crate::{
    history::{Call, PhaseMark, Request, Sample},
    scenario::parse_text,
};

const TEXT: &str = r#"
name = "quiet"
hypothesis = "nothing <b>happens</b>"
region = [{ name = "us-east-1" }]
model = [{ id = "anthropic.claude-sonnet-4-6" }]
phase = [{ name = "steady", for = "10s", rate = "1/s" }]
fault = [{ kind = "vanish", share = 0.05, after = "exp 800ms", expect = { failed_requests = 0 } }]
[load]
mix = [{ }]
[bounds]
success = ">= 99%"
ttft_p99 = "<= 5s"
[vacuous]
at_least = { upstream_calls = 1 }
[rules]
waived = { I5 = "no rows here", I11 = "no process", I12 = "no canaries", I14 = "no log", I18 = "no words", I4 = "no calls of theirs" }
"#;

fn run(change: impl FnOnce(&mut History)) -> (RunReport, History) {
    let scenario = parse_text(Path::new("quiet.toml"), TEXT).unwrap_or_else(|error| panic!("{error}"));
    let about = About {
        scenario: "quiet".to_owned(),
        hypothesis: scenario.hypothesis.clone(),
        strategy: "ordered".to_owned(),
        judged: true,
        expansion: scenario.text.clone(),
        scale: 1.0,
        rules: scenario.rules.clone(),
        regions: vec!["us-east-1".to_owned()],
        ..About::default()
    };
    let mut history = History { about, ..History::default() };
    history.phases.push(PhaseMark { name: "steady".to_owned(), until: Micros::seconds(10), judged: true, ..PhaseMark::default() });
    history.faults.push(FaultSpan {
        label: "vanish".to_owned(),
        layer: crate::history::Layer::Client,
        until: Micros::seconds(10),
        hits: 1,
        ..FaultSpan::default()
    });
    for id in 0..10 {
        let at = Micros::seconds(id);
        let mut request = Request {
            id,
            nonce: format!("n{id}"),
            intended: at,
            sent: Some(at),
            first_content: Some(at),
            ended: Some(at.plus(Micros::millis(300))),
            deadline: at.plus(Micros::seconds(60)),
            end: End::Complete,
            status: Some(200),
            ..Request::default()
        };
        request.said.hear(id + 1, 0);
        let call = Call {
            number: id + 1,
            region: "us-east-1".to_owned(),
            nonce: Some(request.nonce.clone()),
            arrived: at,
            words_sent: 1,
            words_total: 1,
            intact: true,
            ended: request.ended,
            ending: crate::history::Ending::Complete,
            ..Call::default()
        };
        history.calls.push(call);
        history.requests.push(request);
        history.samples.push(Sample { at, rss_kib: Some(50_000 + id), fds: Some(20), ..Sample::default() });
    }
    change(&mut history);
    (RunReport::of(&history, &scenario), history)
}

#[test]
fn a_run_without_a_complaint_has_passed() {
    let (report, _) = run(|_| {});
    assert_eq!(report.verdict, RunVerdict::Passed, "{:?}", report.complaints());
    assert_eq!((report.requests, report.number("success")), (10, "100%"));
}

#[test]
fn violations_fail_taints_and_gaps_are_inconclusive() {
    let (report, _) = run(|history| history.requests[3].end = End::Silent);
    assert_eq!(report.verdict, RunVerdict::Failed);
    assert!(report.complaints()[0].starts_with("I1 "), "{:?}", report.complaints());
    let (report, _) = run(|history| history.about.tainted.push("too late".to_owned()));
    assert_eq!(report.verdict, RunVerdict::Inconclusive);
    let (report, _) = run(|history| history.about.rules.at_least.upstream_calls = 100);
    assert_eq!(report.verdict, RunVerdict::Inconclusive);
    let (report, _) = run(|history| history.about.broken = Some("no such strategy".to_owned()));
    assert_eq!(report.verdict, RunVerdict::Failed);
}

#[test]
fn a_late_generator_does_not_blame_the_gateway_for_its_times() {
    let slow = |history: &mut History| {
        history.requests.iter_mut().for_each(|request| request.first_content = Some(request.intended.plus(Micros::seconds(9))));
    };
    assert_eq!(run(slow).0.verdict, RunVerdict::Failed);
    let late = |history: &mut History| history.about.tainted.push("one send was 300 ms late".to_owned());
    let (report, _) = run(|history| {
        slow(history);
        late(history);
    });
    assert_eq!(report.verdict, RunVerdict::Inconclusive, "{}", report.sentence);
    assert!(report.complaints().iter().any(|complaint| complaint.starts_with("ttft_p99")), "it is told all the same");
    let (report, _) = run(|history| {
        late(history);
        history.requests[3].end = End::Silent;
    });
    assert_eq!(report.verdict, RunVerdict::Failed, "what is no matter of time counts");
}

#[test]
fn the_page_stands_alone() {
    let failed = run(|history| history.requests[3].end = End::Silent);
    let other = run(|history| history.about.strategy = "round_robin".to_owned());
    let page = page::page(&[failed, other]);
    for outside in ["http", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page refers to the outside: {outside}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    assert!(page.contains("nothing &lt;b&gt;happens"), "texts are escaped");
    assert!(page.matches("<svg").count() >= 5 && page.contains("Strategies side by side") && page.contains("id=\"I1\""));
}

#[test]
fn a_stored_run_is_judged_again_to_the_same_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let (report, history) = run(|history| history.requests[3].end = End::Silent);
    let place = store.fresh("quiet", "ordered").unwrap();
    let mut writer = crate::history::Writer::create(&Store::history_file(&place)).unwrap();
    use crate::history::Record;
    writer.write(&Record::About(Box::new(history.about.clone()))).unwrap();
    history.phases.iter().for_each(|phase| writer.write(&Record::Phase(phase.clone())).unwrap());
    history.faults.iter().for_each(|fault| writer.write(&Record::Fault(fault.clone())).unwrap());
    history.requests.iter().for_each(|request| writer.write(&Record::Request(Box::new(request.clone()))).unwrap());
    history.calls.iter().for_each(|call| writer.write(&Record::Call(Box::new(call.clone()))).unwrap());
    history.samples.iter().for_each(|sample| writer.write(&Record::Sample(sample.clone())).unwrap());
    writer.finish().unwrap();
    let stored = store.list().unwrap();
    let (again, read) = Store::judge(&stored[0]).unwrap();
    assert_eq!(again, report);
    let file = store.write("quiet", &[(again, read)]).unwrap();
    assert!(file.ends_with("quiet.html") && file.exists());
}

#[test]
fn the_table_has_a_row_for_each_run() {
    let text = table(&[run(|_| {}).0, run(|history| history.requests[3].end = End::Silent).0]);
    assert!(text.contains("passed") && text.contains("FAILED") && text.contains("I1 "), "{text}");
}
