//! Enumerations whose words the contract fixes.

/// Words are compared without case and without underscores: samples write `zonecrossing` and `bottom_center`
/// where the schema has `zoneCrossing` and `bottomCenter`.
pub(crate) fn same_word(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> Vec<u8> {
        let bytes = text.trim().bytes().filter(|b| *b != b'_');
        bytes.map(|b| b.to_ascii_lowercase()).collect()
    };
    letters(a) == letters(b)
}

macro_rules! words {
    ($(#[doc = $doc:expr])+ $vis:vis enum $name:ident { $($(#[doc = $vdoc:expr])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every one.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The contract's word for it.
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            pub(crate) fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| $crate::words::same_word(v.as_str(), word))
            }

            pub(crate) fn choices() -> String {
                let words: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                words.join(", ")
            }
        }
    };
}
pub(crate) use words;
