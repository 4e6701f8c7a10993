//! Writes log lines from a thread of its own, many at a time.
//!
//! Handing each line to another thread by itself wakes that thread for each request, which costs more than the line.
//! Here the first line of a batch wakes the writer; it lets a batch gather, and writes it in one call.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How long a batch gathers. What a SIGKILL may cost: usage is told by these lines, and nobody is told of those that were not
/// written.
const GATHER: Duration = Duration::from_millis(5);

/// The same while there is much to write, and so much more that a SIGKILL may cost: to be woken 200 times a second costs a
/// busy gateway one request in a hundred.
const GATHER_BUSY: Duration = Duration::from_millis(20);

/// A batch of so many bytes, some twenty lines, is much. A long batch gathers more, so what is busy stays so until there are four
/// times fewer lines: it does not go back and forth.
const BUSY_BYTES: usize = 8 * 1024;

/// Lines that wait beyond this are dropped: a stuck pipe must not eat the memory. Bytes.
const MOST_WAITING: usize = 8 * 1024 * 1024;

/// Takes lines; clones write into the same batch.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

struct Shared {
    batch: Mutex<Batch>,
    filled: Condvar,
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    dropped_lines: u64,
    closed: bool,
}

/// Ends the thread, after it has written what waits.
pub(super) struct LogWriterGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread that writes to `sink`.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn start(sink: impl Write + Send + 'static) -> io::Result<(LogWriter, LogWriterGuard)> {
    let shared = Arc::new(Shared { batch: Mutex::default(), filled: Condvar::new() });
    let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || shared.write_until_closed(sink)
    })?;
    Ok((LogWriter(Arc::clone(&shared)), LogWriterGuard { shared, thread: Some(thread) }))
}

impl Shared {
    /// A batch is whole after every append, so one whose holder panicked can still be used.
    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &[u8]) {
        let mut batch = self.lock();
        if batch.bytes.len() + line.len() > MOST_WAITING {
            batch.dropped_lines += 1;
            return;
        }
        let first = batch.bytes.is_empty();
        batch.bytes.extend_from_slice(line);
        drop(batch);
        if first {
            self.filled.notify_one();
        }
    }

    fn write_until_closed(&self, mut sink: impl Write) {
        let mut bytes = Vec::new();
        let mut gather = GATHER;
        loop {
            let closed = self.next_batch(&mut bytes, gather);
            gather = if bytes.len() < BUSY_BYTES { GATHER } else { GATHER_BUSY };
            // Nobody can be told that the log cannot be written; the next batch tries again.
            let _unwritten = sink.write_all(&bytes).and_then(|()| sink.flush());
            bytes.clear();
            if closed {
                return;
            }
        }
    }

    /// Waits for lines and swaps them into `bytes`. True when these are the last.
    fn next_batch(&self, bytes: &mut Vec<u8>, gather: Duration) -> bool {
        let mut batch = self.lock();
        while batch.bytes.is_empty() && !batch.closed {
            batch = self.filled.wait(batch).unwrap_or_else(PoisonError::into_inner);
        }
        if !batch.closed {
            batch = self.filled.wait_timeout_while(batch, gather, |batch| !batch.closed).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::swap(bytes, &mut batch.bytes);
        let dropped = std::mem::take(&mut batch.dropped_lines);
        if dropped > 0 {
            metrics::counter!("outcrop_log_lines_dropped_total").increment(dropped);
        }
        batch.closed
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Drop for LogWriterGuard {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to write.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_by_the_end() {
        let sink = Sink::default();
        let (writer, guard) = start(sink.clone()).unwrap();
        for number in 0..1000 {
            writer.make_writer().write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        drop(guard);
        let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), expected);
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted() {
        let shared = Shared { batch: Mutex::default(), filled: Condvar::new() };
        let line = vec![b'x'; MOST_WAITING];
        shared.append(&line);
        shared.append(b"one too many");
        let batch = shared.lock();
        assert_eq!((batch.bytes.len(), batch.dropped_lines), (MOST_WAITING, 1));
    }
}
