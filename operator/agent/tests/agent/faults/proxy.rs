//! A proxy between the agent and its store that breaks what it is told to break. One request for each connection, so that
//! they can be told apart and counted.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    ops::Range,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Nothing,
    /// The store never sees the request; the answer is this status and code of S3's.
    Refuse(u16, &'static str),
    /// The store carries the request out; the answer is this.
    Deny(u16, &'static str),
    /// The connection is closed before the store sees the request.
    Reset,
    /// The store carries the request out; the connection is closed instead of an answer.
    ResetAfter,
    /// Half of the request's body reaches the store.
    CutRequest,
    /// Half of the answer reaches the agent.
    CutAnswer,
    /// One bit of the request's body is another.
    FlipRequest,
    /// One bit of the answer's body is another.
    FlipAnswer,
    /// The answer takes a second.
    Slow,
    /// From then on nobody answers for a while.
    Down(Duration),
    /// SIGKILL before the store sees the request.
    Kill(Victim),
    /// The dump's process kills itself before this piece of [`super::run::PIECES`].
    Die(usize),
    /// SIGKILL when the store has carried it out, before the answer.
    KillAfter(Victim),
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The dump's process.
    Tool,
    /// `agent move`.
    Mover,
    /// `agent shim`.
    Shim,
    /// All of them at once.
    Pod,
}

/// Which requests it happens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Those with these numbers, from 0 on.
    Requests(Range<usize>),
    /// The one in which the agent's bytes become so many: the connection is cut there.
    Byte(u64),
    /// The first that completes an upload.
    Completion,
    /// Each that uploads a chunk with this number or a larger one.
    Chunks(u32),
}

/// Kills one, if it lives.
type Kill = Box<dyn Fn(Victim) -> bool + Send>;

#[derive(Default)]
struct Seen {
    requests: usize,
    bytes: u64,
    hit: bool,
    down_until: Option<Instant>,
    at: Option<(At, Fault)>,
    kill: Option<Kill>,
}

