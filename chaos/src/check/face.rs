//! I13: errors keep their face.

use super::Verdict;
use crate::history::{Admission, Call, ClientFault, End, Ending, Envelope, History, Joined, Request};

/// The mark that faults of the harness put into upstream's error texts, followed by the number of the call.
pub(crate) const MARK: &str = "chaos of call ";

/// Judges the errors that clients were given.
pub(super) fn check(history: &History) -> Verdict {
    let joined = Joined::of(history);
    let mut verdict = Verdict::default();
    for request in &history.requests {
        let told = matches!(request.end, End::Refused | End::StreamError);
        if !told || matches!(request.fault, Some(ClientFault::HalfOpen)) {
            continue;
        }
        verdict.look();
        if let Some(words) = wrong(history, &joined, request) {
            verdict.fail(request.ended.unwrap_or_default(), Some(request.id), None, words);
        }
    }
    verdict
}

fn wrong(history: &History, joined: &Joined<'_>, request: &Request) -> Option<String> {
    let Some(error) = request.error.as_ref().filter(|error| error.well_formed) else {
        return Some("the error has not the dialect's envelope".to_owned());
    };
    let calls = joined.calls_of(request);
    foreign(error, calls)
        .or_else(|| expected_status(request))
        .or_else(|| own_words(request, error, calls))
        .or_else(|| last_words(history, request, error, calls))
}

/// Text of another request's call.
fn foreign(error: &Envelope, calls: &[&Call]) -> Option<String> {
    let stranger = marks(&error.message).into_iter().find(|number| !calls.iter().any(|call| call.number == *number));
    stranger.map(|number| format!("the error quotes call {number}, which was made for another request"))
}

/// What a client did wrong has a status of its own.
fn expected_status(request: &Request) -> Option<String> {
    let wanted = match request.fault? {
        ClientFault::BadBody => 400,
        ClientFault::HugeBody => 413,
        _ => return None,
    };
    (request.status != Some(wanted)).then(|| format!("answered {:?}, {wanted} was due", request.status))
}

/// A refusal of the request itself comes back with its status and word for word.
fn own_words(request: &Request, error: &Envelope, calls: &[&Call]) -> Option<String> {
    let Admission::Refused { status: status @ (400 | 413 | 422), text, .. } = &calls.last()?.admission else { return None };
    if request.status != Some(*status) {
        return Some(format!("upstream said {status}, the client was told {:?}", request.status));
    }
    (!error.message.contains(text.as_str())).then(|| format!("upstream said {text:?}, the client was told {:?}", error.message))
}

/// An exception in mid-stream reaches the client with the words of upstream, where the harness chose them.
fn last_words(history: &History, request: &Request, error: &Envelope, calls: &[&Call]) -> Option<String> {
    let last = calls.last().filter(|last| request.end == End::StreamError && last.ending == Ending::Complete)?;
    let fault = history.faults.iter().find(|fault| Some(fault.index) == last.fault && fault.kind == EXCEPTION)?;
    let text = fault.text.as_ref()?.replace("{call}", &last.number.to_string());
    (!error.message.contains(&text)).then(|| format!("upstream broke off with {text:?}, the client was told {:?}", error.message))
}

/// The kind of faults that end a stream with words.
const EXCEPTION: &str = "exception_frame";

/// The numbers of calls that a text quotes.
pub(crate) fn marks(text: &str) -> Vec<u64> {
    let quotes = text.split(MARK).skip(1);
    quotes.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::kit::{answered, call, empty, fault, refused, rejected},
        history::FaultSpan,
    };

    fn found(status: u16, message: &str) -> u64 {
        let mut history = empty();
        let mut request = refused(1, 0, status);
        request.error.as_mut().unwrap().message = message.to_owned();
        history.calls.push(rejected(7, &request, 400, "bad, says chaos of call 7"));
        history.requests.push(request);
        check(&history).found
    }

    #[test]
    fn upstreams_words_pass_unchanged() {
        assert_eq!(found(400, "bad, says chaos of call 7"), 0);
        assert_eq!(found(400, "upstream: bad, says chaos of call 7 (req-1)"), 0);
    }

    #[test]
    fn changed_foreign_and_wrapped_errors_are_violations() {
        assert_eq!(found(400, "something went wrong"), 1);
        assert_eq!(found(502, "bad, says chaos of call 7"), 1);
        assert_eq!(found(400, "bad, says chaos of call 7; chaos of call 8"), 1);
    }

    #[test]
    fn an_exception_in_mid_stream_keeps_its_words() {
        let told = |text: Option<&str>, message: &str| {
            let mut history = empty();
            let error = Envelope { well_formed: true, message: message.to_owned(), ..Envelope::default() };
            let request = Request { end: End::StreamError, error: Some(error), ..answered(1, 0, 7) };
            history.faults.push(fault("reset", 0, 9));
            history.faults.push(FaultSpan { index: 1, text: text.map(str::to_owned), ..fault("exception_frame", 0, 9) });
            history.calls.push(Call { fault: Some(1), intact: false, ..call(7, &request) });
            history.requests.push(request);
            check(&history).found
        };
        assert_eq!(told(Some("broke, says chaos of call {call}"), "modelStreamErrorException: broke, says chaos of call 7"), 0);
        assert_eq!(told(Some("broke, says chaos of call {call}"), "the stream broke"), 1);
        assert_eq!(told(Some("broken by call {call}"), "broken by call 8"), 1);
        assert_eq!(told(None, "the stream broke"), 0, "nobody chose words");
    }

    #[test]
    fn an_error_without_its_envelope_is_a_violation() {
        let mut history = empty();
        history.requests.push(Request { error: None, ..refused(1, 0, 429) });
        assert_eq!(check(&history).found, 1);
        history.requests[0].error = Some(Envelope { well_formed: true, ..Envelope::default() });
        assert_eq!(check(&history).found, 0);
    }

    #[test]
    fn bad_bodies_get_their_own_status() {
        let mut history = empty();
        history.requests.push(Request { fault: Some(ClientFault::BadBody), ..refused(1, 0, 400) });
        history.requests.push(Request { fault: Some(ClientFault::HugeBody), ..refused(2, 0, 413) });
        assert_eq!(check(&history).found, 0);
        history.requests.push(Request { fault: Some(ClientFault::BadBody), ..refused(3, 0, 500) });
        assert_eq!(check(&history).found, 1);
    }

    #[test]
    fn quoted_calls_are_found_in_texts() {
        assert_eq!(marks("chaos of call 12, then chaos of call 7."), [12, 7]);
        assert_eq!(marks("no chaos of call x"), [0_u64; 0]);
    }
}
