//! A web page over running media graphs: live pictures with boxes, events, graphs, mounted in a web server of yours.
//!
//! [`Console::new`] takes a [`Module`](lva_graph_runtime::Module), and [`Console::router`] is an [`axum::Router`] to nest anywhere.
//! The page is plain HTML, CSS and ES modules of this crate; it loads nothing from elsewhere.
//!
//! **A viewer that is slow loses pictures; neither the module nor another viewer notices.** Each camera is written as fragmented MP4
//! once, without decoding, however many watch it.
//!
//! It is no user administration, and stores nothing: events are in memory, and recordings are the module's own.
//!
//! # Example
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! use lva_graph_runtime::{Module, RuntimeOptions};
//! use lva_web_console::{Console, ConsoleOptions};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let module = Module::new(RuntimeOptions::new("recordings"), vec![]);
//! let console = Console::new(module.clone(), ConsoleOptions::new());
//! let app = axum::Router::new().nest("/console/", console.router());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Access
//!
//! Without tokens, browsers on the same machine may do everything, and others nothing. With tokens
//! ([`ConsoleOptions::with_token`], [`ConsoleOptions::with_viewer`]) people log in with one. Requests under a foreign host name, and
//! those of other sites' pages, are refused; every change is a POST.
//!
//! # Limits
//!
//! 256 live viewers ([`ConsoleOptions::with_max_viewers`]); 150 pictures or 8 MiB, and 256 other messages, that wait for one viewer;
//! 16 MiB of pictures for each camera; the newest 2,000 events; requests of 1 MiB. Pictures are given out when the next one has
//! come.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod api;
mod assets;
mod boxes;
mod cameras;
mod console;
mod documents;
mod events;
mod graphs;
mod health;
mod live;
mod mjpeg;
mod options;
mod recordings;
mod scene;
mod session;
mod shared;
mod tracks;

pub use console::Console;
pub use options::{ConsoleOptions, EventReceiver, MethodInvoker, WeakConsoleToken};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
