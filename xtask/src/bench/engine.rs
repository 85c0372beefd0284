//! The engines, and how each is asked to measure.

use super::figure::Kind;
use super::options::Options;
use super::parse;
use crate::run::built;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an engine measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Tokens per second.
    pub(super) rates: Vec<f64>,
    pub(super) work: Option<Work>,
}

/// What a token asks of the machine, on average over the whole measurement. Ours tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Work {
    pub(super) bytes: f64,
    pub(super) multiply_adds: f64,
}

/// What a reader of figures wants to know of an engine.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) name: String,
    /// What it says it was built from.
    pub(super) commit: Option<String>,
    /// What it says it was built with.
    pub(super) compiler: Option<String>,
    pub(super) flags: Vec<String>,
    pub(super) batched_flags: Vec<String>,
}

/// An engine.
#[derive(Debug)]
pub(super) enum Engine {
    Ours(Ours),
    Peer(Peer),
}

/// `rushlight bench`.
#[derive(Debug)]
pub(super) struct Ours {
    program: PathBuf,
    /// Kernels that are forced.
    kernels: Option<String>,
    /// Kernels that ran.
    pub(super) row: Option<String>,
}

/// `llama-bench` and `llama-batched-bench`, or what answers like them.
#[derive(Debug)]
pub(super) struct Peer {
    about: About,
    bench: PathBuf,
    batched: Option<PathBuf>,
    deep: Deep,
}

/// How a `llama-bench` measures an answer after other positions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deep {
    /// `-d DEPTH`
    Depth,
    /// `-gp DEPTH,TOKENS`
    AfterPrompt,
    Never,
}

/// Ours, built, and then the peers.
pub(super) fn all(options: &Options) -> Result<Vec<Engine>> {
    let program = built(&["--release", "--package", "rushlight"], "rushlight")?;
    let ours = Ours { program, kernels: options.kernels.clone(), row: None };
    let mut all = vec![Engine::Ours(ours)];
    for (name, path) in &options.peer {
        if all.iter().any(|engine| engine.name() == name) {
            bail!("two engines are called `{name}`");
        }
        let peer = Peer::find(name, Path::new(path), options);
        all.push(Engine::Peer(peer.with_context(|| format!("the peer `{name}`"))?));
    }
    let flags = options.peer_flags.iter().chain(&options.peer_batched_flags);
    if let Some((name, _)) =
        flags.into_iter().find(|(name, _)| !all.iter().any(|e| e.name() == name))
    {
        bail!("there are flags for `{name}`, which is no `--peer`");
    }
    Ok(all)
}

impl Engine {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Ours(_) => "rushlight",
            Self::Peer(peer) => &peer.about.name,
        }
    }

    pub(super) fn about(&self) -> About {
        match self {
            Self::Ours(_) => About { name: self.name().to_owned(), ..About::default() },
            Self::Peer(peer) => peer.about.clone(),
        }
    }

    /// Measures the things of one group.
    pub(super) fn measure(
        &mut self,
        options: &Options,
        model: &Path,
        threads: usize,
        group: &[Kind],
    ) -> Result<Vec<Found>> {
        match self {
            Self::Ours(ours) => ours.measure(options, model, threads, group),
            Self::Peer(peer) => peer.measure(options, model, threads, group),
        }
    }
}

impl Ours {
    fn measure(
        &mut self,
        options: &Options,
        model: &Path,
        threads: usize,
        group: &[Kind],
    ) -> Result<Vec<Found>> {
        let call = Call::of(options, group);
        let mut command = Command::new(&self.program);
        command.arg("bench").arg(model).args(["--json", "--no-profile"]);
        command.args(["--threads", &threads.to_string()]);
        command.args(["-p", &call.prompt.to_string(), "-n", &call.answer.to_string()]);
        command.args(["--repeats", &call.repeats.to_string(), "--depth", &call.depth.to_string()]);
        if !call.sequences.is_empty() {
            command.args(["--sequences", &list(&call.sequences)]);
        }
        let prepare = if options.weights_as_stored { "never" } else { "memory" };
        command.args(["--prepare", prepare]);
        if let Some(kernels) = &self.kernels {
            command.args(["--kernels", kernels]);
        }
        let text = capture(&mut command)?.0;
        let (row, found) = parse::ours(&text, group)?;
        self.row = Some(row);
        Ok(found)
    }
}

