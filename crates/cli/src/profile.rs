//! The device profile: settings that `tune` measured, for models of one shape on this machine.
//!
//! A file of JSON in the store's `profiles` for each model shape, machine, limit on its processors and
//! build of the program. What is damaged or of another version is not used, and said so; it never stops a
//! command. A flag of the user is worth more than any of it.

mod build;
mod file;
mod key;

use std::path::Path;

use clap::ValueEnum;
use rushlight_model::Model;

use crate::args::{CoreSet, KvType, Load, Prepare};

pub(crate) use file::{Figures, Profile, Settings, write};
pub(crate) use key::Key;

/// What a profile changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tuned {
    /// For a person.
    pub(crate) line: String,
    /// Answers at once.
    pub(crate) parallel: Option<usize>,
}

/// What came of the search for a profile.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) tuned: Option<Tuned>,
    /// Why there is none although a file seems to be one.
    pub(crate) note: Option<String>,
}

impl Applied {
    /// Says it on standard error, of the model `of` if there may be several.
    pub(crate) fn say(&self, of: Option<&str>) {
        let of = of.map(|name| format!("`{name}`: ")).unwrap_or_default();
        if let Some(tuned) = &self.tuned {
            eprintln!("{of}{}", tuned.line);
        }
        if let Some(note) = &self.note {
            eprintln!("{of}note: {note}");
        }
    }
}

/// Sets what no flag says as the profile of the model in the store at `store` has it, but for what takes
/// memory where the `context` becomes shorter by that.
pub(crate) fn apply(
    store: &Path,
    model: &Model,
    load: &mut Load,
    context: &dyn Fn(&Load) -> Option<usize>,
) -> Applied {
    let key = Key::of(Path::new("/"), model);
    let profile = match file::read(store, &key) {
        Ok(Some(profile)) => profile,
        Ok(None) => return Applied::default(),
        Err(note) => return Applied { tuned: None, note: Some(note) },
    };
    let mut all = load.clone();
    // Who says how much memory there is has it planned by the defaults, which take the least.
    let tuned = set(&mut all, &profile, load.memory.is_some());
    let mut less = load.clone();
    let tuned_less = set(&mut less, &profile, true);
    let holds = tuned == tuned_less || context(&all) >= context(&less);
    *load = if holds { all } else { less };
    let note = "weights and chunks of the profile are left: memory holds less context with them";
    let note = (!holds).then(|| note.to_owned());
    Applied { tuned: Some(if holds { tuned } else { tuned_less }), note }
}

/// Sets what no flag says; what takes memory only if that is not limited.
fn set(load: &mut Load, profile: &Profile, is_limited: bool) -> Tuned {
    let settings = &profile.settings;
    let mut said = Vec::new();
    // Threads are of the cores: who says one of these means all of them.
    if load.threads.is_none() && load.cores.is_none() && load.decode_threads.is_none() {
        load.threads = Some(settings.threads);
        load.decode_threads = Some(settings.decode_threads);
        load.cores = CoreSet::from_str(&settings.cores, false).ok();
        let only = match load.cores {
            Some(CoreSet::Fast) => " on fast cores",
            Some(CoreSet::Slow) => " on slow cores",
            _ => "",
        };
        let threads = settings.threads;
        let plural = if threads == 1 { "" } else { "s" };
        let decode = settings.decode_threads;
        said.push(format!("{threads} thread{plural} for prompts, {decode} for answers{only}"));
    }
    if load.kernels.is_none() && Some(&*settings.kernels) != best() {
        load.kernels = Some(settings.kernels.clone());
        said.push(format!("kernels {}", settings.kernels));
    }
    if load.prepare.is_none() && !load.no_prepare.no_prepare && !is_limited {
        let (prepare, word) = match &*settings.weights {
            "memory" => (Prepare::Memory, "weights prepared in memory"),
            "file" => (Prepare::Never, "weights as in the file"),
            _ => (Prepare::Auto, "prepared weights"),
        };
        load.prepare = Some(prepare);
        said.push(word.to_owned());
    }
    if load.kv.is_none() && settings.kv != KvType::F16.name() {
        load.kv = KvType::from_str(&settings.kv, false).ok();
        said.push(format!("{} cache", settings.kv));
    }
    if load.chunk.is_none() && settings.chunk != load.chunk() && !is_limited {
        load.chunk = Some(settings.chunk);
        said.push(format!("chunks of {}", settings.chunk));
    }
    let what = if said.is_empty() { "all set by flags".to_owned() } else { said.join(", ") };
    let line = format!("tuned: {what}; {}", profile.day());
    Tuned { line, parallel: settings.parallel.filter(|n| n + 16 < load.chunk()) }
}

