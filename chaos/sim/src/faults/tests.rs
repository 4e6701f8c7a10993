use super::*;
use crate::{
    script::CorruptField,
    span::{SignedSpan, Span},
};

fn read(text: &str) -> Result<Fault, String> {
    toml::from_str::<Fault>(text).map_err(|fault| fault.message().to_owned())
}

#[test]
fn a_fault_is_one_flat_table_of_kind_parameters_and_conditions() {
    let fault = read("kind = \"reset\"\nat_byte = \"random\"\nshare = 0.03\nfrom = \"5m\"\nfor = \"50m\"\nname = \"cuts\"").unwrap();
    assert_eq!(fault.kind, FaultKind::Reset { at: None, at_byte: Some(Position::Random) });
    assert_eq!(fault.name.as_deref(), Some("cuts"));
    assert_eq!(fault.selector, Selector { share: 0.03, from: Span::secs(300), lasting: Some(Span::secs(3_000)), ..Selector::default() });
    let fault = read("kind = \"corrupt_frame\"\nfield = \"message_crc\"\nshare = 0.005\nmax_active = 5").unwrap();
    assert_eq!(fault.kind, FaultKind::CorruptFrame { field: CorruptField::MessageCrc, after_events: Position::Random });
    let fault = read("kind = \"clock_skew\"\noffset = \"-7m\"\nregion = \"us-east-1\"").unwrap();
    let offset = SignedSpan { length: std::time::Duration::from_secs(420), negative: true };
    assert_eq!((fault.kind, fault.selector.region.as_deref()), (FaultKind::ClockSkew { offset }, Some("us-east-1")));
}

#[test]
fn events_may_say_when_they_happen() {
    let fault = read("kind = \"credentials_expired\"\nat = \"20m\"").unwrap();
    assert_eq!((fault.kind, fault.selector.from), (FaultKind::CredentialsExpired {}, Span::secs(1_200)));
    assert!(read("kind = \"credentials_expired\"\nat = \"20m\"\nfrom = \"2s\"").unwrap_err().contains("give one of them"));
    let cut = read("kind = \"reset\"\nat = \"headers\"").unwrap();
    assert_eq!(cut.kind, FaultKind::Reset { at: Some(WireMoment::Headers), at_byte: None });
}

#[test]
fn impossible_faults_say_what_is_wrong() {
    for (text, part) in [
        ("kind = \"no_stop\"\nafter_events = 3", "unknown field `after_events`"),
        ("kind = \"meteor\"", "unknown variant `meteor`"),
        ("kind = \"throttle\"\nshares = 0.5", "unknown field `shares`"),
        ("kind = \"throttle\"\nshare = 1.5", "`share` of a `throttle` fault must be between 0 and 1"),
        ("kind = \"throttle\"\nfrom = \"5\"", "write a number and a unit"),
        ("kind = \"throttle\"\nnth = 0", "at least 1"),
        ("kind = \"late_usage\"\ndelay = 30", "expected a string"),
        ("kind = \"reset\"", "exactly one of `at` and `at_byte`"),
        ("kind = \"reset\"\nat = \"headers\"\nat_byte = 3", "exactly one of `at` and `at_byte`"),
        ("kind = \"reset\"\nat_byte = \"anywhere\"", "`anywhere` is no place"),
        ("kind = \"stall\"\nafter_events = 1\nafter_bytes = 2", "at most one"),
        ("kind = \"error\"\ncode = \"OddException\"", "give its `status`"),
        ("kind = \"error\"\ncode = \"OddException\"\nstatus = 200", "between 400 and 599"),
        ("kind = \"region_down\"\nmodel = \"m\"", "cannot select by `model`"),
        ("kind = \"region_down\"\nshare = 0.5", "cannot select by `share`"),
        ("kind = \"refuse\"\nkey = \"k\"\nshare = 0.5", "cannot select by `key`"),
        ("kind = \"quota\"\nrpm = 5\nnth = 3", "cannot select by `nth`"),
        ("kind = \"quota\"\nrpm = 5\nburst = 3", "unknown field `burst`"),
        ("kind = \"quota\"\nrpm = 5\nburndown = 1.5", "whole number"),
        ("kind = \"quota_scale\"\nfactor = 0", "must be above 0"),
        ("kind = \"latency\"\np50 = \"2s\"\np99 = \"1s\"", "at least `p50`"),
        ("kind = \"bandwidth\"\nbytes_per_s = 0", "at least 1"),
    ] {
        let message = read(text).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn every_kind_survives_a_round_trip_and_names_itself() {
    for text in [
        "kind = \"quota\"\nrpm = 600\ntpm = 3000000\nburndown = 5.0\nrefill = \"minute\"\ndepth = \"20s\"\nsettle_after = \"5s\"",
        "kind = \"quota_scale\"\nfactor = 0.5",
        "kind = \"throttle\"\nlimit = \"tokens\"",
        "kind = \"storm\"\ncount = 50\nwithin = \"1s\"",
        "kind = \"error\"\ncode = \"ServiceUnavailableException\"\nretry_after = \"2s\"",
        "kind = \"model_timeout\"\nafter = \"60s\"",
        "kind = \"access_lost\"\nat = \"1m\"",
        "kind = \"model_gone\"",
        "kind = \"credentials_expired\"",
        "kind = \"clock_skew\"\noffset = \"-7m\"",
        "kind = \"latency\"\ndist = \"lognormal\"\np50 = \"1s\"\np99 = \"4s\"\ncap = \"9s\"",
        "kind = \"first_token\"\np50 = \"1s\"",
        "kind = \"inter_token\"\np50 = \"1s\"",
        "kind = \"stall\"\nafter_bytes = 100\npause = \"5s\"",
        "kind = \"exception_frame\"\ntype = \"throttlingException\"\nafter_events = 2",
        "kind = \"error_frame\"\ncode = \"odd\"",
        "kind = \"no_stop\"",
        "kind = \"no_usage\"",
        "kind = \"late_usage\"\ndelay = \"1s\"",
        "kind = \"duplicate_event\"\nafter_events = \"random\"",
        "kind = \"corrupt_frame\"\nfield = \"prelude_crc\"",
        "kind = \"truncate_frame\"\nkeep_bytes = 5",
        "kind = \"refuse\"",
        "kind = \"blackhole\"",
        "kind = \"dns\"\nmode = \"moved\"",
        "kind = \"reset\"\nat_byte = 17",
        "kind = \"close\"\nat = \"request\"",
        "kind = \"half_close\"",
        "kind = \"slice\"\nchunk = 3",
        "kind = \"bandwidth\"\nbytes_per_s = 2000",
        "kind = \"delay\"\np50 = \"3ms\"",
        "kind = \"idle_cut\"\nafter = \"30s\"",
        "kind = \"region_down\"\nmode = \"5xx\"",
        "kind = \"brownout\"\np50 = \"2s\"\nerrors = 0.2",
        "kind = \"control_plane_down\"\nmode = \"blackhole\"",
    ] {
        let fault = read(text).unwrap();
        assert!(text.contains(&format!("\"{}\"", fault.kind_name())), "{text}");
        let written = serde_json::to_string(&fault).unwrap();
        assert_eq!(serde_json::from_str::<Fault>(&written).unwrap(), fault, "{written}");
    }
}
