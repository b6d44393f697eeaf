//! Calls of the protocol, from threads that block.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::address::KserveAddress;
use crate::backend::kserve_error::KserveError;

/// Largest answer: the outputs of a batch.
const MAX_ANSWER: usize = 256 << 20;
const CONNECT: Duration = Duration::from_secs(10);

/// One server. The connection is made again when it is lost.
pub(super) struct Client {
    channel: Channel,
    /// Present until it is dropped: one thread for the connection, so that calls block wherever they come from, threads of
    /// another runtime included.
    runtime: Option<Runtime>,
    timeout: Duration,
    address: KserveAddress,
}

impl Client {
    pub(super) fn new(address: KserveAddress, timeout: Duration) -> Result<Self, KserveError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kserve")
            .enable_all()
            .build()
            .map_err(KserveError::Thread)?;
        let unusable = |cause: tonic::transport::Error| KserveError::Address {
            address: address.to_string(),
            cause: cause.into(),
        };
        let mut endpoint = Endpoint::from_shared(address.server())
            .map_err(unusable)?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .initial_stream_window_size(16 << 20)
            .initial_connection_window_size(32 << 20);
        if address.tls() {
            let roots = ClientTlsConfig::new().with_enabled_roots();
            endpoint = endpoint.tls_config(roots).map_err(unusable)?;
        }
        let channel = {
            let _inside = runtime.enter();
            endpoint.connect_lazy()
        };
        Ok(Self {
            channel,
            runtime: Some(runtime),
            timeout,
            address,
        })
    }

    pub(super) fn address(&self) -> &KserveAddress {
        &self.address
    }

    /// Calls `inference.GRPCInferenceService/METHOD`, and waits.
    pub(super) fn call<Q, A>(&self, method: &'static str, request: Q) -> Result<A, KserveError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let answer = self.wait(async move {
            grpc.ready()
                .await
                .map_err(|error| Status::from_error(error.into()))?;
            let path = PathAndQuery::from_static(method);
            let codec = tonic_prost::ProstCodec::default();
            grpc.unary(Request::new(request), path, codec)
                .await
                .map(tonic::Response::into_inner)
        });
        answer.map_err(|status| self.failed(&status))
    }

    fn wait<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let late = || Status::deadline_exceeded("no answer in time");
        let lost = || Status::internal("the connection's thread has ended");
        let runtime = self.runtime.as_ref().ok_or_else(lost)?;
        let timeout = self.timeout;
        let (answered, answer) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            let result = tokio::time::timeout(timeout, call).await;
            // The caller waits for it.
            let _ = answered.send(result.unwrap_or_else(|_| Err(late())));
        });
        answer.recv().unwrap_or_else(|_| Err(lost()))
    }

    fn failed(&self, status: &Status) -> KserveError {
        let address = self.address.to_string();
        let cause = match std::error::Error::source(status) {
            Some(source) => format!("{}: {source}", status.message()),
            None => status.message().to_owned(),
        };
        match status.code() {
            Code::DeadlineExceeded => KserveError::Late {
                address,
                seconds: self.timeout.as_secs_f32(),
            },
            Code::NotFound => KserveError::NoModel { address, cause },
            Code::Unavailable | Code::Unknown if std::error::Error::source(status).is_some() => {
                KserveError::Unreachable { address, cause }
            }
            code => KserveError::Refused {
                address,
                code: code.description().to_owned(),
                cause,
            },
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A drop that waits is a panic on threads of another runtime.
            runtime.shutdown_background();
        }
    }
}
