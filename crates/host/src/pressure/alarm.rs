//! The kernel's word that everything waits for memory.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// When it rings: everything waited for 0.2 of 2 seconds. Who is not root may ask for windows of whole
/// twos alone (Documentation/accounting/psi.rst).
const BOUND: &[u8] = b"full 200000 2000000\0";

/// Calls somebody when everything has waited for memory for a tenth of two seconds, on the machine or in a
/// group of this process. A thread waits for that; dropping this ends it.
#[derive(Debug)]
pub struct PressureAlarm {
    _end: UnixStream,
}

impl PressureAlarm {
    /// Has `act` called on a thread of its own. `None` where the kernel does not measure it or this
    /// process may not ask for it; `root` is `/`, since a made-up tree never rings.
    pub fn set(root: &Path, act: impl Fn() + Send + 'static) -> Option<Self> {
        let alarms = if root == Path::new("/") { alarms(root) } else { Vec::new() };
        if alarms.is_empty() {
            return None;
        }
        let (end, ended) = UnixStream::pair().ok()?;
        let thread = std::thread::Builder::new().name("pressure".to_owned());
        thread.spawn(move || wait(alarms, &ended, &act)).ok()?;
        Some(Self { _end: end })
    }
}

/// Files that become ready with priority; those that this process may set.
fn alarms(root: &Path) -> Vec<File> {
    let set = |file| {
        let mut file = OpenOptions::new().read(true).write(true).open(file).ok()?;
        file.write_all(BOUND).ok().map(|()| file)
    };
    super::files(root).filter_map(set).collect()
}

fn wait(mut alarms: Vec<File>, ended: &UnixStream, act: &dyn Fn()) {
    while !alarms.is_empty() {
        let mut all: Vec<_> =
            alarms.iter().map(|alarm| PollFd::new(alarm, PollFlags::PRI)).collect();
        all.push(PollFd::new(ended, PollFlags::IN));
        match poll(&mut all, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        let happened: Vec<PollFlags> = all.iter().map(PollFd::revents).collect();
        if happened.last().is_none_or(|end| !end.is_empty()) {
            return;
        }
        if happened.contains(&PollFlags::PRI) {
            act();
        }
        // That of a group that has gone has an error, and rings no more.
        let mut states = happened.iter();
        alarms.retain(|_| states.next().is_some_and(|h| PollFlags::PRI.contains(*h)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use rustix::net::{RecvFlags, SendFlags, recv, send};

    use super::*;

    /// A file that is ready with priority once a byte that is urgent is sent to it.
    fn urgent() -> (TcpStream, File) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sends = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (sends, File::from(OwnedFd::from(listener.accept().unwrap().0)))
    }

    #[test]
    fn each_ring_is_told_until_nothing_can_ring() {
        let ((one, mut first), (other, second)) = (urgent(), urgent());
        // What is closed with something unread in it is an error at the other end.
        first.write_all(b"x").unwrap();
        let (end, ended) = UnixStream::pair().unwrap();
        let (told, hears) = std::sync::mpsc::channel();
        let files = vec![first, second.try_clone().unwrap()];
        let mut keeps = second.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            wait(files, &ended, &|| {
                // The kernel's own alarms are quiet after each ring; these are once they are read.
                let _ = recv(&second, &mut [0u8; 1], RecvFlags::OOB);
                told.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            });
        });
        let patience = Duration::from_secs(20);
        assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
        send(&other, b"!", SendFlags::OOB).unwrap();
        hears.recv_timeout(patience).unwrap();
        // One that goes is left out, and the other rings still.
        drop(one);
        std::thread::sleep(Duration::from_millis(50));
        while hears.try_recv().is_ok() {}
        send(&other, b"!", SendFlags::OOB).unwrap();
        hears.recv_timeout(patience).unwrap();
        // The one that is left goes too: nothing can ring, and it ends by itself.
        keeps.write_all(b"x").unwrap();
        drop(other);
        thread.join().unwrap();
        drop(end);
    }

    #[test]
    fn it_is_set_where_this_process_may_and_ends() {
        let machine = Path::new("/proc/pressure/memory");
        let file = OpenOptions::new().read(true).write(true).open(machine);
        let may = file.and_then(|mut file| file.write_all(BOUND)).is_ok();
        let (told, hears) = std::sync::mpsc::channel::<()>();
        let alarm = PressureAlarm::set(Path::new("/"), move || {
            let _ = told.send(());
        });
        assert!(!may || alarm.is_some());
        drop(alarm);
        // The thread has let go of what it was to call.
        let begin = Instant::now();
        while hears.recv_timeout(Duration::from_secs(10)).is_ok() {}
        assert!(begin.elapsed() < Duration::from_secs(9));
        // Nothing is written to a made-up tree.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("proc/pressure/memory");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n").unwrap();
        assert!(PressureAlarm::set(dir.path(), || ()).is_none());
        assert!(fs::read_to_string(&file).unwrap().starts_with("full avg10"));
    }
}
