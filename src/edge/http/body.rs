//! Reading a request's body: bounded in size, before and after decompression, and in time, from piece to piece and in all.
//! Without these bounds one slow or endless sender would hold a worker's memory for as long as it likes.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Payload};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::error::Problem;
use super::query::Parameters;
use super::{COMMAND_BYTES_MAX, Edge, Limits, media};

/// Decompressed at a time: DEFLATE makes at most about a thousand bytes of one, so the bound is noticed in time.
const DEFLATED_PIECE: usize = 4 * 1024;
/// After a refusal, this many bodies' worth is still read and thrown away: a sender that only looks at the answer when it
/// has written everything would otherwise see a reset connection instead.
const DRAINED_BODIES: usize = 4;

/// What all bodies together may hold in memory, in KiB.
pub struct Buffers(Arc<Semaphore>);

impl Buffers {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(1_024).min(Semaphore::MAX_PERMITS))))
    }

    fn reserve(&self, kib: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let reserved = u32::try_from(kib).ok().and_then(|kib| Arc::clone(&self.0).try_acquire_many_owned(kib).ok());
        reserved.ok_or_else(|| Problem::unavailable("busy", "too many large requests are being read at once", 1))
    }
}

/// A body, piece by piece.
pub struct Body {
    payload: Payload,
    limits: Limits,
    whole: Pin<Box<Sleep>>,
    received: usize,
    unpacked: usize,
    /// Handed out, and so perhaps kept by whoever reads.
    given: usize,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    ended: bool,
    buffers: Arc<Buffers>,
    /// Given back with the body, or by whoever took it over.
    reserved: Option<OwnedSemaphorePermit>,
}

impl Body {
    /// # Errors
    /// 413 when the announced length is too large, 415 for an unknown encoding.
    pub async fn new(request: &HttpRequest, payload: Payload, edge: &Edge, body_bytes: usize) -> Result<Self, Problem> {
        let encoding = request.headers().get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        let gzip = match encoding.as_deref() {
            None | Some(b"identity") => None,
            Some(b"gzip" | b"x-gzip") => Some(MultiGzDecoder::new(Vec::new())),
            Some(_) => {
                let action = "Send it as gzip or without an encoding.";
                let detail = "this Content-Encoding is not supported";
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", detail, action).closing());
            }
        };
        let limits = Limits { body_bytes, ..edge.limits.clone() };
        let mut body = Self::over(payload, limits, edge.buffers.clone(), gzip);
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > body_bytes as u64) {
            return Err(body.refuse(body.too_large()).await);
        }
        Ok(body)
    }

    fn over(payload: Payload, limits: Limits, buffers: Arc<Buffers>, gzip: Option<MultiGzDecoder<Vec<u8>>>) -> Self {
        let whole = Box::pin(tokio::time::sleep(limits.total));
        Self { payload, limits, whole, received: 0, unpacked: 0, given: 0, gzip, ended: false, buffers, reserved: None }
    }

    /// The next piece, decompressed; `None`: that was all.
    ///
    /// # Errors
    /// 413 too large, 408 too slow, 400 not what its encoding says, 503 when too much is being read at once; the
    /// connection ends with the answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while !self.ended {
            let Some(piece) = self.receive().await? else {
                self.ended = true;
                return self.last();
            };
            self.received += piece.len();
            if self.received > self.limits.body_bytes {
                return Err(self.refuse(self.too_large()).await);
            }
            let unpacked = match self.unpack(piece).and_then(|unpacked| self.reserved(unpacked)) {
                Ok(unpacked) => unpacked,
                Err(problem) => return Err(self.refuse(problem).await),
            };
            if !unpacked.is_empty() {
                return Ok(Some(unpacked));
            }
        }
        Ok(None)
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn whole(&mut self) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// What was reserved for it, for as long as what was read out of it is in memory.
    pub fn into_room(self) -> Option<OwnedSemaphorePermit> {
        self.reserved
    }

    /// Reads on for a while, so that the sender gets to see `problem`.
    pub async fn refuse(&mut self, problem: Problem) -> Problem {
        refuse_unread(&mut self.payload, &self.limits, problem).await
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Problem> {
        let Limits { stall, total, .. } = self.limits;
        tokio::select! {
            piece = tokio::time::timeout(stall, self.payload.next()) => match piece {
                Ok(None) => Ok(None),
                Ok(Some(Ok(piece))) => Ok(Some(piece)),
                Ok(Some(Err(error))) => {
                    let action = "Nothing was accepted: send the request again.";
                    Err(Problem::bad_request("incomplete-body", format!("the body broke off: {error}"), action).closing())
                }
                Err(_) => Err(too_slow("nothing arrived", stall)),
            },
            () = &mut self.whole => Err(too_slow("the body was not complete", total)),
        }
    }

    fn reserved(&mut self, piece: Bytes) -> Result<Bytes, Problem> {
        self.given += piece.len();
        let reserved = self.reserved.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = self.given.div_ceil(1_024).saturating_sub(reserved);
        if missing > 0 {
            let more = self.buffers.reserve(missing)?;
            match &mut self.reserved {
                Some(reserved) => reserved.merge(more),
                None => self.reserved = Some(more),
            }
        }
        Ok(piece)
    }

    fn unpack(&mut self, piece: Bytes) -> Result<Bytes, Problem> {
        let Some(gzip) = &mut self.gzip else { return Ok(piece) };
        let mut unpacked = Vec::new();
        for part in piece.chunks(DEFLATED_PIECE) {
            gzip.write_all(part).map_err(not_gzip)?;
            self.unpacked += gzip.get_ref().len();
            unpacked.append(gzip.get_mut());
            if self.unpacked > self.limits.body_bytes {
                return Err(self.too_large());
            }
        }
        Ok(unpacked.into())
    }

    /// What the decoder still holds at the end.
    fn last(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(mut gzip) = self.gzip.take() else { return Ok(None) };
        gzip.try_finish().map_err(not_gzip)?;
        let rest = std::mem::take(gzip.get_mut());
        if self.unpacked + rest.len() > self.limits.body_bytes {
            return Err(self.too_large());
        }
        Ok((!rest.is_empty()).then(|| rest.into()))
    }

    fn too_large(&self) -> Problem {
        let detail = format!("the body is larger than {} bytes", self.limits.body_bytes);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail, "Nothing was accepted: send it in several requests.")
    }
}

