//! A stream that ends when its connection is marked as closing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Connection;
use crate::table::Table;

/// An accepted connection. Dropping it frees its place.
#[derive(Debug)]
pub struct GuardedStream<S> {
    stream: S,
    connection: Connection,
    table: Arc<Table>,
}

impl<S> GuardedStream<S> {
    pub(crate) fn new(stream: S, connection: Connection, table: Arc<Table>) -> Self {
        Self {
            stream,
            connection,
            table,
        }
    }

    /// The handle for the protocol.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.stream
    }
}

impl<S> Drop for GuardedStream<S> {
    fn drop(&mut self) {
        self.table.remove(self.connection.0.number);
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "closed by this side: its time was over, or another peer needed the place",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.connection.0.poll_reader(context.waker()) {
            return Poll::Ready(Err(closed()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.connection.0.poll_writer(context.waker()) {
            return Poll::Ready(Err(closed()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.connection.0.poll_writer(context.waker()) {
            return Poll::Ready(Err(closed()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
