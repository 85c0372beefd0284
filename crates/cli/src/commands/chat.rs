//! `run` without a prompt: a conversation on the terminal.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use rushlight_engine::{Engine, Session};
use rushlight_host::PowerMeter;
use rushlight_text::Message;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::run;
use crate::args::Run;
use crate::interrupt::Interrupt;
use crate::prepare::{Meanwhile, Unprepared};
use crate::{energy, prompt, report};

const HELP: &str = "\
/help        this text
/clear       forget the conversation
/system TEXT set the instructions and forget the conversation
/exit        leave, as Ctrl-D does
A line that ends with \\ goes on in the next. Ctrl-C stops an answer.";

/// Chats until the end of input.
pub(super) fn chat(
    engine: &mut Engine,
    mut session: Session,
    run: &Run,
    interrupt: &Interrupt,
    meter: &PowerMeter,
    unprepared: Option<Unprepared>,
) -> anyhow::Result<ExitCode> {
    let model = engine.model().clone();
    let template = model.chat_template()?;
    let mut editor = DefaultEditor::new().context("cannot use the terminal")?;
    let history = history_path();
    if let Some(path) = &history {
        // A history that is not there yet, or that cannot be read, is an empty one.
        let _ = editor.load_history(path);
    }
    eprintln!("{}: /help for commands, Ctrl-D to leave", model.name().unwrap_or(&run.load.model));
    let mut system = run.system.clone();
    let mut messages: Vec<Message> = system.iter().map(Message::system).collect();
    let options = run::options(run);
    let mut meanwhile = Meanwhile::new(unprepared);
    while let Some(line) = meanwhile.during(|| read(&mut editor))? {
        match line.trim() {
            "" => continue,
            "/exit" | "/quit" | "/bye" => break,
            "/help" => {
                eprintln!("{HELP}");
                continue;
            }
            "/clear" => {
                messages = system.iter().map(Message::system).collect();
                continue;
            }
            command if command.starts_with("/system ") => {
                system = command.strip_prefix("/system ").map(str::to_owned);
                messages = system.iter().map(Message::system).collect();
                continue;
            }
            command if command.starts_with('/') => {
                eprintln!("`{command}` is not a command; /help lists them");
                continue;
            }
            _ => {}
        }
        messages.push(Message::user(line));
        interrupt.reset();
        let measurement = meter.start();
        let answered = prompt::of_messages(&model, &template, &messages)
            .and_then(|tokens| run::answer(engine, &mut session, &tokens, &options, interrupt));
        match answered {
            Ok(answer) => {
                let spent = energy::end(measurement);
                writeln!(std::io::stdout())?;
                if !run.quiet {
                    run::figures(engine, &answer);
                    // That there is no sensor need not be said after each answer.
                    if spent.is_some() {
                        let text = run::spent_text(meter, &spent, answer.tokens.len());
                        eprintln!("energy: {text}");
                    }
                }
                messages.push(Message::assistant(answer.text));
            }
            Err(error) => {
                report::error(&error);
                messages.pop();
            }
        }
        interrupt.reset();
    }
    if let Some(path) = &history {
        save(&mut editor, path);
    }
    Ok(ExitCode::SUCCESS)
}

/// One entry, over several lines where they end with a backslash; `None` at the end of input.
fn read(editor: &mut DefaultEditor) -> anyhow::Result<Option<String>> {
    let mut entry = String::new();
    loop {
        match editor.readline(if entry.is_empty() { "> " } else { ". " }) {
            Ok(line) => match line.strip_suffix('\\') {
                Some(more) => entry += &format!("{more}\n"),
                None => {
                    entry += &line;
                    // The history keeps what it can; a chat goes on without.
                    let _ = editor.add_history_entry(&entry);
                    return Ok(Some(entry));
                }
            },
            Err(ReadlineError::Interrupted) => entry.clear(),
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(error).context("cannot read the terminal"),
        }
    }
}

/// Where past entries are kept: under the XDG state directory.
fn history_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(state.or_else(home)?.join("rushlight/history"))
}

fn save(editor: &mut DefaultEditor, path: &std::path::Path) {
    let dir = path.parent().unwrap_or(path);
    let saved = std::fs::create_dir_all(dir)
        .map_err(ReadlineError::from)
        .and_then(|()| editor.save_history(path));
    if let Err(error) = saved {
        eprintln!("the history cannot be kept in `{}`: {error}", path.display());
    }
}
