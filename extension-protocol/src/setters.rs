//! By-value setters of options.

/// `name(argument: Type) field = value;` for each setter of an `impl`, with its documentation.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($argument:ident: $type:ty) $field:ident = $value:expr;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $argument: $type) -> Self {
            self.$field = $value;
            self
        }
    )*};
}

pub(crate) use setters;
