//! How long a request may take: by what it sends, and the one that ends an upload for long. A fixed time would be too short for the
//! chunks of an enormous dump, whose every try would end in the middle, or too long for all the others. And for how long to try.

use std::{io, pin::Pin, time::Duration};

use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};
use tokio::time::timeout;

use super::transform::MAX_CHUNK;

/// For a request that sends little, its answer included: up to 16 MiB of a restore.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// For the request that makes an upload's chunks the object: a store may copy them all, and may not go on when its client hangs up.
/// Amazon speaks of minutes.
pub(crate) const COMPLETION_TIMEOUT: Duration = Duration::from_mins(30);
/// The slowest way to a store that carries every dump: 8 Mbit/s for all that is in flight, in bytes a second.
const SLOWEST: u64 = 1024 * 1024;
/// So many chunks share it. Of those up to 32 MiB there are three, which [`REQUEST_TIMEOUT`] covers.
const SHARED_BY: u64 = 2;

/// What a request gets. A store that takes a chunk and never answers is given up after that: two minutes up to chunks of 60 MiB,
/// 34 minutes at 1 GiB. One that takes nothing is given up by TCP after 30 s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    least: Duration,
    /// For all that is in flight.
    bytes_per_second: u64,
    completion: Duration,
}

/// The usual one.
pub(crate) const PACE: Pace =
    Pace { least: REQUEST_TIMEOUT, bytes_per_second: SLOWEST, completion: COMPLETION_TIMEOUT };

impl Pace {
    /// What a request with a body of so many bytes may take.
    pub(crate) fn time_for(self, bytes: u64) -> Duration {
        let milliseconds = bytes.saturating_mul(1000 * SHARED_BY) / self.bytes_per_second.max(1);
        self.least.max(Duration::from_millis(milliseconds))
    }

    /// How much more that is than for a small one.
    pub(crate) fn extra(self, bytes: u64) -> Duration {
        self.time_for(bytes).saturating_sub(self.least)
    }
}

/// How long a store may be out of reach before a request is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// The first look: a mistyped endpoint is to be reported soon.
    Look,
    /// In the middle of a dump: the restart of a store's pod is not to cost hours of work.
    Dump,
    /// The same, where a single try to send a chunk may take longer than that.
    Upload {
        /// Its bytes.
        chunk: u64,
    },
}

/// Amazon takes a signature for 15 minutes, and a repetition has that of the first try.
const SIGNED: Duration = Duration::from_mins(13);

impl Patience {
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::Look => Duration::from_secs(20),
            Self::Dump => Duration::from_secs(150),
            Self::Upload { chunk } => SIGNED.min(Self::Dump.limit() + PACE.extra(chunk)),
        }
    }
}

impl HttpConnector for Pace {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // A client has one limit for all of its requests.
        let connect = |limit| ReqwestConnector::default().connect(&options.clone().with_timeout(limit));
        let (small, large) = (connect(self.least)?, connect(self.time_for(MAX_CHUNK))?);
        let completing = connect(self.completion)?;
        Ok(HttpClient::new(Paced { pace: *self, small, large, completing }))
    }
}

/// A client for what sends little, one for large chunks, and one that ends uploads.
#[derive(Debug)]
struct Paced {
    pace: Pace,
    small: HttpClient,
    large: HttpClient,
    completing: HttpClient,
}

/// `CompleteMultipartUpload` of S3, and of GCS, whose uploads speak the same language. Azure's request for it is not known for
/// taking long.
fn completes(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == "POST" && query.split('&').any(|pair| pair.starts_with("uploadId="))
}

impl HttpService for Paced {
    fn call<'s: 'a, 'a>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        if completes(&request) {
            return Box::pin(self.completing.execute(request));
        }
        let bytes = request.body().content_length() as u64;
        let limit = self.pace.time_for(bytes);
        if limit <= self.pace.least {
            return Box::pin(self.small.execute(request));
        }
        Box::pin(async move {
            timeout(limit, self.large.execute(request)).await.unwrap_or_else(|_| Err(too_slow(bytes, limit)))
        })
    }
}

