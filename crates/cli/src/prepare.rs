//! Prepared weights of models in the store: used where they are, made when nobody waits.
//!
//! No answer waits for them. `pull` and `import` make them in full; whatever else loads a model goes
//! on with them for a moment after it has answered, a chat while it waits for the next line.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rushlight_kernels::{PANEL_LAYOUT, Row};
use rushlight_model::{ErrorKind, Made, Model, Prepared};
use rushlight_store::{Name, Resolved, Store};

use crate::args::Args;
use crate::load;
use crate::report::{self, size};

/// How long a command may go on after its answer.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A model of the store and the place of its prepared weights.
#[derive(Clone)]
pub(crate) struct Unprepared {
    model: Arc<Model>,
    /// The digest of its manifest.
    source: String,
    path: PathBuf,
}

impl Unprepared {
    /// `None` for a model that is not in the store, or that the kernels have no other layout for.
    pub(crate) fn of(
        store: &Store,
        resolved: &Resolved,
        model: &Arc<Model>,
        row: &Row,
    ) -> Option<Self> {
        let digest = resolved.digest?;
        let taken = model.panel_sources().iter().any(|s| row.takes_panels(s.format(), s.cols()));
        taken.then(|| Self {
            model: model.clone(),
            source: digest.to_string(),
            path: store.prepared(&digest, PANEL_LAYOUT),
        })
    }

    /// What the file is, or is to be.
    pub(crate) fn prepared(&self) -> Prepared<'_> {
        Prepared::new(&self.model, &self.source, &self.path)
    }

    /// Uses the file. Returns whether it is in use now. A damaged one is removed.
    pub(crate) fn attach(&self) -> bool {
        match self.prepared().attach() {
            Ok(attached) => attached,
            Err(error) => {
                if error.kind() == ErrorKind::Prepared {
                    self.remove();
                }
                report::note("the model's own file is used", &anyhow::Error::new(error));
                false
            }
        }
    }

    /// Takes the file away: it can be made again.
    pub(crate) fn remove(&self) {
        // If that fails the file is looked at again the next time, and not used then either.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes all prepared weights of a model that has just come into the store, and says so. That it
/// cannot be done is no failure: the model runs without.
pub(crate) fn in_full(args: &Args, name: &Name) {
    let made = || -> anyhow::Result<()> {
        let store = load::store(args)?;
        let resolved = store.resolve(&name.to_string(), &())?;
        let model = Arc::new(Model::open(&resolved.path)?);
        let row = rushlight_kernels::best();
        let Some(unprepared) = Unprepared::of(&store, &resolved, &model, row) else {
            return Ok(());
        };
        make(&unprepared)
    };
    if let Err(error) = made() {
        report::note("the weights are not prepared", &error);
    }
}

/// Makes all prepared weights of a model that is to be used for long, says so, and uses them. That
/// it cannot be done is no failure.
pub(crate) fn before(unprepared: &Unprepared) {
    match make(unprepared) {
        Ok(()) => drop(unprepared.attach()),
        Err(error) => report::note("the weights are not prepared", &error),
    }
}

/// Makes all prepared weights and says so.
fn make(unprepared: &Unprepared) -> anyhow::Result<()> {
    eprint!("preparing weights for this processor … ");
    let (begin, prepared) = (Instant::now(), unprepared.prepared());
    match prepared.make(None, &|| false) {
        Ok(Made::Whole) => {
            let seconds = begin.elapsed().as_secs_f64();
            eprintln!("{seconds:.1} s, {}", size(prepared.size_bytes()));
        }
        Ok(_) => eprintln!("another process is at it"),
        Err(error) => {
            eprintln!("not done");
            return Err(error.into());
        }
    }
    Ok(())
}

/// Makes a model's prepared weights again and compares; those that differ are removed. Returns
/// whether there are any.
pub(crate) fn verify(store: &Store, name: &Name) -> anyhow::Result<bool> {
    let resolved = store.resolve(&name.to_string(), &())?;
    if !resolved.digest.is_some_and(|digest| store.prepared(&digest, PANEL_LAYOUT).exists()) {
        return Ok(false);
    }
    let model = Arc::new(Model::open(&resolved.path)?);
    let row = rushlight_kernels::best();
    let Some(unprepared) = Unprepared::of(store, &resolved, &model, row) else { return Ok(false) };
    let compared = unprepared.prepared().compare();
    if compared.as_ref().is_err_and(|error| error.kind() == ErrorKind::Prepared) {
        unprepared.remove();
    }
    compared.context("the prepared weights are damaged, and removed if that can be")
}

/// Goes on for a moment with what a command left unprepared, after its answer is out. Says nothing:
/// whoever asked has the answer, and the next command goes on.
pub(crate) fn afterwards(unprepared: Option<Unprepared>, enough: &(dyn Fn() -> bool + Sync)) {
    let Some(unprepared) = unprepared else { return };
    let begin = Instant::now();
    let stop = || begin.elapsed() > AFTERWARDS || enough();
    let _ = unprepared.prepared().make(None, &stop);
}

/// Goes on while a chat waits.
pub(crate) struct Meanwhile {
    unprepared: Option<Unprepared>,
    stop: Arc<AtomicBool>,
    work: Option<JoinHandle<bool>>,
}

impl Meanwhile {
    pub(crate) fn new(unprepared: Option<Unprepared>) -> Self {
        Self { unprepared, stop: Arc::default(), work: None }
    }

    /// Calls `wait`, works on the weights until it returns, and uses them once they are whole.
    pub(crate) fn during<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.begin();
        let waited = wait();
        self.stop.store(true, Ordering::Relaxed);
        self.collect();
        waited
    }

    fn begin(&mut self) {
        self.collect();
        let (Some(unprepared), None) = (&self.unprepared, &self.work) else { return };
        self.stop.store(false, Ordering::Relaxed);
        let (unprepared, stop) = (unprepared.clone(), self.stop.clone());
        let work = move || {
            let stop = || stop.load(Ordering::Relaxed);
            matches!(unprepared.prepared().make(None, &stop), Ok(Made::Whole))
        };
        // Without a thread the chat goes on as it is.
        self.work = std::thread::Builder::new().spawn(work).ok();
    }

    /// Hears from the work if it has ended: a slow disk may keep it longer than the answer can wait.
    fn collect(&mut self) {
        let Some(work) = self.work.take_if(|work| work.is_finished()) else { return };
        if work.join().unwrap_or(false) {
            self.unprepared.take_if(|unprepared| unprepared.attach());
        }
    }
}

#[cfg(test)]
mod tests {
    use rushlight_model::WeightsFrom;
    use rushlight_testkit::tiny;

    use super::*;

    #[test]
    fn a_chat_prepares_while_it_waits_and_then_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf_q8_0(&tiny::case("llama2"), &file);
        let model = Arc::new(Model::open(&file).unwrap());
        let path = dir.path().join("prepared");
        let source = "the model".to_owned();
        let unprepared = Unprepared { model: model.clone(), source, path: path.clone() };
        let mut meanwhile = Meanwhile::new(Some(unprepared));
        let until = |done: &dyn Fn() -> bool| {
            let begin = Instant::now();
            while !done() && begin.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        meanwhile.during(|| until(&|| path.exists()));
        // The thread may end a moment after the file is there.
        until(&|| meanwhile.work.as_ref().is_none_or(JoinHandle::is_finished));
        meanwhile.during(|| ());
        assert_eq!(model.weights_from(), WeightsFrom::Prepared);
        assert!(meanwhile.unprepared.is_none() && meanwhile.work.is_none());
    }
}
