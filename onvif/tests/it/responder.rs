//! Something that answers the question for devices.

use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Something that hears questions and answers each with these bodies; `{id}` is the question's name.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    pub(crate) heard: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    pub(crate) async fn start(answers: Vec<String>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self::on(socket, answers)
    }

    pub(crate) fn on(socket: UdpSocket, answers: Vec<String>) -> Self {
        let address = socket.local_addr().unwrap();
        let (count, heard) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 65536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                // Strict about the question.
                assert!(
                    text.contains("dn:NetworkVideoTransmitter") && text.contains("/2005/04/discovery/Probe")
                );
                let (_, rest) = text.split_once("urn:uuid:").unwrap();
                let id = &rest[..36];
                count.send_modify(|count| *count += 1);
                for answer in &answers {
                    let _ = socket.send_to(answer.replace("{id}", id).as_bytes(), from).await;
                    tokio::task::yield_now().await;
                }
            }
        });
        Self { address, heard, task }
    }
}

/// An answer with a device for each identifier.
pub(crate) fn matches(relates: &str, identifiers: &[&str], types: &str) -> String {
    let all: String = identifiers
        .iter()
        .map(|identifier| {
            format!(
                "<d:ProbeMatch><a:EndpointReference><a:Address>{identifier}</a:Address></a:EndpointReference>\
                 <d:Types>{types}</d:Types><d:Scopes>onvif://www.onvif.org/name/yard</d:Scopes>\
                 <d:XAddrs>http://127.0.0.1/onvif/device_service</d:XAddrs></d:ProbeMatch>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header><a:RelatesTo>\
         {relates}</a:RelatesTo></s:Header><s:Body><d:ProbeMatches>{all}</d:ProbeMatches></s:Body></s:Envelope>"
    )
}

/// The type of cameras.
pub(crate) const CAMERA: &str = "dn:NetworkVideoTransmitter";
