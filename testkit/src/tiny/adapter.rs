//! Tiny adapters with known outputs, from `testkit/golden/adapters`.

use super::checkpoint::{WRITABLE, write_safetensors};
use super::gguf::{Source, set};
use super::{Case, Tensor, array, case, floats, integer, json, root, string, text};
use rushlight_formats::gguf::Writer;
use rushlight_formats::{Error, TensorType};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// An adapter of a tiny model, and what came out with it.
#[derive(Debug, Clone)]
pub struct AdapterCase {
    /// Its model, whose ids and positions these are; the rows are those with the adapter, of both
    /// forms.
    pub case: Case,
    folder: PathBuf,
}

/// The names of all adapters, in order: those of their models.
#[must_use]
pub fn adapter_names() -> Vec<String> {
    let entries = fs::read_dir(root().join("adapters")).expect("the folder of golden adapters");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("a readable folder").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// The adapter of the model `name`.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn adapter(name: &str) -> AdapterCase {
    let folder = root().join("adapters").join(name);
    let case = case(name);
    let columns = case.rows[0].len();
    let values = floats(&folder.join("logits.f32"))
        .unwrap_or_else(|| panic!("there is no golden adapter `{name}`"));
    let rows: Vec<Vec<f32>> = values.chunks_exact(columns).map(<[f32]>::to_vec).collect();
    AdapterCase { case: Case { rows: rows.clone(), gguf_rows: rows, ..case }, folder }
}

impl AdapterCase {
    /// Whether there is a GGUF file that says the same.
    #[must_use]
    pub fn has_gguf(&self) -> bool {
        self.folder.join("gguf.json").is_file()
    }

    /// `adapter_config.json` as text.
    #[must_use]
    pub fn config(&self) -> String {
        text(&self.folder.join("adapter_config.json"))
    }

    /// Writes it into the existing folder `folder` as PEFT saves it.
    ///
    /// # Panics
    ///
    /// When a file cannot be written.
    pub fn write_peft(&self, folder: &Path) {
        fs::write(folder.join("adapter_config.json"), self.config()).expect(WRITABLE);
        let file = File::create(folder.join("adapter_model.safetensors")).expect(WRITABLE);
        let mut file = BufWriter::new(file);
        write_safetensors(&self.tensors(), &mut file).and_then(|()| file.flush()).expect(WRITABLE);
    }

    /// Writes it as the file `path`, as llama.cpp's converter does, in F32.
    ///
    /// # Panics
    ///
    /// When the file cannot be written, or there is no such form.
    pub fn write_gguf(&self, path: &Path) {
        let file = BufWriter::new(File::create(path).expect(WRITABLE));
        self.write_as(file, |_| true).expect("the recipe is sound and the folder is writable");
    }

    /// As [`AdapterCase::write_gguf`] with the tensors alone whose names `keep` takes.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_as<W: Write>(&self, out: W, keep: impl Fn(&str) -> bool) -> Result<W, Error> {
        let recipe = json(&self.folder.join("gguf.json"));
        let mut writer = Writer::new();
        for entry in array(&recipe["metadata"]) {
            set(&mut writer, entry)?;
        }
        let kept = |tensor: &&Value| keep(tensor["name"].as_str().expect("a name"));
        let tensors: Vec<&Value> = array(&recipe["tensors"]).iter().filter(kept).collect();
        for tensor in &tensors {
            let shape: Vec<usize> = array(&tensor["shape"]).iter().map(integer).collect();
            writer.tensor(&string(&tensor["name"]), &shape, TensorType::F32)?;
        }
        let source = Source::new(self.tensors());
        let mut data = writer.begin(out)?;
        for tensor in &tensors {
            let values = source.make(tensor);
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            data.push(&string(&tensor["name"]), &bytes)?;
        }
        data.finish()
    }

    fn tensors(&self) -> Vec<Tensor> {
        array(&json(&self.folder.join("tensors.json"))).iter().map(Tensor::from_json).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_adapter_moves_its_model() {
        let names = adapter_names();
        assert!(names.len() >= 6, "only {} golden adapters", names.len());
        for name in names {
            let (plain, adapter) = (case(&name), adapter(&name));
            let moved = plain.difference(&adapter.case.rows);
            assert!(moved > 0.5 && moved.is_finite(), "{name} is moved by {moved}");
        }
    }
}
