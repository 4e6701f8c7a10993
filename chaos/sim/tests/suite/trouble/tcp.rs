//! What only a socket can show: refusals, resets and closes as the kernel makes them.

use tokio::net::TcpStream;

use super::*;

async fn listening() -> Simulator {
    let simulator = Simulator::builder().regions([EAST, WEST]).seed(11).chunking(Chunking::Framed).start().await.unwrap();
    simulator.answer_with(Some(Arc::new(|_| turn(WORDS))));
    simulator
}

/// One call over TCP. Silence of a second is silence: nothing here takes that long.
async fn dial(simulator: &Simulator, request: &[u8]) -> Sight {
    let started = Instant::now();
    let mut stream = match TcpStream::connect(simulator.address(EAST).unwrap()).await {
        Ok(stream) => stream,
        Err(fault) => return Sight::nothing(End::NoConnection(fault.kind()), Duration::ZERO),
    };
    let _refused = stream.write_all(request).await;
    tokio::time::timeout(Duration::from_secs(1), read_to_the_end(&mut stream, started))
        .await
        .unwrap_or_else(|_| Sight::nothing(End::Silent, Duration::ZERO))
}

#[tokio::test]
async fn exactly_the_bytes_before_a_cut_arrive_over_tcp() {
    for (kind, end) in [("reset", End::Reset), ("close", End::Closed)] {
        for bytes in [0, 1, 250, 1_000] {
            let simulator = listening().await;
            simulator.install(fault(&format!("kind = \"{kind}\"\nat_byte = {bytes}"))).unwrap();
            let seen = dial(&simulator, &stream()).await;
            assert_eq!((seen.end, seen.wire.len()), (end, bytes), "{kind} at {bytes}");
            let record = simulator.journal().wait_for_ended(1, LONG).await.map(|_| simulator.journal().records().remove(0)).unwrap();
            assert_eq!((record.end, record.wire_bytes), (outcrop_sim::End::Cut, bytes as u64));
        }
    }
}

#[tokio::test]
async fn a_share_of_connections_is_reset_as_it_is_accepted() {
    for (share, expected) in [(0.0, 0..=0), (0.5, 8..=32), (1.0, 40..=40)] {
        let simulator = listening().await;
        simulator.install(fault(&format!("kind = \"reset\"\nat = \"connect\"\nshare = {share:?}"))).unwrap();
        let mut reset = 0;
        for _ in 0..40 {
            match dial(&simulator, &converse()).await.end {
                End::Whole => {}
                // A client that is quick enough to notice sees the reset when it connects or writes.
                End::Reset | End::NoConnection(ErrorKind::ConnectionReset) => reset += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(expected.contains(&reset) && simulator.faults()[0].hits == reset, "{reset} at share {share}");
    }
}

#[tokio::test]
async fn nobody_listens_where_connections_are_refused() {
    let simulator = listening().await;
    let mut running = TcpStream::connect(simulator.address(EAST).unwrap()).await.unwrap();
    running.write_all(&converse()).await.unwrap();
    assert_eq!(read_to_the_end(&mut running, Instant::now()).await.end, End::Whole);
    for kind in ["refuse", "region_down"] {
        let id = simulator.install(fault(&format!("kind = \"{kind}\"\nregion = \"us-east-1\""))).unwrap();
        until(async || dial(&simulator, &converse()).await.end == End::NoConnection(ErrorKind::ConnectionRefused)).await;
        if kind == "region_down" {
            assert_eq!(read_to_the_end(&mut running, Instant::now()).await.end, End::Reset);
        } else {
            running.write_all(&converse()).await.unwrap();
            assert_eq!(read_to_the_end(&mut running, Instant::now()).await.end, End::Whole);
        }
        simulator.uninstall(id);
        until(async || dial(&simulator, &converse()).await.end == End::Whole).await;
    }
}

/// The listener follows within its own time.
async fn until(condition: impl AsyncFn() -> bool) {
    tokio::time::timeout(crate::support::LIMIT, async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it never happened");
}

#[tokio::test]
async fn a_silent_region_accepts_and_says_nothing() {
    let simulator = listening().await;
    let id = simulator.install(fault("kind = \"region_down\"\nmode = \"blackhole\"\nregion = \"us-east-1\"")).unwrap();
    let mut stream = TcpStream::connect(simulator.address(EAST).unwrap()).await.unwrap();
    stream.write_all(&converse()).await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(100), stream.read(&mut byte)).await.is_err());
    simulator.uninstall(id);
    assert_eq!(read_to_the_end(&mut stream, Instant::now()).await.end, End::Whole);
}
