//! Turns the loopback device of a new network on.

use super::{During, Step};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, netdevice, netlink, recv, sendto, socket,
};

/// The message "set link" of routing sockets, with an answer wanted: `RTM_NEWLINK`,
/// `NLM_F_REQUEST | NLM_F_ACK`.
const SET_LINK: u16 = 16;
const REQUEST: u16 = 0x1 | 0x4;
/// `IFF_UP`.
const UP: u32 = 1;
/// A header and a description of a link.
const LENGTH: usize = 16 + 16;

/// Turns `lo` on.
pub(super) fn turn_on() -> Step {
    // The protocol of routing is the first, which is meant when none is named.
    let socket =
        socket(AddressFamily::NETLINK, SocketType::RAW, None).during("open a routing socket")?;
    let index = netdevice::name_to_index(&socket, "lo").during("find the loopback device")?;
    let mut message = Vec::with_capacity(LENGTH);
    message.extend(u32::try_from(LENGTH).unwrap_or_default().to_ne_bytes());
    message.extend(SET_LINK.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // Sequence and port, which are not looked at; family, padding and type of the link.
    message.extend([0; 8 + 4]);
    message.extend(index.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    sendto(&socket, &message, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))
        .during("turn the loopback device on")?;
    let mut answer = [0_u8; 64];
    let (length, _) =
        recv(&socket, &mut answer[..], RecvFlags::empty()).during("hear of the loopback device")?;
    // After the header stands the error, zero for none.
    match answer.get(16..20) {
        Some([0, 0, 0, 0]) if length >= 20 => Ok(()),
        _ => Err("cannot turn the loopback device on: the system refuses it".into()),
    }
}
