//! Envelopes of SOAP 1.2: written with or without a token, read as a body or a fault.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::token::Token;
use super::xml::{Element, XmlError};

/// Longest part of a device's own words in an answer or an error, in characters.
const MAX_WORDS: usize = 256;

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// An envelope around a header and a body that are XML already.
pub(super) fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Header>{header}</s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The header that carries a token.
pub(super) fn security(user: &str, token: &Token) -> String {
    let mut header = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        header,
        "<w:Security xmlns:w=\"{SECURITY}\" xmlns:u=\"{UTILITY}\" s:mustUnderstand=\"true\"><w:UsernameToken>\
         <w:Username>{}</w:Username><w:Password Type=\"{DIGEST}\">{}</w:Password>\
         <w:Nonce EncodingType=\"{BASE64}\">{}</w:Nonce><u:Created>{}</u:Created></w:UsernameToken></w:Security>",
        escape(user),
        token.digest,
        token.nonce,
        token.created,
    );
    header
}

/// What a device says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The element in the body.
    Body(Element),
    /// A fault.
    Fault(Fault),
}

/// Why a device does not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Whether it wants (other) credentials.
    pub(super) not_authorized: bool,
    /// Its own words, as long and as strange as it likes.
    pub(super) reason: String,
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SoapError {
    /// It is no XML that is read here.
    #[error("{0}")]
    Xml(#[from] XmlError),
    /// Another document, a page for people for instance.
    #[error("it is no SOAP envelope")]
    NoEnvelope,
}

/// The body of an envelope. Those of SOAP 1.1, which some devices send with faults, are read too.
pub(super) fn read(document: &[u8]) -> Result<Message, SoapError> {
    let mut envelope = Element::parse(document)?;
    if envelope.name() != "Envelope" {
        return Err(SoapError::NoEnvelope);
    }
    let body = envelope.take("Body").and_then(|mut body| body.take_first());
    let body = body.ok_or(SoapError::NoEnvelope)?;
    if body.name() != "Fault" {
        return Ok(Message::Body(body));
    }
    Ok(Message::Fault(fault(&body)))
}

fn fault(fault: &Element) -> Fault {
    let mut code = fault.child("Code");
    let mut codes = vec![fault.text_at(&["faultcode"]).unwrap_or_default()];
    // Subcodes are inside each other.
    while let Some(element) = code {
        codes.push(element.text_at(&["Value"]).unwrap_or_default());
        code = element.child("Subcode");
    }
    let local = |code: &&str| code.rsplit(':').next().unwrap_or_default().to_owned();
    let refusals = [
        "NotAuthorized",
        "FailedAuthentication",
        "InvalidSecurityToken",
        "SenderNotAuthorized",
    ];
    let reason = fault
        .text_at(&["Reason", "Text"])
        .or(fault.text_at(&["faultstring"]));
    let last = codes.iter().rev().find(|code| !code.is_empty()).map(local);
    Fault {
        not_authorized: codes
            .iter()
            .map(local)
            .any(|code| refusals.contains(&code.as_str())),
        reason: reason.or(last.as_deref()).unwrap_or("no reason given").to_owned(),
    }
}

/// A device's own words: one line, bounded.
pub(super) fn words(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let token = Token {
            digest: "d".to_owned(),
            nonce: "n".to_owned(),
            created: "c".to_owned(),
        };
        let text = envelope(&security("a<b>&\"'", &token), "<x:Ask xmlns:x=\"y\"/>");
        let root = Element::parse(text.as_bytes()).unwrap();
        let shown = root.at(&["Header", "Security", "UsernameToken"]).unwrap();
        assert_eq!(shown.text_at(&["Username"]), Some("a<b>&\"'"));
        assert_eq!(shown.text_at(&["Password"]), Some("d"));
        assert_eq!(shown.child("Password").unwrap().attribute("Type"), Some(DIGEST));
        let Ok(Message::Body(body)) = read(text.as_bytes()) else {
            panic!()
        };
        assert_eq!(body.name(), "Ask");
    }

    #[test]
    fn faults_of_both_versions_are_read() {
        let newer = envelope(
            "",
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode>\
             </s:Code><s:Reason><s:Text>Sender\nnot authorized</s:Text></s:Reason></s:Fault>",
        );
        let fault = Fault {
            not_authorized: true,
            reason: "Sender\nnot authorized".to_owned(),
        };
        assert_eq!(read(newer.as_bytes()), Ok(Message::Fault(fault)));
        let older = envelope(
            "",
            "<s:Fault><faultcode>ter:ActionNotSupported</faultcode></s:Fault>",
        );
        let fault = Fault {
            not_authorized: false,
            reason: "ActionNotSupported".to_owned(),
        };
        assert_eq!(read(older.as_bytes()), Ok(Message::Fault(fault)));
    }

    #[test]
    fn other_documents_are_no_messages() {
        for text in [
            "<html><body/></html>",
            "<Envelope/>",
            "<Envelope><Body/></Envelope>",
        ] {
            assert_eq!(read(text.as_bytes()), Err(SoapError::NoEnvelope), "{text}");
        }
        assert_eq!(read(b"x"), Err(SoapError::Xml(XmlError::Malformed)));
        assert_eq!(words(&"é".repeat(1000)).chars().count(), MAX_WORDS);
    }
}
