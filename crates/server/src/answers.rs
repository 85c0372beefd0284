//! Answers on their way from the engine's thread to those who asked.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Instant;

use axum::http::StatusCode;
use rushlight_engine::{Choice, Event, Finish, Sink};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::caller::Caller;
use crate::energy::Used;
use crate::failure::Failure;
use crate::metrics::ModelMetrics;
use crate::models::Lease;
use crate::trace::{self, Span, Tracer};

/// What comes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// It left the queue; so many tokens of its prompt were in the cache.
    Begun(usize),
    /// A token of the answer and the text that may be shown now.
    Token(Token, String),
    /// It ended.
    Finished(Ended),
    /// It failed.
    Failed(Failure),
}

/// A token with what else might have been there.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) choice: Choice,
    pub(crate) likeliest: Vec<(u32, f32)>,
}

/// How an answer ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) finish: Finish,
    /// Text that was held back.
    pub(crate) text: String,
    pub(crate) prompt_tokens: usize,
    pub(crate) reused_tokens: usize,
    pub(crate) answer_tokens: usize,
    pub(crate) energy: Option<Used>,
}

/// A place among the requests that are answered or wait.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// A place that `taken` counts already.
    pub(crate) fn new(taken: Arc<AtomicUsize>) -> Self {
        Self(taken)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sends what comes of a request, and takes the times. The channel has no bound: an answer is no
/// longer than the context, and the engine must not wait for a slow client.
pub(crate) struct Writer {
    pieces: UnboundedSender<Piece>,
    metrics: ModelMetrics,
    permit: Option<Permit>,
    caller: Caller,
    prompt_tokens: usize,
    asked: Instant,
    last_token: Option<Instant>,
    /// What traces tell of it, if there are any.
    span: Option<(Arc<Tracer>, Span)>,
}

impl Writer {
    pub(crate) fn new(
        pieces: UnboundedSender<Piece>,
        metrics: ModelMetrics,
        permit: Permit,
        prompt_tokens: usize,
    ) -> Self {
        Self {
            pieces,
            metrics,
            permit: Some(permit),
            caller: Caller::now(),
            prompt_tokens,
            asked: Instant::now(),
            last_token: None,
            span: trace::below(),
        }
    }

    fn token(&mut self) {
        self.caller.spend(1);
        let now = Instant::now();
        match self.last_token.replace(now) {
            None => {
                self.metrics.first_token(now - self.asked);
                if let Some((_, span)) = &mut self.span {
                    span.event("first token");
                }
            }
            Some(last) => self.metrics.next_token(now - last),
        }
    }

    /// The place is free before anybody hears of the end.
    fn end(&mut self, finish: &'static str, tokens: Option<(usize, usize)>) {
        if let Some((tracer, mut span)) = self.span.take() {
            let model = self.metrics.model();
            span.name = format!("answer {model}");
            span.text("gen_ai.request.model", model);
            span.text("gen_ai.response.finish_reasons", finish);
            span.integer("gen_ai.usage.input_tokens", self.prompt_tokens as u64);
            if let Some((reused, written)) = tokens {
                span.integer("gen_ai.usage.cache_read.input_tokens", reused as u64);
                span.integer("gen_ai.usage.output_tokens", written as u64);
            }
            if tokens.is_none() {
                span.fail();
            }
            tracer.end(span);
        }
        self.metrics.finished(finish, self.asked.elapsed());
        self.permit = None;
    }
}

impl Sink for Writer {
    fn event(&mut self, event: Event<'_>) -> bool {
        let piece = match event {
            Event::Begun { reused_tokens } => {
                self.caller.spend(self.prompt_tokens);
                let waited = self.asked.elapsed();
                self.metrics.begun(waited, self.prompt_tokens, reused_tokens);
                if let Some((_, span)) = &mut self.span {
                    span.event("begun");
                    span.number("rushlight.queue_seconds", waited.as_secs_f64());
                }
                Piece::Begun(reused_tokens)
            }
            Event::Token { choice, likeliest, text } => {
                self.token();
                Piece::Token(Token { choice, likeliest: likeliest.to_vec() }, text.to_owned())
            }
            Event::Finished {
                finish,
                text,
                prompt_tokens,
                reused_tokens,
                answer_tokens,
                energy,
            } => {
                self.end(finish.name(), Some((reused_tokens, answer_tokens)));
                let text = text.to_owned();
                match finish {
                    Finish::Deadline => Piece::Failed(late()),
                    Finish::Cancelled => Piece::Failed(cancelled()),
                    _ => Piece::Finished(Ended {
                        finish,
                        text,
                        prompt_tokens,
                        reused_tokens,
                        answer_tokens,
                        energy: self.metrics.energy().used(energy),
                    }),
                }
            }
            Event::Failed(error) => {
                self.end("error", None);
                Piece::Failed(Failure::from(&error))
            }
            _ => return true,
        };
        self.pieces.send(piece).is_ok()
    }

    fn is_gone(&self) -> bool {
        self.pieces.is_closed()
    }
}

/// Answers that are awaited. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Answers {
    /// `None` after the end.
    receivers: Vec<Option<UnboundedReceiver<Piece>>>,
    /// Who is asked first next time.
    turn: usize,
    /// A piece that was looked at.
    held: Option<(usize, Piece)>,
    /// What keeps the model.
    lease: Option<Lease>,
}

