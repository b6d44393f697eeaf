//! Connections of the gRPC server: accepted within limits, and busy while one of their requests is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use lva_server_transport::{Acceptable, Connection, GuardedListener, GuardedStream, RequestInProgress};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::Stream;
use tonic::body::Body as TonicBody;
use tonic::codegen::{Body, BoxFuture, Service, http};
use tonic::transport::server::Connected;
use tower::Layer;

/// A connection, whose handle each request carries in its extensions.
#[derive(Debug)]
pub(super) struct Accepted<S>(GuardedStream<S>);

impl<S> Connected for Accepted<S> {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Connection {
        self.0.connection().clone()
    }
}

/// Connections as they come, without end and without errors.
pub(super) fn incoming<L>(listener: GuardedListener<L>) -> impl Stream<Item = io::Result<Accepted<L::Stream>>>
where
    L: Acceptable,
{
    futures_util::stream::unfold(listener, |mut listener| async {
        let accepted = Accepted(listener.accept().await);
        Some((Ok(accepted), listener))
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Accepted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Accepted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Counts a request as in progress from its head to the end of its response.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountRequests;

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted(inner)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Counted<S>(S);

impl<S> Service<http::Request<TonicBody>> for Counted<S>
where
    S: Service<http::Request<TonicBody>, Response = http::Response<TonicBody>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<CountedBody>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<TonicBody>) -> Self::Future {
        let connection = request.extensions().get::<Connection>();
        let in_progress = connection.map(Connection::begin_request);
        let answering = self.0.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|body| CountedBody(body, in_progress)))
        })
    }
}

/// A response that ends its request when it is dropped.
#[derive(Debug)]
pub(super) struct CountedBody(
    TonicBody,
    #[allow(dead_code, reason = "held")] Option<RequestInProgress>,
);

impl Body for CountedBody {
    type Data = <TonicBody as Body>::Data;
    type Error = <TonicBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}
