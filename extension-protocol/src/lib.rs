//! The gRPC, shared-memory and HTTP extension contracts of Live Video Analytics, client and server.
#![forbid(unsafe_code)]
