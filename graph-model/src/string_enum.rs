//! Enumerations whose values the contract fixes as strings.

use lva_media_types::{PixelFormat, ScaleMode};

/// An enumeration that documents write as a string.
pub(crate) trait StringEnum: Copy + 'static {
    const VALUES: &'static [Self];

    fn contract_name(self) -> &'static str;

    /// The value of a string, ignoring case and underscores.
    fn from_string(text: &str) -> Option<Self> {
        let mut values = Self::VALUES.iter().copied();
        values.find(|value| eq_ignoring_case(value.contract_name(), text))
    }

    /// All values, for messages.
    fn allowed_values() -> String {
        let names: Vec<_> = Self::VALUES.iter().map(|value| value.contract_name()).collect();
        names.join(", ")
    }
}

/// Compares without case and underscores: samples write `zonecrossing` and `bottom_center` where the schema has
/// `zoneCrossing` and `bottomCenter`.
pub(crate) fn eq_ignoring_case(a: &str, b: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        let bytes = text.trim().bytes().filter(|b| *b != b'_');
        bytes.map(|b| b.to_ascii_lowercase())
    }
    letters(a).eq(letters(b))
}

macro_rules! string_enum {
    ($(#[doc = $doc:expr])+ $vis:vis enum $name:ident { $($(#[doc = $vdoc:expr])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every value.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The contract's name for it.
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::string_enum::StringEnum for $name {
            const VALUES: &'static [Self] = Self::ALL;

            fn contract_name(self) -> &'static str {
                self.as_str()
            }
        }
    };
}
pub(crate) use string_enum;

impl StringEnum for PixelFormat {
    const VALUES: &'static [Self] = &Self::ALL;

    fn contract_name(self) -> &'static str {
        self.name()
    }
}

impl StringEnum for ScaleMode {
    const VALUES: &'static [Self] = &Self::ALL;

    fn contract_name(self) -> &'static str {
        self.name()
    }
}