fn too_slow(bytes: u64, limit: Duration) -> HttpError {
    let what = format!("{} MiB were not taken and confirmed within {} s", bytes >> 20, limit.as_secs());
    HttpError::new(HttpErrorKind::Timeout, io::Error::new(io::ErrorKind::TimedOut, what))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        thread,
        time::Instant,
    };

    use object_store::client::HttpRequestBody;

    use super::*;

    #[test]
    fn the_time_follows_the_size() {
        let mib = |mib: u64| mib << 20;
        for (bytes, seconds) in [
            (0, 120),
            (mib(8), 120),
            (mib(32), 120),
            (mib(60), 120),
            (mib(103), 206),
            (mib(172), 344),
            (MAX_CHUNK, 2048),
            (u64::MAX, 17_592_186_044),
        ] {
            assert_eq!(PACE.time_for(bytes).as_secs(), seconds, "{bytes}");
            assert_eq!(PACE.extra(bytes).as_secs(), seconds - 120, "{bytes}");
        }
        // Three of the largest small ones at once.
        assert!(3 * mib(32) / SLOWEST <= REQUEST_TIMEOUT.as_secs());
    }

    #[test]
    fn one_broken_connection_does_not_end_a_dump_of_large_chunks() {
        let seconds = |mebibytes: u64| Patience::Upload { chunk: mebibytes << 20 }.limit().as_secs();
        assert_eq!([8, 60, 103, 1024].map(seconds), [150, 150, 236, 780]);
    }

    /// Takes a request only after so long, and answers; none: takes it at once, and never does.
    fn server(takes: Option<Duration>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or_default() <= 2 {
                            break;
                        }
                        let line = line.to_lowercase();
                        if let Some(bytes) = line.strip_prefix("content-length:") {
                            length = bytes.trim().parse().unwrap();
                        }
                    }
                    thread::sleep(takes.unwrap_or_default());
                    let mut body = vec![0; length];
                    // A client that has given up hangs up.
                    if reader.read_exact(&mut body).is_err() || takes.is_none() {
                        thread::sleep(Duration::from_secs(30));
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                });
            }
        });
        format!("http://{address}/a")
    }

    async fn put(url: &str, bytes: usize) -> (Result<HttpResponse, HttpError>, Duration) {
        send("PUT", url, bytes).await
    }

    async fn send(method: &str, url: &str, bytes: usize) -> (Result<HttpResponse, HttpError>, Duration) {
        let completion = Duration::from_secs(2);
        let pace = Pace { least: Duration::from_millis(300), bytes_per_second: 4 << 20, completion };
        let client = pace.connect(&ClientOptions::new().with_allow_http(true)).unwrap();
        let mut request = HttpRequest::new(HttpRequestBody::from(vec![7; bytes]));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = url.parse().unwrap();
        let began = Instant::now();
        (client.execute(request).await, began.elapsed())
    }

    /// A fixed limit ended each try of such a chunk, for hours.
    #[tokio::test]
    async fn a_large_chunk_may_take_longer_than_a_small_one() {
        let slow = server(Some(Duration::from_millis(900)));
        let (small, _) = put(&slow, 10).await;
        assert_eq!(small.unwrap_err().kind(), HttpErrorKind::Timeout);
        let (large, _) = put(&slow, 4 << 20).await;
        assert!(large.unwrap().status().is_success());
    }

    /// Else a store that copies chunks into one file would begin anew at each try.
    #[tokio::test]
    async fn the_end_of_an_upload_may_take_longer_than_another_request() {
        let slow = server(Some(Duration::from_millis(900)));
        for (query, in_time) in
            [("?uploadId=7", true), ("?partNumber=1&uploadId=7", true), ("?uploads", false)]
        {
            let (answer, _) = send("POST", &format!("{slow}{query}"), 10).await;
            assert_eq!(answer.is_ok(), in_time, "{query}");
        }
        let (aborted, _) = send("DELETE", &format!("{slow}?uploadId=7"), 10).await;
        assert!(aborted.is_err());
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_given_up() {
        let silent = server(None);
        let (completed, after) = send("POST", &format!("{silent}?uploadId=7"), 10).await;
        assert_eq!(completed.unwrap_err().kind(), HttpErrorKind::Timeout);
        assert!(after >= Duration::from_secs(2) && after < Duration::from_secs(15), "{after:?}");
        let (small, after) = put(&silent, 10).await;
        assert_eq!(small.unwrap_err().kind(), HttpErrorKind::Timeout);
        assert!(after < Duration::from_secs(10), "{after:?}");
        let (large, after) = put(&silent, 4 << 20).await;
        let error = large.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        assert!(error.to_string().contains("4 MiB were not taken"), "{error}");
        assert!(after >= Duration::from_secs(2) && after < Duration::from_secs(15), "{after:?}");
    }
}
