//! A reader that does not read: whoever asks for something large and takes nothing of it would hold a
//! connection for ever. It is closed when it has taken no byte for a while; however slowly somebody reads, they
//! get everything.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A connection that has taken no byte for so long, while there is something for it, is closed. Systems tell
/// only now and then that there is room again: less would cut those off whose way is slow.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(60);

type Clock = Option<Pin<Box<Sleep>>>;

/// A connection of which bytes must be taken.
pub(super) struct Paced<S> {
    stream: S,
    limit: Duration,
    /// Until when somebody may take nothing more, while there is something.
    stalled: Clock,
    /// The same while what is kept on the way is sent, or the connection is closed. A clock of its own: that a
    /// plain connection has nothing on the way does not mean that it took something.
    ending: Clock,
    is_socket: Arc<AtomicBool>,
}

impl<S> Paced<S> {
    /// `is_socket` is set once it is one for messages: those have rules of their own.
    pub(super) fn new(stream: S, limit: Duration, is_socket: Arc<AtomicBool>) -> Self {
        Self { stream, limit, stalled: None, ending: None, is_socket }
    }

    fn limit(&self) -> Option<Duration> {
        (!self.is_socket.load(Ordering::Relaxed)).then_some(self.limit)
    }
}

/// What was asked of a connection, within a limit from when it first had to wait.
fn within<T>(
    clock: &mut Clock,
    limit: Option<Duration>,
    context: &mut Context<'_>,
    taken: Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    let Some(limit) = limit.filter(|_| taken.is_pending()) else {
        *clock = None;
        return taken;
    };
    match clock.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nothing was read for {} s", limit.as_secs()),
        ))),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (limit, taken) = (self.limit(), Pin::new(&mut self.stream).poll_write(context, bytes));
        within(&mut self.stalled, limit, context, taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (limit, taken) = (self.limit(), Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        within(&mut self.stalled, limit, context, taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (limit, taken) = (self.limit(), Pin::new(&mut self.stream).poll_flush(context));
        within(&mut self.ending, limit, context, taken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (limit, taken) = (self.limit(), Pin::new(&mut self.stream).poll_shutdown(context));
        within(&mut self.ending, limit, context, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, duplex};

    fn paced<S>(stream: S, is_socket: bool) -> Paced<S> {
        Paced::new(stream, STALL_LIMIT, Arc::new(AtomicBool::new(is_socket)))
    }

    #[tokio::test(start_paused = true)]
    async fn f3_a_reader_that_never_reads_is_cut_off_and_a_slow_one_gets_everything() {
        let (near, far) = duplex(1_024);
        let began = tokio::time::Instant::now();
        let cut = paced(near, false).write_all(&[7; 4_096]).await.expect_err("nobody reads");
        assert_eq!((cut.kind(), began.elapsed()), (io::ErrorKind::TimedOut, STALL_LIMIT));
        drop(far);
        let (near, mut far) = duplex(1_024);
        let mut near = paced(near, false);
        let writing = tokio::spawn(async move { near.write_all(&[7; 32_768]).await });
        let mut got = 0;
        let mut piece = [0; 512];
        while got < 32_768 {
            sleep(STALL_LIMIT - Duration::from_secs(1)).await;
            got += far.read(&mut piece).await.expect("read");
        }
        writing.await.expect("ended").expect("everything was taken");
    }

    #[tokio::test(start_paused = true)]
    async fn f3_a_reader_that_never_reads_holds_no_connection_that_is_to_be_emptied_or_closed() {
        for is_closed in [false, true] {
            let (near, _far) = duplex(1_024);
            // Keeps what it is given, as TLS does: nothing waits before it is sent on.
            let mut near = paced(BufWriter::with_capacity(8_192, near), false);
            near.write_all(&[7; 4_096]).await.expect("kept");
            let began = tokio::time::Instant::now();
            let ended = if is_closed { near.shutdown().await } else { near.flush().await };
            let error = ended.expect_err("nobody reads");
            assert_eq!(
                (error.kind(), began.elapsed()),
                (io::ErrorKind::TimedOut, STALL_LIMIT),
                "{is_closed}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn f3_that_nothing_is_on_its_way_gives_a_reader_that_never_reads_no_more_time() {
        let (near, _far) = duplex(1_024);
        let mut near = paced(near, false);
        let began = tokio::time::Instant::now();
        let error = loop {
            match tokio::time::timeout(Duration::from_secs(20), near.write_all(&[7; 4_096])).await {
                Ok(ended) => break ended.expect_err("nobody reads"),
                Err(_) => near.flush().await.expect("a pipe keeps nothing"),
            }
        };
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, STALL_LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_have_rules_of_their_own() {
        let (near, mut far) = duplex(1_024);
        let mut near = paced(near, true);
        let writing = tokio::spawn(async move { near.write_all(&[7; 2_048]).await });
        sleep(STALL_LIMIT * 3).await;
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.expect("read");
        writing.await.expect("ended").expect("taken");
        assert_eq!(all.len(), 2_048);
    }
}
