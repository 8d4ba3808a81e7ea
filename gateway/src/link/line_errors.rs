//! The kernel's counters of a serial port, by the request `TIOCGICOUNT` of tty_ioctl(4).

use chiasm_drivers::detect::probe::LineErrors;
use rustix::ioctl::{Getter, ioctl, opcode};
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct serial_icounter_struct` of `linux/serial.h`.
#[repr(C)]
#[derive(Default)]
struct Counters {
    cts: i32,
    dsr: i32,
    rng: i32,
    dcd: i32,
    rx: i32,
    tx: i32,
    frame: i32,
    overrun: i32,
    parity: i32,
    brk: i32,
    buf_overrun: i32,
    reserved: [i32; 9],
}

/// `TIOCGICOUNT` of `asm-generic/ioctls.h`.
const TIOCGICOUNT: u32 = 0x545D;

/// Framing and parity errors; nothing where the port counts none.
pub(super) fn read(port: &impl AsRawFd) -> Option<LineErrors> {
    const REQUEST: rustix::ioctl::Opcode =
        opcode::from_components(rustix::ioctl::Direction::None, 0, 0, 0)
            | TIOCGICOUNT as rustix::ioctl::Opcode;
    // SAFETY: the port is borrowed for the whole call, so its descriptor stays open.
    let port = unsafe { BorrowedFd::borrow_raw(port.as_raw_fd()) };
    // SAFETY: the request writes one `Counters`, whose layout is the kernel's, and nothing else.
    let counters = unsafe { ioctl(port, Getter::<REQUEST, Counters>::new()) }.ok()?;
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    Some(LineErrors { framing: count(counters.frame), parity: count(counters.parity) })
}