/// The same for a request that is refused before its body is looked at.
pub async fn refuse_unread(payload: &mut Payload, limits: &Limits, problem: Problem) -> Problem {
    let mut left = limits.body_bytes.saturating_mul(DRAINED_BODIES);
    let drained = async {
        while let Some(Ok(piece)) = payload.next().await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    // Whether it came to its end makes no difference: the connection is closed either way.
    let _ = tokio::time::timeout(limits.stall, drained).await;
    problem.closing()
}

fn too_slow(what: &str, after: Duration) -> Problem {
    let detail = format!("{what} for {} s", after.as_secs_f64());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", detail, "Nothing was accepted: send the request again.").closing()
}

fn not_gzip(error: std::io::Error) -> Problem {
    Problem::bad_request("not-gzip", format!("the body is not gzip: {error}"), "Nothing was accepted: send it again.").closing()
}

/// The whole JSON body of a request that has no parameters besides.
///
/// # Errors
/// 400 for a parameter, 415 for another content type, 413 beyond the bound of a command; and as for any body.
pub async fn json_of(edge: &Edge, request: &HttpRequest, payload: Payload) -> Result<Vec<u8>, Problem> {
    Parameters::of(request, &[])?;
    json_body(edge, request, payload).await
}

/// The same of one that has parameters, which somebody else reads.
///
/// # Errors
/// 415 for another content type, and the body's.
pub async fn json_body(edge: &Edge, request: &HttpRequest, payload: Payload) -> Result<Vec<u8>, Problem> {
    media::require_json(request.headers())?;
    Body::new(request, payload, edge, COMMAND_BYTES_MAX).await?.whole().await
}

/// The body of a command, which may be none: JSON where there is any.
///
/// # Errors
/// 415 for another content type, and the body's.
pub async fn json_if_any(edge: &Edge, request: &HttpRequest, payload: Payload) -> Result<Vec<u8>, Problem> {
    let body = Body::new(request, payload, edge, COMMAND_BYTES_MAX).await?.whole().await?;
    if !body.is_empty() {
        media::require_json(request.headers())?;
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    #[actix_rt::test]
    async fn what_it_reserved_lasts_as_long_as_what_was_read_out_of_it() {
        let buffers = Arc::new(Buffers::new(4_096));
        let (request, mut payload) = TestRequest::default().set_payload(vec![b' '; 3_000]).to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.unwrap();
        let mut body = Body::over(payload, Limits::default(), Arc::clone(&buffers), None);
        assert_eq!(body.whole().await.unwrap().len(), 3_000);
        let room = body.into_room();
        assert!(buffers.reserve(2).is_err(), "there is room for 1 KiB beside it");
        drop(room);
        assert!(buffers.reserve(4).is_ok());
    }
}
