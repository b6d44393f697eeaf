//! XML of an untrusted peer as a small tree, within limits.
//!
//! Elements and attributes are found by their local names: cameras differ in prefixes and even in namespaces, and a
//! malicious one gains nothing by another namespace. Document types are rejected, so there are only the five predefined
//! entities.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Most bytes of a document. A recorder with 64 cameras of three profiles each describes them in about 1.5 MB.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Most elements; with their names and content some 20 MB.
const MAX_ELEMENTS: usize = 100_000;
/// Deepest nesting. Responses of ONVIF have about ten levels.
const MAX_DEPTH: usize = 32;
/// Most attributes of one element.
const MAX_ATTRIBUTES: usize = 64;

/// An element and its content.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

/// Why a document is rejected. The device is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlError {
    /// Too many bytes.
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Too many elements or attributes.
    #[error("it has more than {MAX_ELEMENTS} elements, or {MAX_ATTRIBUTES} attributes in one of them")]
    TooMany,
    /// Nested too deeply.
    #[error("its elements are nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A document type.
    #[error("it declares a document type, which SOAP forbids")]
    DocumentType,
    /// An entity that is not one of the predefined five.
    #[error("it refers to an undeclared entity")]
    UnknownEntity,
    /// Not XML.
    #[error("it is not well-formed XML")]
    Malformed,
}

impl Element {
    /// Parses a document. Bytes that are not UTF-8 become replacement characters.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, XmlError> {
        if document.len() > MAX_BYTES {
            return Err(XmlError::TooLarge);
        }
        let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
        let document = String::from_utf8_lossy(document);
        let mut reader = Reader::from_str(document.trim());
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        let mut elements = 0_usize;
        loop {
            match reader.read_event().map_err(|_| XmlError::Malformed)? {
                Event::Start(start) => {
                    count(&mut elements)?;
                    if open.len() >= MAX_DEPTH {
                        return Err(XmlError::TooDeep);
                    }
                    open.push(Self::begin(&start)?);
                }
                Event::Empty(start) => {
                    count(&mut elements)?;
                    close(Self::begin(&start)?, &mut open, &mut root)?;
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(XmlError::Malformed)?;
                    close(element, &mut open, &mut root)?;
                }
                Event::Text(text) => add(&mut open, &text.xml10_content())?,
                Event::CData(text) => add(&mut open, &text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let mut buffer = [0_u8; 4];
                    let text = match reference.resolve_char_ref() {
                        Ok(Some(character)) => &*character.encode_utf8(&mut buffer),
                        Ok(None) => resolve_predefined_entity(&reference).ok_or(XmlError::UnknownEntity)?,
                        Err(_) => return Err(XmlError::Malformed),
                    };
                    add(&mut open, text)?;
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        match root {
            Some(root) if open.is_empty() => Ok(root),
            _ => Err(XmlError::Malformed),
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, XmlError> {
        let mut attributes = Vec::new();
        // Duplicate names are not an error: the first one counts.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| XmlError::Malformed)?;
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMany);
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlError::UnknownEntity)?;
            let name = attribute.key.local_name();
            attributes.push((name.as_ref().to_owned(), value.into_owned()));
        }
        Ok(Self {
            name: start.local_name().as_ref().to_owned(),
            attributes,
            ..Self::default()
        })
    }

    /// Its name without a prefix.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its own text, trimmed.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Removes and returns the first child of a name.
    pub(crate) fn take(&mut self, name: &str) -> Option<Self> {
        let index = self.children.iter().position(|child| child.name == name)?;
        Some(self.children.swap_remove(index))
    }

    /// Removes and returns the first child.
    pub(crate) fn take_first(&mut self) -> Option<Self> {
        (!self.children.is_empty()).then(|| self.children.swap_remove(0))
    }

    /// The children of a name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.all(name).next()
    }

    /// The element at the end of a path of names.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The content at the end of a path; `None` where it is empty.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(Self::text).filter(|text| !text.is_empty())
    }
}

fn count(elements: &mut usize) -> Result<(), XmlError> {
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err(XmlError::TooMany);
    }
    Ok(())
}

/// Adds a complete element to its parent, or makes it the root.
fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), XmlError> {
    match (open.last_mut(), &root) {
        (Some(parent), _) => parent.children.push(element),
        (None, None) => *root = Some(element),
        (None, Some(_)) => return Err(XmlError::Malformed),
    }
    Ok(())
}

fn add(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(XmlError::Malformed),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Element, XmlError> {
        Element::parse(text.as_bytes())
    }

    #[test]
    fn a_document_is_read_by_local_names() {
        let text = "\u{feff}<?xml version='1.0'?>\n<a:one xmlns:a='x' a:k='&lt;v'>\n<two> t&amp;&#x41; <![CDATA[<]]></two>\
                    <b:three/><three>3</three></a:one>\n";
        let root = read(text).unwrap();
        assert_eq!((root.name(), root.attribute("k")), ("one", Some("<v")));
        assert_eq!(root.text_at(&["two"]), Some("t&A <"));
        assert_eq!(root.all("three").count(), 2);
        assert_eq!(
            (root.text_at(&["three"]), root.at(&["two", "four"])),
            (None, None)
        );
    }

    #[test]
    fn entity_bombs_are_rejected() {
        let bomb = "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;'>]><a>&y;</a>";
        assert_eq!(read(bomb), Err(XmlError::DocumentType));
        let file = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>";
        assert_eq!(read(file), Err(XmlError::DocumentType));
        assert_eq!(read("<a>&x;</a>"), Err(XmlError::UnknownEntity));
        assert_eq!(read("<a k='&x;'/>"), Err(XmlError::UnknownEntity));
    }

    #[test]
    fn size_depth_and_numbers_are_bounded() {
        let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
        assert!(read(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(read(&deep(MAX_DEPTH + 1)), Err(XmlError::TooDeep));
        assert_eq!(read(&"<a>".repeat(1_000_000)), Err(XmlError::TooDeep));
        let wide = |elements: usize| format!("<a>{}</a>", "<b/>".repeat(elements));
        assert!(read(&wide(MAX_ELEMENTS - 1)).is_ok());
        assert_eq!(read(&wide(MAX_ELEMENTS)), Err(XmlError::TooMany));
        let attributes = |number: usize| {
            let all: String = (0..number).map(|i| format!(" k{i}='v'")).collect();
            format!("<a{all}/>")
        };
        assert!(read(&attributes(MAX_ATTRIBUTES)).is_ok());
        assert_eq!(read(&attributes(200_000)), Err(XmlError::TooMany));
        assert_eq!(
            Element::parse(&vec![b' '; MAX_BYTES + 1]),
            Err(XmlError::TooLarge)
        );
    }

    #[test]
    fn malformed_documents_are_rejected() {
        for text in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a k=v/>",
            "{}",
            "<a",
            "&amp;",
            "<a>&#0;</a>",
        ] {
            assert_eq!(read(text), Err(XmlError::Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Element::parse(&bytes);
        }

        #[test]
        fn no_markup_makes_it_panic(text in "(<[a-c:/!?\\[\\]]{0,4}( [a-c:]=['\"]x['\"])?/?>|&[#a-z0-9]{0,4};|[ -~]){0,30}") {
            let _ = read(&text);
        }
    }
}
