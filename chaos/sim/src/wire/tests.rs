use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};

use super::*;
use crate::{clock::SimClock, draw, pace::Latency};

fn wire() -> (Wire<DuplexStream>, DuplexStream, Arc<WireControl>) {
    let (near, far) = tokio::io::duplex(1024);
    let control = Arc::new(WireControl::new(1, SimClock::system(), Duration::ZERO));
    (Wire::new(near, Arc::clone(&control), |_| {}), far, control)
}

fn shaped(plan: WirePlan) -> (Wire<DuplexStream>, DuplexStream, Arc<WireControl>) {
    let (wire, far, control) = wire();
    control.begin_call();
    control.shape(plan);
    (wire, far, control)
}

#[tokio::test]
async fn bytes_put_back_are_read_first() {
    let (mut wire, mut far, _) = wire();
    far.write_all(b"world").await.unwrap();
    wire.unread(b"hello "[..].into());
    let mut read = [0; 11];
    wire.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello world");
}

#[tokio::test]
async fn a_leaving_peer_is_noted() {
    let (mut wire, far, control) = wire();
    assert_eq!(control.peer_closed_at(), None);
    drop(far);
    assert_eq!(wire.read(&mut [0; 4]).await.unwrap(), 0);
    assert!(control.peer_closed_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cut_waits_for_the_flush() {
    let (mut wire, _far, control) = wire();
    control.cut_after_flush(CutManner::Close);
    assert!(control.is_cut());
    wire.write_all(b"last words").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(1), control.until_cut()).await.is_err());
    wire.flush().await.unwrap();
    control.until_cut().await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_lets_exactly_its_bytes_out_however_they_are_written() {
    for (at, writes) in [(0_u64, [4, 4, 4]), (4, [4, 4, 4]), (5, [4, 4, 4]), (1, [12, 0, 0]), (11, [1, 10, 1]), (12, [4, 4, 4])] {
        let (mut wire, mut far, control) = shaped(WirePlan { cut: Some((at, WireCut::Reset)), ..WirePlan::default() });
        let writing = async {
            for size in writes {
                wire.write_all(&vec![b'x'; size]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = writing => {}
            () = control.until_cut() => {}
        }
        assert_eq!(control.cut_manner(), Some(CutManner::Reset));
        drop(wire);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen.len() as u64, at);
        assert_eq!(control.trace().bytes, at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_wire_still_hears_its_peer() {
    let (mut wire, mut far, control) = shaped(WirePlan { cut: Some((3, WireCut::Half)), ..WirePlan::default() });
    let wrote = tokio::time::timeout(Duration::from_secs(1), wire.write_all(b"abcdef")).await;
    assert!(wrote.is_err(), "nothing more can leave");
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"abc");
    far.write_all(b"still here").await.unwrap();
    let mut heard = [0; 10];
    wire.read_exact(&mut heard).await.unwrap();
    assert_eq!((&heard, control.peer_closed_at()), (b"still here", None));
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_takes_as_long_as_its_rate_says() {
    let (mut wire, mut far, _) = shaped(WirePlan { bytes_per_s: Some(2_000), ..WirePlan::default() });
    let started = Instant::now();
    let reading = tokio::spawn(async move {
        let mut seen = [0; 1_000];
        far.read_exact(&mut seen).await.unwrap();
        Instant::now()
    });
    wire.write_all(&[0; 1_000]).await.unwrap();
    let took = reading.await.unwrap() - started;
    // The last moment's worth of bytes need not wait for the line to be free again.
    assert_eq!(took, Duration::from_millis(500 - 10));
}

#[tokio::test(start_paused = true)]
async fn each_write_of_a_delayed_line_waits_and_slices_are_writes() {
    let delay = (Latency::Fixed(Duration::from_millis(7)), draw::stream(1, "delay", 0));
    let (mut wire, mut far, control) = shaped(WirePlan { slice: Some(3), delay: Some(delay), ..WirePlan::default() });
    let started = Instant::now();
    wire.write_all(b"0123456789").await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(4 * 7), "four writes of at most three bytes");
    let mut seen = [0; 10];
    far.read_exact(&mut seen).await.unwrap();
    let trace = control.trace();
    assert_eq!((&seen, trace.bytes), (b"0123456789", 10));
    assert_eq!(trace.last_byte.unwrap() - trace.first_byte.unwrap(), Duration::from_millis(21));
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_stands_still_loses_nothing_and_notices_the_peer_leaving() {
    let (mut wire, mut far, control) = wire();
    control.stand_still(true);
    far.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    let second = Duration::from_secs(1);
    assert!(tokio::time::timeout(second, wire.read(&mut heard)).await.is_err());
    assert!(tokio::time::timeout(second, wire.write(b"x")).await.is_err());
    assert!(tokio::time::timeout(second, wire.flush()).await.is_err());
    control.stand_still(false);
    wire.read_exact(&mut heard).await.unwrap();
    assert_eq!((&heard, control.peer_closed_at()), (b"hello", None));
    control.stand_still(true);
    drop(far);
    assert_eq!(wire.read(&mut heard).await.unwrap(), 0);
    assert!(control.peer_closed_at().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_next_call_is_shaped_anew() {
    let (mut wire, mut far, control) = shaped(WirePlan { cut: Some((10, WireCut::Reset)), ..WirePlan::default() });
    wire.write_all(b"12345").await.unwrap();
    control.begin_call();
    wire.write_all(&[0; 20]).await.unwrap();
    let mut seen = [0; 25];
    far.read_exact(&mut seen).await.unwrap();
    assert_eq!((control.is_cut(), control.trace().bytes, control.written()), (false, 20, 25));
}
