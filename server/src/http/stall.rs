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

/// A connection of which bytes must be taken.
pub(super) struct Paced<S> {
    stream: S,
    limit: Duration,
    /// Until when somebody may take nothing more, while there is something.
    stalled: Option<Pin<Box<Sleep>>>,
    is_socket: Arc<AtomicBool>,
}

impl<S> Paced<S> {
    /// `is_socket` is set once it is one for messages: those have rules of their own.
    pub(super) fn new(stream: S, limit: Duration, is_socket: Arc<AtomicBool>) -> Self {
        Self { stream, limit, stalled: None, is_socket }
    }

    fn within<T>(&mut self, context: &mut Context<'_>, taken: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if taken.is_ready() || self.is_socket.load(Ordering::Relaxed) {
            self.stalled = None;
            return taken;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing was read for {} s", limit.as_secs()),
            ))),
        }
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
        let taken = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(context, taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within(context, taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn paced(stream: tokio::io::DuplexStream, is_socket: bool) -> Paced<tokio::io::DuplexStream> {
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
