//! Unix sockets.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The file of a socket, removed when this is dropped unless something else has taken its place.
#[derive(Debug)]
pub struct UnixSocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for UnixSocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // If it was removed meanwhile, the result is the same.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Listens on a Unix socket that only this user may connect to: its mode is 0600 from the moment it exists. A socket
/// without a listener is replaced; any other file stays as it is.
///
/// # Errors
///
/// `AddrInUse` if the path is a socket with a listener or no socket at all, and what the system reports.
///
/// # Panics
///
/// Outside a tokio runtime with I/O.
pub async fn bind_unix(path: &Path) -> io::Result<(UnixListener, UnixSocketFile)> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "there is a file that is not a socket; choose another path, or remove it",
            ));
        }
        // A killed server leaves its socket behind. One that refuses connections is stale.
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another program listens there",
                ));
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = UnixSocket::new_stream()?;
    // Linux gives the file the mode that the socket has before it is bound, less the umask.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    socket.bind(path)?;
    let file = UnixSocketFile {
        path: path.to_owned(),
        identity: identity(path)?,
    };
    Ok((socket.listen(BACKLOG)?, file))
}