impl Answers {
    pub(crate) fn new(receivers: Vec<UnboundedReceiver<Piece>>) -> Self {
        Self {
            receivers: receivers.into_iter().map(Some).collect(),
            turn: 0,
            held: None,
            lease: None,
        }
    }

    /// Keeps the model until they are dropped.
    pub(crate) fn of(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.receivers.len()
    }

    /// Waits until the first has begun, so that one that cannot be is a response of its own. Gives
    /// how many tokens of its prompt were in the cache.
    pub(crate) async fn begun(&mut self) -> Result<usize, Failure> {
        match self.next().await {
            Some((_, Piece::Failed(failure))) => Err(failure),
            piece => {
                let reused = match &piece {
                    Some((_, Piece::Begun(reused))) => *reused,
                    _ => 0,
                };
                self.held = piece;
                Ok(reused)
            }
        }
    }

    /// The next piece of any, with the number of its answer; `None` after the end of all.
    pub(crate) async fn next(&mut self) -> Option<(usize, Piece)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        poll_fn(|context| {
            let count = self.receivers.len();
            let mut open = false;
            for at in (0..count).map(|i| (self.turn + i) % count) {
                let Some(receiver) = &mut self.receivers[at] else { continue };
                open = true;
                let piece = match receiver.poll_recv(context) {
                    Poll::Pending => continue,
                    Poll::Ready(piece) => piece.unwrap_or_else(|| Piece::Failed(lost())),
                };
                if matches!(piece, Piece::Finished(_) | Piece::Failed(_)) {
                    self.receivers[at] = None;
                }
                self.turn = at + 1;
                return Poll::Ready(Some((at, piece)));
            }
            if open { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }

    /// Waits for the end of all.
    pub(crate) async fn collect(mut self) -> Result<Vec<Answer>, Failure> {
        let mut answers: Vec<Answer> = (0..self.count()).map(|_| Answer::default()).collect();
        while let Some((at, piece)) = self.next().await {
            let answer = &mut answers[at];
            match piece {
                Piece::Begun(_) => {}
                Piece::Token(token, text) => {
                    answer.tokens.push(token);
                    answer.text += &text;
                    answer.pieces.push(text);
                }
                Piece::Finished(ended) => {
                    answer.text += &ended.text;
                    answer.ended = Some(ended);
                }
                Piece::Failed(failure) => return Err(failure),
            }
        }
        Ok(answers)
    }
}

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The text that each token completed; what was held back at the end is not among them.
    pub(crate) pieces: Vec<String>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) ended: Option<Ended>,
}

fn late() -> Failure {
    let message = "the deadline passed before the answer was complete";
    Failure::new(StatusCode::REQUEST_TIMEOUT, "deadline_exceeded", message)
}

fn cancelled() -> Failure {
    Failure::unavailable("cancelled", "the answer was ended before it was complete")
}

fn lost() -> Failure {
    let message = "the engine ended before the answer was complete";
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_failed", message)
}