/// The kernels that run if nothing is said.
fn best() -> Option<&'static str> {
    Some(rushlight_kernels::best().name())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rushlight_testkit::tiny;

    use super::*;
    use crate::args::{Args, Command};

    fn load(flags: &[&str]) -> Load {
        let args = ["rushlight", "run", "model"].iter().chain(flags);
        match Args::try_parse_from(args).unwrap().command {
            Command::Run(run) => run.load,
            _ => unreachable!("it is run"),
        }
    }

    #[test]
    fn what_memory_does_not_hold_is_not_taken_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tiny.gguf");
        tiny::write_gguf(&tiny::case("llama2"), &file);
        let model = Model::open(&file).unwrap();
        let mut profile = file::tests::profile();
        profile.key = Key::of(Path::new("/"), &model);
        profile.settings.chunk = 256;
        profile.settings.kernels = best().unwrap().to_owned();
        write(dir.path(), &profile).unwrap();
        let usual = load(&[]);
        let is_large = |load: &Load| load.chunk() == 256 && load.prepare() == Prepare::Memory;
        for (room, large) in [(Some(512), true), (Some(511), false), (None, false)] {
            let mut load = load(&[]);
            let context = |load: &Load| if is_large(load) { room } else { Some(512) };
            let applied = apply(dir.path(), &model, &mut load, &context);
            assert_eq!((applied.tuned.is_some(), applied.note.is_some()), (true, !large));
            assert_eq!((load.threads, is_large(&load)), (Some(4), large));
            assert!(large || (load.chunk(), load.prepare()) == (usual.chunk(), usual.prepare()));
        }
    }

    #[test]
    fn flags_are_worth_more_setting_by_setting() {
        let mut profile = file::tests::profile();
        profile.settings.chunk = 256;
        profile.settings.parallel = Some(300);
        let mut plain = load(&[]);
        let tuned = set(&mut plain, &profile, false);
        assert_eq!((plain.threads, plain.decode_threads), (Some(4), Some(2)));
        assert_eq!((plain.cores, plain.chunk()), (Some(CoreSet::Fast), 256));
        assert_eq!(plain.prepare(), Prepare::Memory);
        assert_eq!(plain.kv(), KvType::F16);
        assert_eq!(
            tuned.line,
            "tuned: 4 threads for prompts, 2 for answers on fast cores, weights prepared in memory, \
             chunks of 256; 2026-11-26"
        );
        assert_eq!(tuned.parallel, None, "the chunk is too small for so many");
        for flags in [["--threads", "1"], ["--decode-threads", "1"], ["--cores", "all"]] {
            let mut load = load(&flags);
            let before = (load.threads, load.decode_threads, load.cores);
            set(&mut load, &profile, false);
            assert_eq!((load.threads, load.decode_threads, load.cores), before, "{flags:?}");
            assert_eq!(load.chunk(), 256);
        }
        let mut most = load(&["--threads", "1", "--chunk", "64", "--kv", "q8_0", "--no-prepare"]);
        let tuned = set(&mut most, &profile, false);
        assert_eq!((most.chunk(), most.kv()), (64, KvType::Q8_0));
        assert_eq!(most.prepare(), Prepare::Never);
        assert_eq!(tuned.line, "tuned: all set by flags; 2026-11-26");
    }
}