impl Peer {
    fn find(name: &str, path: &Path, options: &Options) -> Result<Self> {
        let (bench, folder) = match path.is_dir() {
            true => (path.join("llama-bench"), path),
            false => (path.to_path_buf(), path.parent().unwrap_or(path)),
        };
        let batched = folder.join("llama-batched-bench");
        let (help, _) = capture(Command::new(&bench).arg("--help"))?;
        let deep = match () {
            () if help.contains("--n-depth") => Deep::Depth,
            () if help.contains("-gp ") => Deep::AfterPrompt,
            () => Deep::Never,
        };
        let batched = batched.is_file().then_some(batched);
        let compiler = batched.iter().chain([&bench]).find_map(|program| {
            let (text, more) = capture(Command::new(program).arg("--version")).ok()?;
            parse::compiler(&(text + &more))
        });
        let about = About {
            name: name.to_owned(),
            commit: None,
            compiler,
            flags: Options::flags_of(&options.peer_flags, name),
            batched_flags: Options::flags_of(&options.peer_batched_flags, name),
        };
        Ok(Self { about, bench, batched, deep })
    }

    fn measure(
        &mut self,
        options: &Options,
        model: &Path,
        threads: usize,
        group: &[Kind],
    ) -> Result<Vec<Found>> {
        let call = Call::of(options, group);
        if !call.sequences.is_empty() {
            return self.measure_sequences(&call, model, threads, group);
        }
        let Call { prompt, answer, depth, repeats, .. } = call;
        let mut command = Command::new(&self.bench);
        command.arg("-m").arg(model).args(["-t", &threads.to_string(), "-o", "json"]);
        command.args(["-r", &repeats.to_string()]);
        let after_prompt = depth > 0 && self.deep == Deep::AfterPrompt;
        let answer_alone = if after_prompt { 0 } else { answer };
        command.args(["-p", &prompt.to_string(), "-n", &answer_alone.to_string()]);
        match self.deep {
            _ if depth == 0 => {}
            Deep::Depth => drop(command.args(["-d", &depth.to_string()])),
            Deep::AfterPrompt => drop(command.args(["-gp", &format!("{depth},{answer}")])),
            Deep::Never => bail!("its `llama-bench` knows no depth"),
        }
        let (text, _) = capture(command.args(&self.about.flags))?;
        let (commit, found) = parse::llama_bench(&text, group)?;
        self.about.commit = Some(commit);
        Ok(found)
    }

    fn measure_sequences(
        &self,
        call: &Call,
        model: &Path,
        threads: usize,
        group: &[Kind],
    ) -> Result<Vec<Found>> {
        let program = self.batched.as_ref().context("it has no `llama-batched-bench`")?;
        // Every sequence has a part of the context, in steps of 256 positions.
        let each = (call.depth + call.answer).next_multiple_of(256);
        let context = each * call.sequences.iter().max().copied().unwrap_or(1);
        let threads = threads.to_string();
        let mut command = Command::new(program);
        command.arg("-m").arg(model).args(["-t", &threads, "-tb", &threads]);
        command.args(["-c", &context.to_string(), "-npp", &call.depth.to_string()]);
        command.args(["-ntg", &call.answer.to_string(), "-npl", &list(&call.sequences)]);
        command.args(["--output-format", "jsonl"]).args(&self.about.batched_flags);
        let (text, more) = capture(&mut command)?;
        parse::batched(&(text + "\n" + &more), group)
    }
}

/// A group of kinds as one call of a program.
#[derive(Debug, Default, PartialEq)]
struct Call {
    prompt: usize,
    answer: usize,
    depth: usize,
    /// Empty for a single one.
    sequences: Vec<usize>,
    repeats: usize,
}

impl Call {
    fn of(options: &Options, group: &[Kind]) -> Self {
        let mut call = Self::default();
        for kind in group {
            match *kind {
                Kind::Prefill { tokens } => call.prompt = tokens,
                Kind::Decode { tokens, depth } => (call.answer, call.depth) = (tokens, depth),
                Kind::Sequences { count, prompt, tokens } => {
                    (call.answer, call.depth) = (tokens, prompt);
                    call.sequences.push(count);
                }
            }
        }
        call.repeats = if call.depth == 0 { options.repeats.max(1) } else { 1 };
        call
    }
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Standard output and standard error; an error ends with the program's last words.
pub(crate) fn capture(command: &mut Command) -> Result<(String, String)> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
    let name = name.to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("`{name}` cannot be started"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, words) = (text(&output.stdout), text(&output.stderr));
    if !output.status.success() {
        let last: Vec<_> = words.lines().rev().filter(|line| !line.trim().is_empty()).collect();
        let last = last.first().copied().unwrap_or("it says nothing");
        bail!("`{name}` failed ({}): {last}", output.status);
    }
    Ok((out, words))
}
