//! Envelopes of SOAP 1.2: written with or without a token, parsed as a body or a fault.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use crate::token::Token;
use crate::xml::{Element, XmlError};

/// Most characters of a device's string in a description or an error.
const MAX_CHARS: usize = 256;

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";
const SECURITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const UTILITY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const DIGEST: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// An envelope around a header and a body that are XML already.
pub(crate) fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Header>{header}</s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// The header that carries a token.
pub(crate) fn security(user: &str, token: &Token) -> String {
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

/// A device's message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The element in the body.
    Body(Element),
    /// A fault.
    Fault(Fault),
}

/// Why a device rejects a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Whether it wants credentials, or other ones.
    pub(crate) not_authorized: bool,
    /// Its reason, unbounded and with any characters.
    pub(crate) reason: String,
}

/// Why a document is not a SOAP message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoapError {
    /// Invalid XML, or XML beyond the limits.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Another document, such as an HTML page.
    #[error("it is not a SOAP envelope")]
    NoEnvelope,
}

/// The body of an envelope. Envelopes of SOAP 1.1, which some devices use for faults, are accepted too.
pub(crate) fn parse(document: &[u8]) -> Result<Message, SoapError> {
    let mut envelope = Element::parse(document)?;
    if envelope.name() != "Envelope" {
        return Err(SoapError::NoEnvelope);
    }
    let body = envelope.take("Body").and_then(|mut body| body.take_first());
    let body = body.ok_or(SoapError::NoEnvelope)?;
    if body.name() != "Fault" {
        return Ok(Message::Body(body));
    }
    Ok(Message::Fault(parse_fault(&body)))
}

fn parse_fault(fault: &Element) -> Fault {
    let mut code = fault.child("Code");
    let mut codes = vec![fault.text_at(&["faultcode"]).unwrap_or_default()];
    // Subcodes are nested.
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

/// A device's string as one line of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    lva_media_types::clean_text(text, MAX_CHARS).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_parsed_as_written() {
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
        let Ok(Message::Body(body)) = parse(text.as_bytes()) else {
            panic!()
        };
        assert_eq!(body.name(), "Ask");
    }

    #[test]
    fn faults_of_both_versions_are_parsed() {
        let newer = envelope(
            "",
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode>\
             </s:Code><s:Reason><s:Text>Sender\nnot authorized</s:Text></s:Reason></s:Fault>",
        );
        let fault = Fault {
            not_authorized: true,
            reason: "Sender\nnot authorized".to_owned(),
        };
        assert_eq!(parse(newer.as_bytes()), Ok(Message::Fault(fault)));
        let older = envelope(
            "",
            "<s:Fault><faultcode>ter:ActionNotSupported</faultcode></s:Fault>",
        );
        let fault = Fault {
            not_authorized: false,
            reason: "ActionNotSupported".to_owned(),
        };
        assert_eq!(parse(older.as_bytes()), Ok(Message::Fault(fault)));
    }

    #[test]
    fn other_documents_are_rejected() {
        for text in [
            "<html><body/></html>",
            "<Envelope/>",
            "<Envelope><Body/></Envelope>",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(SoapError::NoEnvelope), "{text}");
        }
        assert_eq!(parse(b"x"), Err(SoapError::Xml(XmlError::Malformed)));
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), MAX_CHARS);
    }
}
