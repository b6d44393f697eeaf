//! A little ONVIF device: strict about who asks and how, and able to lie.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) const USER: &str = "operator";
pub(crate) const PASSWORD: &str = "c0rrect horse";
pub(crate) const DEVICE: &str = "/onvif/device_service";
pub(crate) const MEDIA: &str = "/onvif/media?channel=all";
const NONCE: &str = "dcd98b7102dd2f0e8b11d0f600bfb0c0";

/// How the device wants to be convinced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Nothing,
    Token,
    Digest,
    Basic,
    /// Digest for the web server, and a token for what is behind it.
    Both,
}

/// What the device is like.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) asks: Asks,
    /// Even the clock is for authenticated users only.
    pub(crate) hides_its_clock: bool,
    /// By how many seconds its clock is ahead.
    pub(crate) clock: i64,
    /// `GetServices` is unknown to it.
    pub(crate) is_old: bool,
    /// The address of its media service; `{self}` is its own address.
    pub(crate) media: String,
    /// The address of its streams.
    pub(crate) streams: String,
    /// Questions that it answers with something else: status, content type, body.
    pub(crate) lies: Vec<(&'static str, u16, &'static str, String)>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            asks: Asks::Token,
            hides_its_clock: false,
            clock: 0,
            is_old: false,
            media: format!("http://{{self}}{MEDIA}"),
            streams: "rtsp://{self}/stream".to_owned(),
            lies: Vec::new(),
        }
    }
}

/// A question as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) question: String,
    pub(crate) path: String,
    pub(crate) token: bool,
    pub(crate) authorization: Option<String>,
    pub(crate) extra: Option<String>,
}

