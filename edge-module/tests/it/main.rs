//! The module over its real interfaces: HTTP, files, signals.

mod hostile;
mod methods;
mod program;
mod restart;
mod support;
