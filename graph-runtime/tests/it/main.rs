//! Whole graphs over real sockets: a simulated camera, a scripted extension, files on a disk.

mod end_to_end;
mod faults;
mod methods;
mod support;
