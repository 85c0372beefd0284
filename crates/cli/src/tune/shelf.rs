//! A model's weights in all layouts that come into question, of which some are open: what they take is
//! known before.

use std::collections::HashMap;
use std::sync::Arc;

use rushlight_engine::Plan;
use rushlight_model::Model;

use super::{CHUNKS, Machine, Setting, Weights};
use crate::args::{KvType, Load, Prepare};
use crate::load;

/// Opens weights in a layout.
pub(crate) type Open = Box<dyn Fn() -> anyhow::Result<Arc<Model>>>;

/// A layout of the weights.
struct Layout {
    weights: Weights,
    /// Of which tensors panels are made in memory.
    packed: Vec<bool>,
    open: Open,
    model: Option<Arc<Model>>,
    /// What it takes while it is open, without engines.
    bytes: u64,
    /// What a process takes that runs it with such a cache and such chunks.
    totals: HashMap<(KvType, usize), u64>,
}

/// The layouts of a model.
#[derive(Default)]
pub(crate) struct Shelf {
    layouts: Vec<Layout>,
    /// The place of the layout of kernels and weights.
    places: Vec<(Machine, usize)>,
    context: usize,
}

impl Shelf {
    /// A layout for kernels, to be opened by `open`; kernels that read the same share it. What it takes is
    /// told by the model as its `file` has it.
    ///
    /// # Errors
    /// If there are no such kernels.
    pub(crate) fn add(
        &mut self,
        load: &Load,
        file: &Model,
        machine: Machine,
        open: Open,
    ) -> anyhow::Result<()> {
        let row = load::row(&Load { kernels: Some(machine.kernels.to_owned()), ..load.clone() })?;
        let takes = file.panel_sources().iter().map(|s| row.takes_panels(s.format(), s.cols()));
        let packed = if machine.weights == Weights::Memory { takes.collect() } else { Vec::new() };
        let same = |l: &Layout| (l.weights, &l.packed) == (machine.weights, &packed);
        self.context = file.dims().context;
        if let Some(place) = self.layouts.iter().position(same) {
            self.places.push((machine, place));
            return Ok(());
        }
        let plan = |kv, chunk| -> anyhow::Result<Plan> {
            let options = load::options(&Load {
                kv: Some(kv),
                chunk: Some(chunk),
                kernels: Some(machine.kernels.to_owned()),
                prepare: Some(prepare(machine.weights)),
                ..load.clone()
            })?;
            let plan = Plan::of(file, &options);
            Ok(match machine.weights {
                Weights::Prepared => plan.once_prepared(file),
                Weights::File | Weights::Memory => plan,
            })
        };
        let mut totals = HashMap::new();
        for kv in [KvType::F16, KvType::Q8_0] {
            for chunk in CHUNKS.into_iter().chain([load.chunk()]) {
                totals.insert((kv, chunk), plan(kv, chunk)?.total_bytes());
            }
        }
        let one = plan(load.kv(), load.chunk())?;
        let tokenizer = one.process_bytes.saturating_sub(Plan::PROCESS_BYTES);
        let bytes = one.all_weights_bytes() + tokenizer;
        self.places.push((machine, self.layouts.len()));
        let weights = machine.weights;
        self.layouts.push(Layout { weights, packed, open, model: None, bytes, totals });
        Ok(())
    }

    /// Takes a layout away that cannot be had.
    pub(crate) fn remove(&mut self, weights: Weights) {
        self.places.retain(|(machine, _)| machine.weights != weights);
    }

    /// The kernels and weights that there are, in the order in which they came.
    pub(crate) fn machines(&self) -> Vec<Machine> {
        self.places.iter().map(|(machine, _)| *machine).collect()
    }

    /// Positions that the model was trained for.
    pub(crate) fn context(&self) -> usize {
        self.context
    }

    /// Where the layout of kernels and weights is.
    pub(crate) fn place(&self, machine: &Machine) -> Option<usize> {
        self.places.iter().find(|(of, _)| of == machine).map(|(_, place)| *place)
    }

    /// What a process takes that runs a setting, in bytes.
    pub(crate) fn total_bytes(&self, setting: &Setting) -> Option<u64> {
        let layout = &self.layouts[self.place(&setting.machine)?];
        layout.totals.get(&(setting.kv, setting.chunk)).copied()
    }

    /// What all that are open take, in bytes.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.layouts.iter().filter(|l| l.model.is_some()).map(|l| l.bytes).sum()
    }

    /// What opening one takes, in bytes.
    pub(crate) fn missing_bytes(&self, place: usize) -> u64 {
        let layout = &self.layouts[place];
        if layout.model.is_none() { layout.bytes } else { 0 }
    }

    /// Those that are open.
    pub(crate) fn opened(&self) -> impl Iterator<Item = usize> {
        self.layouts.iter().enumerate().filter(|(_, l)| l.model.is_some()).map(|(place, _)| place)
    }

    /// A model with this layout, which stays open.
    pub(crate) fn open(&mut self, place: usize) -> anyhow::Result<Arc<Model>> {
        let layout = &mut self.layouts[place];
        let model = match layout.model.take() {
            Some(model) => model,
            None => (layout.open)()?,
        };
        layout.model = Some(model.clone());
        Ok(model)
    }

    /// Closes one; its memory is free when no engine has it either.
    pub(crate) fn close(&mut self, place: usize) {
        self.layouts[place].model = None;
    }
}

/// The flag for weights: those of a file that is prepared are attached when it is opened.
pub(crate) fn prepare(weights: Weights) -> Prepare {
    match weights {
        Weights::Memory => Prepare::Memory,
        Weights::File | Weights::Prepared => Prepare::Never,
    }
}
