//! What a file is that is not an ONNX model, by its first bytes.

/// Kinds of files that are given in place of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFile {
    /// No bytes at all.
    Empty,
    /// A web page, usually of an error or a login.
    Html,
    /// The pointer that a repository holds in place of a large file.
    LfsPointer,
    /// A ZIP archive, which PyTorch checkpoints are too.
    Zip,
    /// A Python pickle: an old PyTorch checkpoint.
    Pickle,
    /// A compressed file or an archive, by its usual name.
    Archive(&'static str),
    /// A model of another framework, by its name.
    OtherModel(&'static str),
    /// JSON, usually the error of a server.
    Json,
    /// XML.
    Xml,
    /// A picture or video.
    Media,
    /// Text, with its beginning.
    Text(String),
    /// Anything else.
    Unknown,
}

/// Bytes at the start of files, and what they mean. Where known, after the file formats' own documents.
const MAGIC: &[(usize, &[u8], ForeignFile)] = &[
    (0, b"PK\x03\x04", ForeignFile::Zip),
    (0, b"PK\x05\x06", ForeignFile::Zip),
    (0, b"\x1f\x8b", ForeignFile::Archive("a gzip file")),
    (0, b"\xfd7zXZ\0", ForeignFile::Archive("an xz file")),
    (0, b"BZh", ForeignFile::Archive("a bzip2 file")),
    (0, b"\x28\xb5\x2f\xfd", ForeignFile::Archive("a Zstandard file")),
    (0, b"7z\xbc\xaf\x27\x1c", ForeignFile::Archive("a 7-Zip archive")),
    (0, b"Rar!", ForeignFile::Archive("a RAR archive")),
    (257, b"ustar", ForeignFile::Archive("a tar archive")),
    (0, b"\x89HDF", ForeignFile::OtherModel("HDF5 (Keras)")),
    (4, b"TFL3", ForeignFile::OtherModel("TensorFlow Lite")),
    (0, b"RTEN", ForeignFile::OtherModel("rten's own format")),
    (0, b"ptrt", ForeignFile::OtherModel("a TensorRT engine")),
    (0, b"ftrt", ForeignFile::OtherModel("a TensorRT engine")),
    (
        4,
        b"ORTM",
        ForeignFile::OtherModel("ONNX Runtime's own format (.ort)"),
    ),
    (0, b"GGUF", ForeignFile::OtherModel("GGUF")),
    (0, b"\x89PNG", ForeignFile::Media),
    (0, b"\xff\xd8\xff", ForeignFile::Media),
    (4, b"ftyp", ForeignFile::Media),
    (0, b"RIFF", ForeignFile::Media),
];

/// Bytes that are looked at.
const HEAD: usize = 1024;
/// Characters of a file that are quoted.
const QUOTED: usize = 40;

impl ForeignFile {
    /// What a file is by its beginning; `None` if it may be an ONNX model.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        let known = MAGIC
            .iter()
            .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
        if let Some((_, _, kind)) = known {
            return Some(kind.clone());
        }
        // Protocol 2 and later begin with their number, and end with a full stop.
        if matches!(bytes, [0x80, 2..=5, ..]) {
            return Some(Self::Pickle);
        }
        let head = bytes.get(..HEAD.min(bytes.len())).unwrap_or_default();
        let text = match std::str::from_utf8(head) {
            Ok(text) => text,
            // The cut may have hit a character.
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
            Err(_) => return None,
        };
        let is_text = |c: char| !c.is_control() || c.is_whitespace();
        if text.is_empty() || !text.chars().all(is_text) {
            return None;
        }
        Some(Self::of_text(text.trim_start_matches('\u{feff}').trim()))
    }

    fn of_text(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("version https://git-lfs") || lower.contains("git-lfs.github.com/spec") {
            Self::LfsPointer
        } else if ["<!doctype html", "<html", "<head", "<body"]
            .iter()
            .any(|tag| lower.contains(tag))
        {
            Self::Html
        } else if lower.starts_with("<?xml") || lower.starts_with("<net") {
            if lower.contains("<net") {
                Self::OtherModel("OpenVINO IR")
            } else {
                Self::Xml
            }
        } else if text.starts_with(['{', '[']) {
            Self::Json
        } else {
            Self::Text(text.chars().take(QUOTED).collect())
        }
    }

    /// What it is, and what to do, as the end of a sentence.
    pub(super) fn explain(&self) -> String {
        match self {
            Self::Empty => "is empty: the copy or download failed, so repeat it".to_owned(),
            Self::Html => "is an HTML page, not a model: the address led to a web page, so download the file itself".to_owned(),
            Self::LfsPointer => "is a Git LFS pointer, not the model itself: run 'git lfs pull' in the repository, or download the file that it stands for".to_owned(),
            Self::Zip => "is a zip archive, as PyTorch checkpoints (.pt) are: export a checkpoint to ONNX, unpack anything else".to_owned(),
            Self::Pickle => "is a Python pickle, as old PyTorch checkpoints (.pt) are: export it to ONNX".to_owned(),
            Self::Archive(kind) => format!("is {kind}: unpack it"),
            Self::OtherModel(kind) => format!("is a model of another kind, {kind}: export or convert it to ONNX"),
            Self::Json => "is JSON, perhaps a server's error, not a model: download the model again".to_owned(),
            Self::Xml => "is XML, not an ONNX model".to_owned(),
            Self::Media => "is a picture or a video, not a model: check which file is which".to_owned(),
            Self::Text(start) => format!("is text that begins with {start:?}, not a model: download it again"),
            Self::Unknown => "is not an ONNX model: export or convert it to ONNX".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_their_first_bytes() {
        let tar = [&[b'x'; 257][..], b"ustar\0"].concat();
        for (bytes, kind) in [
            (&b""[..], ForeignFile::Empty),
            (
                b"<!DOCTYPE html><html><body>Not Found</body></html>",
                ForeignFile::Html,
            ),
            (b"\xef\xbb\xbf \n<HTML lang=en>", ForeignFile::Html),
            (
                b"<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC",
                ForeignFile::Html,
            ),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                ForeignFile::LfsPointer,
            ),
            (b"PK\x03\x04\0\0", ForeignFile::Zip),
            (b"\x80\x02\x8a\x0al\xfc\x9c", ForeignFile::Pickle),
            (b"\x1f\x8b\x08", ForeignFile::Archive("a gzip file")),
            (&tar, ForeignFile::Archive("a tar archive")),
            (
                b"<?xml version=\"1.0\"?><net name=\"x\">",
                ForeignFile::OtherModel("OpenVINO IR"),
            ),
            (b"\x1c\0\0\0TFL3", ForeignFile::OtherModel("TensorFlow Lite")),
            (b"{\"error\": \"not found\"}", ForeignFile::Json),
            (
                b"Entry not found",
                ForeignFile::Text("Entry not found".to_owned()),
            ),
        ] {
            assert_eq!(ForeignFile::of(bytes), Some(kind));
        }
        assert_eq!(ForeignFile::of(b"\x08\x08\x12\x07pytorch"), None);
        assert_eq!(ForeignFile::of(&[0, 1, 2]), None);
    }

    #[test]
    fn each_is_explained_without_the_names_of_others() {
        let words = ["HTML", "LFS", "empty", "zip"];
        let kinds = [
            ForeignFile::Html,
            ForeignFile::LfsPointer,
            ForeignFile::Empty,
            ForeignFile::Zip,
        ];
        for (kind, word) in kinds.iter().zip(words) {
            let text = kind.explain();
            let found: Vec<_> = words.into_iter().filter(|w| text.contains(w)).collect();
            assert_eq!(found, [word], "{text}");
        }
    }
}