pub(crate) struct Camera {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What was wrong with questions, in words.
    faults: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Device {
    manner: Manner,
    address: SocketAddr,
    nonces: Mutex<BTreeSet<String>>,
    counts: Mutex<BTreeSet<String>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Camera {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::start_with(manner, None).await
    }

    pub(crate) async fn start_with(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let device = Arc::new(Device {
            manner,
            address,
            nonces: Mutex::default(),
            counts: Mutex::default(),
            seen: Arc::default(),
            faults: Arc::default(),
        });
        let (seen, faults) = (Arc::clone(&device.seen), Arc::clone(&device.faults));
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (device, tls) = (Arc::clone(&device), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&device), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = match tls {
                        None => http.serve_connection(TokioIo::new(socket), service).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => http.serve_connection(TokioIo::new(socket), service).await,
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        Self {
            address,
            seen,
            faults,
            task,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn questions(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.question).collect()
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }
}

async fn answer(
    device: Arc<Device>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let (kind, authorization) = (
        header("content-type").unwrap_or_default(),
        header("authorization"),
    );
    let (extra, host) = (header("x-gateway-key"), header("host"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let question = between(&body, "<s:Body><t:", " ").unwrap_or_default();
    let seen = Seen {
        question: question.clone(),
        path: path.clone(),
        token: body.contains("UsernameToken"),
        authorization: authorization.clone(),
        extra,
    };
    device.seen.lock().unwrap().push(seen);
    if body.contains(PASSWORD) {
        device.complain("the password is in the envelope");
    }
    if host != Some(device.address.to_string()) {
        device.complain("another host was meant");
    }
    let service = if matches!(question.as_str(), "GetProfiles" | "GetStreamUri") {
        "media"
    } else {
        "device"
    };
    let action = format!("action=\"http://www.onvif.org/ver10/{service}/wsdl/{question}\"");
    if !kind.starts_with("application/soap+xml") || !kind.contains(&action) {
        device.complain(&format!("wrong content type: {kind}"));
    }
    if path != (if service == "media" { MEDIA } else { DEVICE }) {
        return Ok(reply(404, "text/html", "<html><body>not here</body></html>"));
    }
    let lie = device
        .manner
        .lies
        .iter()
        .find(|(lied, ..)| *lied == question || *lied == "*");
    if let Some((_, status, kind, body)) = lie {
        return Ok(reply(*status, kind, body));
    }
    let asks = match question.as_str() {
        "GetSystemDateAndTime" if !device.manner.hides_its_clock => Asks::Nothing,
        _ => device.manner.asks,
    };
    if let Some(refusal) = device.refusal(asks, &body, authorization.as_deref(), &path) {
        return Ok(refusal);
    }
    Ok(device.respond(&question, &body))
}

impl Device {
    fn complain(&self, fault: &str) {
        self.faults.lock().unwrap().push(fault.to_owned());
    }

    fn now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        i64::try_from(now).unwrap() + self.manner.clock
    }

    fn refusal(
        &self,
        asks: Asks,
        body: &str,
        authorization: Option<&str>,
        path: &str,
    ) -> Option<Response<Full<Bytes>>> {
        let challenge = |value: String| {
            let mut answer = reply(401, "text/html", "<html>who are you?</html>");
            answer
                .headers_mut()
                .insert("www-authenticate", value.parse().unwrap());
            Some(answer)
        };
        let digest = || format!("Digest realm=\"cam\", qop=\"auth\", nonce=\"{NONCE}\"");
        if matches!(asks, Asks::Digest | Asks::Both) && !self.knows_digest(authorization, path) {
            return challenge(digest());
        }
        if asks == Asks::Basic && authorization != Some(&basic()) {
            return challenge("Basic realm=\"cam\"".to_owned());
        }
        if matches!(asks, Asks::Token | Asks::Both)
            && let Err(why) = self.knows_token(body)
        {
            if body.contains("UsernameToken") {
                self.complain(&why);
            }
            let fault = "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value>\
                         </s:Subcode></s:Code><s:Reason><s:Text>Sender not authorized</s:Text></s:Reason></s:Fault>";
            return Some(soap(400, fault));
        }
        None
    }

    /// As a device checks a token: made for it, just now, never seen before.
    fn knows_token(&self, body: &str) -> Result<(), String> {
        let part =
            |from: &str| between(body, from, "<").map(|text| text.rsplit('>').next().unwrap().to_owned());
        let user = part("<w:Username>").ok_or("no token")?;
        let password = part("<w:Password").ok_or("no digest")?;
        let nonce = part("<w:Nonce").ok_or("no nonce")?;
        let created = part("<u:Created>").ok_or("no time")?;
        let at: Timestamp = created.parse().map_err(|_| "no readable time")?;
        if (at.as_second() - self.now()).abs() > 5 {
            return Err(format!("the token is of another time: {created}"));
        }
        if !self.nonces.lock().unwrap().insert(nonce.clone()) {
            return Err("the nonce was used before".to_owned());
        }
        let mut hash = Sha1::new();
        hash.update(STANDARD.decode(&nonce).map_err(|_| "the nonce is not Base64")?);
        hash.update(created);
        hash.update(PASSWORD);
        match user == USER && password == STANDARD.encode(hash.finalize()) {
            true => Ok(()),
            false => Err("wrong user or digest".to_owned()),
        }
    }

    fn knows_digest(&self, authorization: Option<&str>, path: &str) -> bool {
        let Some(given) = authorization.and_then(|text| text.strip_prefix("Digest ")) else {
            return false;
        };
        let part = |name: &str| {
            let quoted = between(given, &format!("{name}=\""), "\"");
            quoted
                .or_else(|| between(&format!("{given},"), &format!("{name}="), ","))
                .unwrap_or_default()
        };
        let md5 = |text: String| {
            Md5::digest(text)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let (count, own) = (part("nc"), part("cnonce"));
        let first = md5(format!("{USER}:cam:{PASSWORD}"));
        let second = md5(format!("POST:{path}"));
        let right = md5(format!("{first}:{NONCE}:{count}:{own}:auth:{second}"));
        let fresh = self.counts.lock().unwrap().insert(format!("{count} {own}"));
        if !fresh {
            self.complain("a digest was sent twice");
        }
        fresh && part("response") == right && part("nonce") == NONCE && part("uri") == path
    }

    fn respond(&self, question: &str, body: &str) -> Response<Full<Bytes>> {
        let named = |text: &str| text.replace("{self}", &self.address.to_string());
        let inner = match question {
            "GetSystemDateAndTime" => self.clock(),
            "GetHostname" => {
                "<tds:HostnameInformation><tt:FromDHCP>true</tt:FromDHCP><tt:Name>yard</tt:Name>\
                              </tds:HostnameInformation>"
                    .to_owned()
            }
            "GetDNS" => {
                "<tds:DNSInformation><tt:FromDHCP>true</tt:FromDHCP><tt:DNSFromDHCP><tt:Type>IPv4</tt:Type>\
                         <tt:IPv4Address>10.0.0.1</tt:IPv4Address></tt:DNSFromDHCP></tds:DNSInformation>"
                    .to_owned()
            }
            "GetServices" if !self.manner.is_old => format!(
                "<tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace>\
                 <tds:XAddr>{}</tds:XAddr></tds:Service>",
                named(&self.manner.media)
            ),
            "GetCapabilities" => format!(
                "<tds:Capabilities><tt:Media><tt:XAddr>{}</tt:XAddr></tt:Media></tds:Capabilities>",
                named(&self.manner.media)
            ),
            "GetProfiles" => profiles(),
            "GetStreamUri" => {
                let token = between(body, "<t:ProfileToken>", "<").unwrap();
                if token == "profile_3" {
                    return soap(500, &fault("ter:IncompleteConfiguration"));
                }
                let token = token.replace("&amp;", "and");
                format!(
                    "<trt:MediaUri><tt:Uri>{}/{token}</tt:Uri></trt:MediaUri>",
                    named(&self.manner.streams)
                )
            }
            _ => return soap(500, &fault("ter:ActionNotSupported")),
        };
        soap(
            200,
            &format!("<tds:{question}Response>{inner}</tds:{question}Response>"),
        )
    }

    fn clock(&self) -> String {
        let now = Timestamp::from_second(self.now())
            .unwrap()
            .to_zoned(jiff::tz::TimeZone::UTC);
        format!(
            "<tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>\
             <tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime><tt:Time><tt:Hour>{}</tt:Hour>\
             <tt:Minute>{}</tt:Minute><tt:Second>{}</tt:Second></tt:Time><tt:Date><tt:Year>{}</tt:Year>\
             <tt:Month>{}</tt:Month><tt:Day>{}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>",
            now.hour(),
            now.minute(),
            now.second(),
            now.year(),
            now.month(),
            now.day()
        )
    }
}

fn profiles() -> String {
    let encoder = |encoding: &str, rest: &str| {
        format!(
            "<tt:VideoEncoderConfiguration token=\"e\" GuaranteedFrameRate=\"false\"><tt:Name>e</tt:Name>\
             <tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>1920</tt:Width><tt:Height>1080</tt:Height>\
             </tt:Resolution><tt:Quality>4.5</tt:Quality><tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit>\
             <tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>4096</tt:BitrateLimit></tt:RateControl>{rest}\
             </tt:VideoEncoderConfiguration>"
        )
    };
    let main = "<tt:H264><tt:GovLength>50</tt:GovLength><tt:H264Profile>Main</tt:H264Profile></tt:H264>";
    format!(
        "<trt:Profiles token=\"profile&amp;1\" fixed=\"true\"><tt:Name>main &lt;1&gt;</tt:Name>{}</trt:Profiles>\
         <trt:Profiles token=\"profile_2\"><tt:Name>new</tt:Name>{}</trt:Profiles>\
         <trt:Profiles token=\"profile_3\"><tt:Name>audio</tt:Name></trt:Profiles>",
        encoder("H264", main),
        encoder("H265", ""),
    )
}

fn fault(code: &str) -> String {
    format!(
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code>\
         <s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>"
    )
}

pub(crate) fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body>{body}\
         </s:Body></s:Envelope>"
    )
}

fn soap(status: u16, body: &str) -> Response<Full<Bytes>> {
    reply(status, "application/soap+xml; charset=utf-8", &envelope(body))
}

fn reply(status: u16, kind: &str, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", kind);
    let response = response.header("location", "http://127.0.0.1:1/elsewhere");
    response.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    let end = rest.find(to)?;
    Some(rest[..end].to_owned())
}
