//! Open files between processes (`SCM_RIGHTS`, unix(7)).

use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg},
};
use std::{
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

/// Sends `bytes` with `descriptors` beside them.
pub(super) fn send(stream: &UnixStream, bytes: &[u8; 4], descriptors: &[RawFd]) -> io::Result<()> {
    let beside = [ControlMessage::ScmRights(descriptors)];
    let sent = sendmsg::<UnixAddr>(
        stream.as_raw_fd(),
        &[IoSlice::new(bytes)],
        &beside,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives four bytes and the descriptors beside them, at most `descriptors_max`. They are not
/// passed on to programs that this process starts.
pub(super) fn receive(
    stream: &UnixStream,
    bytes: &mut [u8; 4],
    descriptors_max: usize,
) -> io::Result<Vec<OwnedFd>> {
    // The macro counts in descriptors of a fixed array; this is the largest packet.
    let mut space = cmsg_space!([RawFd; 64]);
    let wanted = bytes.len();
    let mut slices = [IoSliceMut::new(bytes)];
    let message =
        recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            descriptors.extend(received.into_iter().map(own));
        }
    }
    if message.flags.contains(MsgFlags::MSG_CTRUNC) || descriptors.len() > descriptors_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "descriptors were lost on the way"));
    }
    if message.bytes != wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(descriptors)
}

/// Takes a descriptor that `recvmsg` has just made.
#[allow(unsafe_code)]
fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel opened it for this process in the call before, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