/// A proxy that runs until the process ends.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    /// In front of the store at `store`, a port of this machine.
    pub(crate) fn start(store: u16, at: At, fault: Fault) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen { at: Some((at, fault)), ..Seen::default() }));
        let proxy = Self { port, seen };
        let this = proxy.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let this = this.clone();
                // What a broken connection leads to is seen at the agent.
                thread::spawn(move || this.serve(&connection, store).or_else(|_| close(&connection)));
            }
        });
        proxy
    }

    /// Who kills. Until it is known, whoever is to be killed waits.
    pub(crate) fn armed(&self, kill: Kill) {
        self.seen.lock().unwrap().kill = Some(kill);
    }

    /// No faults from now on.
    pub(crate) fn calm(&self) {
        let mut seen = self.seen.lock().unwrap();
        (seen.at, seen.down_until) = (None, None);
    }

    /// Requests so far, the agent's bytes so far, and whether the fault happened.
    pub(crate) fn counted(&self) -> (usize, u64, bool) {
        let seen = self.seen.lock().unwrap();
        (seen.requests, seen.bytes, seen.hit)
    }

    fn serve(&self, client: &TcpStream, store: u16) -> io::Result<()> {
        let mut from_client = BufReader::new(client);
        let Some(head) = head(&mut from_client)? else { return Ok(()) };
        let fault = self.fault(&head);
        if matches!(fault, Some(Fault::Reset)) {
            return close(client);
        }
        if let Some(Fault::Kill(victim)) = fault {
            self.kill(victim);
            if matches!(victim, Victim::Mover | Victim::Pod) {
                return close(client);
            }
        }
        if let Some(Fault::Refuse(status, code)) = fault {
            io::copy(&mut from_client.take(length(&head)), &mut io::sink())?;
            return answer(client, status, code);
        }
        let store = TcpStream::connect((Ipv4Addr::LOCALHOST, store))?;
        (&store).write_all(head.trim_end_matches("\r\n").as_bytes())?;
        (&store).write_all(b"\r\nconnection: close\r\n\r\n")?;
        if !self.pass_body(&mut from_client, &store, length(&head), fault)? {
            close(&store)?;
            return close(client);
        }
        let mut answered = vec![];
        (&store).read_to_end(&mut answered)?;
        match fault {
            Some(Fault::Deny(status, code)) => return answer(client, status, code),
            Some(Fault::ResetAfter) => return close(client),
            Some(Fault::KillAfter(victim)) => self.kill(victim),
            Some(Fault::Slow) => thread::sleep(Duration::from_secs(1)),
            Some(Fault::CutAnswer) => answered.truncate(answered.len() / 2),
            Some(Fault::FlipAnswer) => {
                let body = answered.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
                if let Some(body) = body.filter(|body| *body < answered.len()) {
                    let middle = usize::midpoint(body, answered.len());
                    answered[middle] ^= 1;
                }
            }
            _ => {}
        }
        let mut client = client;
        client.write_all(&answered)?;
        close(client)
    }

    /// The fault of the next request.
    fn fault(&self, head: &str) -> Option<Fault> {
        let mut seen = self.seen.lock().unwrap();
        let number = seen.requests;
        seen.requests += 1;
        if seen.down_until.is_some_and(|until| Instant::now() < until) {
            return Some(Fault::Reset);
        }
        let (at, fault) = seen.at.clone()?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let parameter = |name: &str| path.split(['?', '&']).find_map(|pair| pair.strip_prefix(name));
        let now = match at {
            At::Requests(numbers) => numbers.contains(&number),
            At::Byte(_) => false,
            At::Completion => !seen.hit && head.starts_with("POST ") && parameter("uploadId=").is_some(),
            At::Chunks(from) => parameter("partNumber=")
                .and_then(|chunk| chunk.parse().ok())
                .is_some_and(|chunk: u32| chunk >= from),
        };
        if !now {
            return None;
        }
        let has_body = length(head) > 0;
        seen.hit |= match fault {
            // A kill says itself whether there was anybody to kill.
            Fault::Nothing | Fault::Die(_) | Fault::Kill(_) | Fault::KillAfter(_) => false,
            Fault::FlipRequest | Fault::CutRequest => has_body,
            _ => true,
        };
        if let Fault::Down(duration) = fault {
            seen.down_until = Some(Instant::now() + duration);
            return Some(Fault::Reset);
        }
        Some(fault)
    }

    /// Whether all of it went through.
    fn pass_body(
        &self,
        from: &mut impl Read,
        mut to: &TcpStream,
        length: u64,
        fault: Option<Fault>,
    ) -> io::Result<bool> {
        let mut passed = 0;
        let mut piece = [0; 16 * 1024];
        while passed < length {
            let wanted = piece.len().min(usize::try_from(length - passed).unwrap());
            let read = from.read(&mut piece[..wanted])?;
            if read == 0 {
                return Ok(false);
            }
            let piece = &mut piece[..read];
            let middle = length / 2;
            let in_this = usize::try_from(middle.saturating_sub(passed)).unwrap();
            if middle >= passed && in_this < read {
                match fault {
                    Some(Fault::FlipRequest) => piece[in_this] ^= 1,
                    Some(Fault::CutRequest) => {
                        to.write_all(&piece[..in_this])?;
                        return Ok(false);
                    }
                    _ => {}
                }
            }
            if let Some(rest) = self.cut_here(read) {
                to.write_all(&piece[..rest])?;
                return Ok(false);
            }
            to.write_all(piece)?;
            passed += read as u64;
        }
        Ok(true)
    }

    /// Counts the agent's bytes; some of them, if the connection is to be cut after those.
    fn cut_here(&self, read: usize) -> Option<usize> {
        let mut seen = self.seen.lock().unwrap();
        let before = seen.bytes;
        seen.bytes += read as u64;
        let Some((At::Byte(at), _)) = seen.at else { return None };
        let here = !seen.hit && at < seen.bytes;
        seen.hit |= here;
        here.then(|| usize::try_from(at.saturating_sub(before)).unwrap())
    }

    fn kill(&self, victim: Victim) {
        loop {
            let mut seen = self.seen.lock().unwrap();
            if let Some(kill) = &seen.kill {
                seen.hit |= kill(victim);
                return;
            }
            drop(seen);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Everything before the body; none: the peer has gone.
fn head(from: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    while from.read_line(&mut head)? > 0 {
        if head.ends_with("\r\n\r\n") {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn length(head: &str) -> u64 {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.map_or(0, |(_, value)| value.trim().parse().unwrap())
}

fn answer(mut client: &TcpStream, status: u16, code: &str) -> io::Result<()> {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>injected</Message></Error>");
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status} Injected\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    close(client)
}

fn close(connection: &TcpStream) -> io::Result<()> {
    connection.shutdown(Shutdown::Both)
}
